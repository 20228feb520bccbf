"""The cases of a template: made, kept and run."""
