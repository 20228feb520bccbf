"""A backup of a running Patchbay is restored elsewhere after all was lost, and what waited goes out at most once."""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from PIL import Image

from integrations.sandbox import Sandbox
from messaging.statuses import Status
from tests.faults.test_rotation import Traffic
from tests.installation import Embedded, Installation, Separate, send, sign_in
from tests.processes import Process, wait_for

MakesEmbedded = Callable[..., AbstractContextManager[Embedded]]
MakesSeparate = Callable[..., AbstractContextManager[Separate]]
MESSAGES = 60
RESEND = """
from messaging.models import Message
from messaging.outbound import bulk_resend
found = bulk_resend.preview(Message.objects.all())
bulk_resend.start(Message.objects.first().author, found.unknown)
print(len(found.unknown), "resent")
"""
# A process takes seconds to start; each of these is refused before anything is changed.
RESTORES = """
from django.core.management import CommandError, call_command
for name in {}:
    try:
        call_command("restore", name)
    except CommandError as error:
        print(str(error).replace(chr(10), " "), flush=True)
"""


def manage(patchbay: Installation, *arguments: str, code: int = 0, **environment: str) -> str:
    """What a command says that ends with this code; nothing but sentences."""
    log = patchbay.log.with_name("command")
    log.unlink(missing_ok=True)
    process = Process([sys.executable, "manage.py", *arguments], patchbay.environment | environment, log)
    assert process.popen.wait(90) == code, process.output
    assert "Traceback" not in process.output
    return process.output


def texts(sandbox: Sandbox) -> list[str]:
    """What went out; the picture has no text of its own."""
    return [json.loads(request.body).get("content", "a picture") for request in sandbox.received]


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(out, "PNG")
    return out.getvalue()


def fill(patchbay: Installation, sandbox: Sandbox, due: list[float]) -> None:
    """Messages that are due at these seconds from now, and none is reported on."""
    sandbox.reports = False
    patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": MESSAGES, "due": due})


def lose(patchbay: Installation) -> None:
    """Nothing is left but the settings: another data folder, an empty database, an empty Redis."""
    for process in patchbay.processes:
        process.kill()
    shutil.rmtree(patchbay.data, ignore_errors=True)
    patchbay.data = patchbay.data.with_name("elsewhere")
    patchbay.environment["PATCHBAY_DATA"] = str(patchbay.data)
    if isinstance(patchbay, Separate):
        patchbay.redis.stop()
        patchbay.redis.start()
        name = urlsplit(patchbay.database).path.removeprefix("/")
        with psycopg.connect(patchbay._server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]


def start(patchbay: Installation) -> None:
    """Starts all processes, and waits until they serve."""
    if isinstance(patchbay, Separate):
        manage(patchbay, "install", "-v0")
        patchbay.worker()
        patchbay.web().wait_until_ready(patchbay.url)
    else:
        assert isinstance(patchbay, Embedded)
        patchbay.serve().wait_until_ready(patchbay.url)


def media(patchbay: Installation) -> dict[str, bytes]:
    folder = patchbay.data / "media"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(patchbay: Installation) -> dict[str, list[tuple[Any, ...]]]:
    """What a backup must not change."""
    return {
        "people": patchbay.query("SELECT id, email, password, name FROM portal_user ORDER BY id"),
        "texts": patchbay.query("SELECT id, text, direction FROM messaging_message ORDER BY id"),
        "migrations": patchbay.query("SELECT app, name FROM django_migrations ORDER BY app, name"),
        "files": patchbay.query("SELECT id, file, size FROM messaging_attachment ORDER BY id"),
    }


def back_up_while_running(patchbay: Installation, sandbox: Sandbox, folder: Path) -> None:
    """Backs up in the midst of sending and receiving, loses all, and restores with the queue held."""
    fill(patchbay, sandbox, [0, 1800, 3600])
    start(patchbay)
    alice = sign_in(patchbay.url, "alice@acme.example")
    thread = f"/inbox/{patchbay.one('SELECT max(id) FROM messaging_conversation')}/"
    sent = send(
        alice, patchbay.url, thread, text="A picture",
        files={"attachments": ("teal.png", picture(), "image/png")},
    )  # fmt: skip
    assert sent.ok
    traffic = Traffic(patchbay)
    backup = folder / "backup.tar.gz"
    with traffic.flowing():
        traffic.more(20)
        # The picture has a text, and goes out in two requests.
        wait_for(lambda: len(sandbox.received) == MESSAGES // 3 + 2, 60, lambda: patchbay.output)
        said = manage(patchbay, "backup", str(backup))
        traffic.more(20)
    assert "The keys are not in it." in said
    kept = media(patchbay)
    assert len(kept) == 1
    # A third was sent before the backup and a third is after it, which the backup does not know; then all is lost.
    for index in range(1, MESSAGES, 3):
        patchbay.query(
            "UPDATE messaging_message SET next_attempt_at = created_at WHERE text = %s", f"acme {index}"
        )
    wait_for(lambda: len(sandbox.received) == MESSAGES * 2 // 3 + 2, 60, lambda: patchbay.output)
    before = Counter(texts(sandbox))
    lose(patchbay)

    said = manage(patchbay, "restore", str(backup))
    assert media(patchbay) == kept
    restored = rows(patchbay)
    held = patchbay.one("SELECT count(*) FROM messaging_message WHERE direction = 'out' AND status = 20")
    assert f"{held} messages that waited to be sent are held" in said
    assert held == MESSAGES * 2 // 3
    assert patchbay.one("SELECT count(*) FROM messaging_message WHERE queue_state < 2") == 0
    start(patchbay)
    sign_in(patchbay.url, "alice@acme.example")
    # No webhook is lost: whatever was answered before the backup is stored, or is filed now.
    wait_for(lambda: len(patchbay.texts_in()) >= 20, 30)
    counted = Counter(patchbay.texts_in())
    assert set(counted.values()) == {1}
    assert rows(patchbay)["people"] == restored["people"]
    assert Counter(texts(sandbox)) == before  # nothing has gone out by itself
    said = manage(patchbay, "shell", "-v0", "-c", RESEND)
    assert f"{held} resent" in said
    wait_for(lambda: len(texts(sandbox)) >= before.total() + held, 60, lambda: patchbay.output)
    patchbay.settled()
    again = Counter(texts(sandbox)) - before
    # A person has resent them, each once.
    assert sum(again.values()) == held and set(again.values()) == {1}
    assert {f"acme {index}" for index in range(MESSAGES) if index % 3} <= set(again)
    manage(patchbay, "check_keys")


def test_a_running_process_is_backed_up(embedded: MakesEmbedded, sandbox: Sandbox, tmp_path: Path) -> None:
    with embedded() as patchbay:
        back_up_while_running(patchbay, sandbox, tmp_path)


@pytest.mark.services
def test_running_processes_are_backed_up(separate: MakesSeparate, sandbox: Sandbox, tmp_path: Path) -> None:
    with separate() as patchbay:
        patchbay.redis.start()
        back_up_while_running(patchbay, sandbox, tmp_path)


def move(patchbay: Installation, sandbox: Sandbox, folder: Path) -> None:
    """Nothing runs when the backup is made, nor between it and the start of the restored Patchbay."""
    fill(patchbay, sandbox, [0])
    (folder / "passphrase").write_text("correct horse battery\n")
    passphrase = ["--passphrase-file", str(folder / "passphrase")]
    manage(patchbay, "backup", str(folder / "backup.tar.gz"), *passphrase)
    lose(patchbay)
    said = manage(patchbay, "restore", str(folder / "backup.tar.gz"), *passphrase, "--send-queued")
    assert f"{MESSAGES} messages wait to be sent, and go out as soon as Patchbay runs." in said
    start(patchbay)
    patchbay.settled()
    assert sorted(texts(sandbox)) == sorted(f"acme {index}" for index in range(MESSAGES))
    assert patchbay.statuses() == {"sent"}
    # New rows get keys of their own.
    assert patchbay.webhook({"method": "message", "params": NEW}) == 200
    wait_for(lambda: patchbay.texts_in() == ["Hello"], 30, lambda: patchbay.output)


NEW = {"from": "+61412999999", "to": "+61855555501", "content": "Hello"}


def test_a_queue_that_moves_goes_out_once(embedded: MakesEmbedded, sandbox: Sandbox, tmp_path: Path) -> None:
    with embedded() as patchbay:
        move(patchbay, sandbox, tmp_path)


@pytest.mark.services
def test_a_queue_that_moves_to_another_server_goes_out_once(
    separate: MakesSeparate, sandbox: Sandbox, tmp_path: Path
) -> None:
    with separate() as patchbay:
        patchbay.redis.start()
        move(patchbay, sandbox, tmp_path)


def test_the_keys_are_in_a_backup_if_they_are_asked_for(
    embedded: MakesEmbedded, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The keys that the data folder has are lost with it, unless the backup has them."""
    with embedded() as patchbay:
        secrets = patchbay.data / "secrets"
        secrets.mkdir()
        (secrets / "encryption_keys").write_text(patchbay.environment.pop("PATCHBAY_ENCRYPTION_KEYS"))
        (secrets / "secret_key").write_text(patchbay.environment.pop("PATCHBAY_SECRET_KEY"))
        kept = {path.name: path.read_text() for path in secrets.iterdir()}
        fill(patchbay, sandbox, [0])
        (tmp_path / "passphrase").write_text("correct horse battery")
        passphrase = ["--passphrase-file", str(tmp_path / "passphrase")]
        said = manage(patchbay, "backup", str(tmp_path / "plain.tar.gz"), "--with-keys", code=1)
        assert "A backup with the keys must be encrypted" in said
        manage(patchbay, "backup", str(tmp_path / "without.tar.gz"))
        manage(patchbay, "backup", str(tmp_path / "with.tar.gz"), "--with-keys", *passphrase)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "passphrase",
            "with.tar.gz",
            "without.tar.gz",
        ]
        for secret in kept.values():
            assert secret.encode() not in (tmp_path / "with.tar.gz").read_bytes()
            assert all(
                secret.encode() not in content for content in contents(tmp_path / "without.tar.gz").values()
            )
        lose(patchbay)
        said = manage(patchbay, "restore", str(tmp_path / "without.tar.gz"), code=1)
        assert "PATCHBAY_ENCRYPTION_KEYS has not the keys of this backup" in said
        manage(patchbay, "restore", str(tmp_path / "with.tar.gz"), *passphrase, "--send-queued")
        assert {path.name: path.read_text() for path in (patchbay.data / "secrets").iterdir()} == kept
        start(patchbay)
        patchbay.settled()
        assert patchbay.statuses() == {"sent"}


def contents(backup: Path) -> dict[str, bytes]:
    with tarfile.open(backup) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def test_a_restore_is_refused_with_words_and_changes_nothing(
    embedded: MakesEmbedded, sandbox: Sandbox, tmp_path: Path
) -> None:
    with embedded() as patchbay:
        fill(patchbay, sandbox, [3600])
        backup = tmp_path / "backup.tar.gz"
        manage(patchbay, "backup", str(backup))
        state = tree(patchbay.data)
        assert "exists already" in manage(patchbay, "backup", str(backup), code=1)
        assert "The database is in use" in manage(patchbay, "restore", str(backup), code=1)
        serving = patchbay.serve()
        serving.wait_until_ready(patchbay.url)
        assert "is in use by process" in manage(patchbay, "restore", str(backup), code=1)
        serving.stop()
        lose(patchbay)
        (patchbay.data / "media").mkdir(parents=True)
        (patchbay.data / "media" / "mine").write_text("mine")
        assert "The media folder is not empty" in manage(patchbay, "restore", str(backup), code=1)
        (patchbay.data / "media" / "mine").unlink()
        for change in ("version", "database", "nothing", "twice"):
            alter(backup, tmp_path / change, change)
        (tmp_path / "half").write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
        refused = {
            "version": "which is newer than this one",
            "database": "has a database of PostgreSQL, and this Patchbay uses SQLite",
            "nothing": "The file is broken: it does not begin as a backup does.",
            "twice": "The media folder has a file same already.",
            "half": "The file is broken",
            "missing": "No such file",
        }
        program = RESTORES.format([str(tmp_path / name) for name in refused])
        said = manage(patchbay, "shell", "-v0", "-c", program).splitlines()
        assert [part in line for line, part in zip(said, refused.values(), strict=True)] == [True] * 6, said
        assert media(patchbay) == {}
        assert not (patchbay.data / "patchbay.sqlite3").exists()
        manage(patchbay, "restore", str(backup))
        assert tree(patchbay.data).keys() >= {path for path in state if not path.startswith("lock")}


LARGE = random.Random(12).randbytes(2_000_000)  # which nothing makes smaller


def tree(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def alter(backup: Path, altered: Path, change: str) -> None:
    """Writes the backup anew with another manifest, and the sum that goes with it."""
    from portal.backup import archive

    with archive.writing(altered) as writer:
        for name, body in contents(backup).items():
            if name == archive.MANIFEST:
                manifest = json.loads(body)
                if change == "version":
                    manifest["migrations"].append(["messaging", "9999_from_the_future"])
                elif change == "database":
                    manifest["database"] = "PostgreSQL"
                elif change == "nothing":
                    manifest = {}
                body = json.dumps(manifest).encode()
            if change == "twice" and name.startswith("database/"):
                for text in (b"first", b"second"):
                    writer.add("media/same", io.BytesIO(text), len(text))
            if name != archive.END:
                writer.add(name, io.BytesIO(body), len(body))


LIMITED = (
    "import resource, runpy, sys; limit = int(sys.argv.pop(1)); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
    "sys.argv[0] = 'manage.py'; runpy.run_path('manage.py', run_name='__main__')"
)


ROOMS = (100_000, 1_500_000)


def test_a_full_disk_leaves_nothing(embedded: MakesEmbedded, sandbox: Sandbox, tmp_path: Path) -> None:
    with embedded() as patchbay:
        fill(patchbay, sandbox, [3600])
        (patchbay.data / "media").mkdir()
        (patchbay.data / "media" / "one").write_bytes(b"1" * 2_000)
        (patchbay.data / "media" / "two").write_bytes(LARGE)
        folder = tmp_path / "backups"
        folder.mkdir()
        for room in ROOMS:
            said = limited(patchbay, room, "backup", str(folder))
            assert "cannot be" in said and list(folder.iterdir()) == []
        manage(patchbay, "backup", str(folder / "backup.tar.gz"))
        lose(patchbay)
        for room in ROOMS:
            said = limited(patchbay, room, "restore", str(folder / "backup.tar.gz"))
            assert "Nothing was changed." in said
            assert [path for path in tree(patchbay.data) if path != "lock"] == []
        manage(patchbay, "restore", str(folder / "backup.tar.gz"))
        assert media(patchbay)["two"] == LARGE


def limited(patchbay: Installation, room: int, *arguments: str) -> str:
    """What a command says that may not write larger files than this."""
    log = patchbay.log.with_name("limited")
    log.unlink(missing_ok=True)
    process = Process([sys.executable, "-c", LIMITED, str(room), *arguments], patchbay.environment, log)
    assert process.popen.wait(60) == 1, process.output
    assert "Traceback" not in process.output
    return process.output


def test_statuses_by_number() -> None:
    """The statements above write them as numbers."""
    assert Status.UNKNOWN == 20
