"""What is told to the person who wrote a message."""


class Refused(Exception):
    """Why a message was not taken, in a sentence for the person who wrote it."""
