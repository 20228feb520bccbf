"""WHO: settings, accounts, organizations and people."""

import tomllib
from pathlib import Path

from portal.celery import app as celery_app

__all__ = ["__version__", "celery_app"]

# Patchbay is run from its folder, not installed: there is no other metadata.
__version__: str = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]
