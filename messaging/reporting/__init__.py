"""Data for the pages of the administration: health, timelines, figures, and search."""
