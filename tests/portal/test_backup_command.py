"""What `manage.py backup` says to whoever started it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from portal import keys
from portal.models import AuditEntry


@pytest.mark.django_db
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    keys.remember()
    path = tmp_path / "none" / "patchbay.tar.gz"
    with pytest.raises(CommandError) as refused:
        call_command("backup", path)
    assert str(refused.value) == (
        f"{path} cannot be written: No such file or directory. There is no file. The folder must exist, with "
        "room, and the user of Patchbay must be allowed to write there."
    )
    assert list(tmp_path.iterdir()) == [] and not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_a_folder_that_is_not_there_becomes_no_file(tmp_path: Path) -> None:
    keys.remember()
    with pytest.raises(CommandError) as refused:
        call_command("backup", tmp_path / "backups")
    assert str(refused.value) == (
        f"There is no folder {tmp_path / 'backups'}, and no file was written. Create the folder first; or, if "
        "it is to be a file, end its name with .tar.gz."
    )
    assert list(tmp_path.iterdir()) == [] and not AuditEntry.objects.exists()
