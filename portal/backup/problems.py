"""Why a backup cannot be made or restored."""

from __future__ import annotations


class Problem(Exception):
    """A sentence for the operator; nothing has been changed."""
