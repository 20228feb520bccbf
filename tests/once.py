"""What takes long to make is made once in a run, however many processes run its tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

SHARED = Path(os.environ["PATCHBAY_TEST_SHARED"])


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that the first process to ask has filled; all others wait for it, and leave it as it is.

    Its name is of this run alone, so that a database may have it, too.
    """
    folder = SHARED / f"{SHARED.name}_{name}"
    with (SHARED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = SHARED / f"{name}.made"
        if not made.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def all_made() -> list[str]:
    """The names of all such folders of this run."""
    return [folder.name for folder in SHARED.glob(f"{SHARED.name}_*")]
