"""What administrators are shown: health, stories, figures, and what a search finds."""
