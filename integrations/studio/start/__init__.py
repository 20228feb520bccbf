"""Where a template begins: by example, as a copy, from a text, or with a sample."""
