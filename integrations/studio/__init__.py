"""The template studio: what makes a document of a provider's documentation, and shows what it does."""
