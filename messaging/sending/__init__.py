"""Out: what a user wrote is committed, claimed, rendered, sent through the one door, and recorded."""
