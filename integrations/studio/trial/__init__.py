"""Where a provider is tried: simulated, with a phone beside it, or with one message for real."""
