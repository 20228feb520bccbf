"""Work on many rows, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

SIZE = 500

Item = TypeVar("Item")


def batches(items: list[Item]) -> Iterator[list[Item]]:
    """The items in order, 500 at a time."""
    return (items[start : start + SIZE] for start in range(0, len(items), SIZE))
