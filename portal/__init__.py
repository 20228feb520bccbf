"""The project: its settings, and who uses it: accounts, organizations, users and their roles."""

import tomllib
from pathlib import Path

from portal.celery import app as celery_app

__all__ = ["__version__", "celery_app"]

# Patchbay runs from its source folder and is not installed, so there is no package metadata to read.
__version__: str = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]
