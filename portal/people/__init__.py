"""Inviting people, one by one or many at once."""
