"""The rules of conversations, contacts and numbers: what may be sent, and who takes care of it."""
