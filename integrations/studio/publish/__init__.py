"""What publishing changes, and who must confirm it."""
