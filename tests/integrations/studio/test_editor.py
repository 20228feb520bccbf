"""The bundled editor is made from the sources that stand beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from django.conf import settings

EDITOR = Path(settings.BASE_DIR) / "integrations" / "studio" / "editor"
BUNDLE = Path(settings.BASE_DIR) / "integrations" / "static" / "integrations" / "editor.js"


def test_the_bundle_is_current() -> None:
    """If this fails: `npm ci && npm run build` in integrations/studio/editor."""
    names = ["build.js", "package-lock.json", "package.json"]
    names += sorted(f"src/{path.name}" for path in (EDITOR / "src").iterdir())
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\n".encode() + (EDITOR / name).read_bytes())
    assert BUNDLE.read_text().split()[3] == digest.hexdigest()


def test_each_bundled_package_has_its_license_beside_it() -> None:
    licenses = BUNDLE.with_suffix(".licenses.txt").read_text()
    lock = json.loads((EDITOR / "package-lock.json").read_text())["packages"]
    bundled = {
        path.removeprefix("node_modules/") for path, item in lock.items() if path and not item.get("dev")
    }
    for name in bundled:
        assert f"{name} {lock[f'node_modules/{name}']['version']} (MIT)" in licenses
    assert "resolved" not in json.dumps(lock)
