"""The pages of the administration: their base, lists and filters, and those of this application."""
