"""Where authors describe a provider: drafts, previews, cases, trials, and what publishing changes."""
