"""The rules of conversations: opt-outs, auto-replies, session stickiness, and moving numbers."""
