"""Public ids of accounts and organizations: 20 random digits, never sequential."""

import secrets


def new_id() -> str:
    """20 digits that do not begin with 0 (about 66 bits)."""
    return str(secrets.choice(range(1, 10))) + "".join(secrets.choice("0123456789") for _ in range(19))
