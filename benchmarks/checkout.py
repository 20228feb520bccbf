"""The files of another commit, to run an older Patchbay beside this one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.processes import ROOT


def short_name(commit: str) -> str:
    """The commit's short name. Ends the program with a sentence if there is no such commit."""
    command = ["git", "rev-parse", "--short", "--verify", "--quiet", f"{commit}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode != 0:
        raise SystemExit(f"This repository has no commit {commit!r}.")
    return found.stdout.strip()


def unpack(commit: str, folder: Path) -> Path:
    """Makes the folder with the files of the commit, and returns it."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder
