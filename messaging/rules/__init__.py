"""What holds for conversations: opt-outs, automatic answers, privacy for a while, numbers that move."""
