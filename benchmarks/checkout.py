"""Another version of Patchbay, beside this one: the files of a commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.processes import ROOT


def short_name(commit: str) -> str:
    """How the commit is called. Ends the program with a sentence if there is none."""
    command = ["git", "rev-parse", "--short", "--verify", "--quiet", f"{commit}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode != 0:
        raise SystemExit(f"This repository has no commit {commit!r}.")
    return found.stdout.strip()


def unpack(commit: str, folder: Path) -> Path:
    """The folder, with the commit's files in it."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder
