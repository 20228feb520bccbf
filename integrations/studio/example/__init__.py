"""A document of the language made of what a provider's documentation shows, without pages around it."""
