"""Out: what a user wrote is committed, claimed, rendered, sent, and recorded."""
