"""The files in deploy/ are read without complaint by the programs that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.mark.services
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_units(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "These tests need systemd: install it."
    installed = tmp_path / unit.name.replace("@", "@1")
    text = unit.read_text()
    assert re.findall(r"/opt/patchbay/\.venv/bin/\w+", text)
    installed.write_text(re.sub(r"/opt/patchbay/\.venv/bin/\w+", sys.executable, text))
    verified = subprocess.run(
        [analyze, "verify", str(installed)], capture_output=True, text=True, check=False
    )
    ours = [line for line in (verified.stdout + verified.stderr).splitlines() if installed.name in line]
    assert ours == []
    security = subprocess.check_output(
        [analyze, "security", "--offline=true", "--threshold=20", str(installed)], text=True
    )
    assert "OK" in security.splitlines()[-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_start_what_containers_start(unit: Path) -> None:
    """Both run the same commands, but for addresses."""
    containers = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    words = set(re.findall(r"[\w.:/-]+", containers)) | {"127.0.0.1", "serve", "/var/lib/patchbay", "--data"}
    for command in re.findall(r"^ExecStart(?:Pre)?=/opt/patchbay/\.venv/bin/(.+)$", unit.read_text(), re.M):
        assert set(command.split()) <= words, command


def test_a_mail_is_filed_with_the_settings_of_the_services(tmp_path: Path) -> None:
    """Values may have spaces, = and < in them, which a shell that reads the file as a script stumbles over."""
    (tmp_path / "environment").write_text(
        "# Comment=no\n\nEMAIL_FROM=Patchbay <patchbay@sms.example.com>\nPATCHBAY_ENCRYPTION_KEYS=new=,old=\n"
        "#REDIS_URL=redis://127.0.0.1\n"
    )
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$EMAIL_FROM" "$PATCHBAY_ENCRYPTION_KEYS" "$REDIS_URL" "$@"\ncat\n'
    )
    python.chmod(0o755)
    script = (ROOT / "deploy" / "systemd" / "patchbay-mail").read_text()
    script = script.replace("/etc/patchbay/environment", str(tmp_path / "environment"))
    (tmp_path / "patchbay-mail").write_text(script.replace("cd /opt/patchbay", f"cd {tmp_path}"))
    filed = subprocess.check_output(
        ["sh", tmp_path / "patchbay-mail", "reply+abc@sms.example.com"],
        input="From: alice@acme.example\n\nYes.\n",
        env={"PATH": "/usr/bin:/bin"},
        text=True,
    )
    assert filed == (
        "Patchbay <patchbay@sms.example.com>\nnew=,old=\n\nmanage.py\nreceive_mail\n--to\nreply+abc@sms.example.com\n"
        "From: alice@acme.example\n\nYes.\n"
    )


def test_the_command_runs_as_the_services_do(tmp_path: Path) -> None:
    """`patchbay COMMAND` has the user, the settings and the folders of each service."""
    (tmp_path / "systemd-run").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "systemd-run").chmod(0o755)
    words = subprocess.check_output(
        [ROOT / "deploy" / "systemd" / "patchbay", "backup", "/a b"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        text=True,
    ).splitlines()
    assert words[-4:] == ["/opt/patchbay/.venv/bin/python", "manage.py", "backup", "/a b"]
    names = r"User|WorkingDirectory|EnvironmentFile|StateDirectory\w*|RuntimeDirectory\w*|UMask"
    for unit in UNITS:
        settings = re.findall(rf"^(?:{names})=.+$", unit.read_text(), re.M)
        assert len(settings) >= 6
        assert set(settings) <= set(words), unit.name
