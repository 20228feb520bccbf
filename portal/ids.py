"""Public ids of accounts and organizations, which are 20 random digits; and primary keys in URLs."""

import secrets


def new_id() -> str:
    """20 digits that do not begin with 0 (about 66 bits)."""
    return str(secrets.choice(range(1, 10))) + "".join(secrets.choice("0123456789") for _ in range(19))


def key_of(text: str) -> int:
    """The primary key that a URL names; 0, which no row has, for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
