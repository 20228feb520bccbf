"""The file of a backup: it comes back as it was, and whatever else it may be is refused in words."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.backup import archive
from portal.backup.problems import Problem

FILES = {
    "manifest.json": b"{}",
    "database/a.copy": b"1\t2\n" * 5000,
    "media/2026/ä pic.png": bytes(9),
    "media/b": b"",
}


def write(path: Path, files: dict[str, bytes] = FILES, passphrase: str = "") -> Path:
    with archive.writing(path, passphrase) as writer:
        for name, content in files.items():
            writer.add(name, io.BytesIO(content), len(content))
    return path


def read(path: Path, passphrase: str = "") -> dict[str, bytes]:
    return {name: content.read() for name, _size, content in archive.members(path, passphrase)}


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_it_comes_back_as_it_was(tmp_path: Path, passphrase: str) -> None:
    path = write(tmp_path / "backup", FILES, passphrase)
    assert read(path, passphrase) == FILES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # What nobody reads is checked all the same.
    assert [name for name, _size, _content in archive.members(path, passphrase)] == list(FILES)


def test_it_replaces_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "backup")
    with pytest.raises(FileExistsError):
        write(path, {})
    assert read(path) == FILES


def test_the_passphrase_is_asked_for_and_no_other_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "backup", FILES, "correct horse")
    assert b"pic.png" not in path.read_bytes()
    with pytest.raises(Problem, match="The backup is encrypted: give its passphrase"):
        read(path)
    with pytest.raises(Problem, match="The passphrase is not that of the backup"):
        read(path, "wrong")
    with pytest.raises(Problem, match="The backup is not encrypted"):
        read(write(tmp_path / "plain"), "correct horse")


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "text": lambda whole: b"no backup",
    "half": lambda whole: whole[: len(whole) // 2],
    "without its last byte": lambda whole: whole[:-1],
    "without its last member": lambda whole: packed(list(unpacked(whole).items())[:-1]),
    "without a file": lambda whole: packed(list(unpacked(whole).items())[1:]),
    "with a file twice": lambda whole: packed([("media/b", b""), *unpacked(whole).items()]),
    "with more after its end": lambda whole: packed([*unpacked(whole).items(), ("media/c", b"")]),
    "with other bytes": lambda whole: packed(
        [*(unpacked(whole) | {"database/a.copy": b"1\t3\n" * 5000}).items()]
    ),
    "with another name": lambda whole: packed(
        [(name.replace("media/b", "media/c"), content) for name, content in unpacked(whole).items()]
    ),
}


def unpacked(whole: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def packed(files: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=out) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_refused(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "backup")
    path.write_bytes(BROKEN[how](path.read_bytes()))
    with pytest.raises(Problem, match="The file is broken"):
        read(path)


def test_each_changed_byte_is_noticed(tmp_path: Path) -> None:
    whole = gzip.decompress(write(tmp_path / "backup").read_bytes())
    names = {
        place: info for place in range(0, len(whole), 97) if (info := whole[place : place + 1]).strip(b"\0")
    }
    assert len(names) > 50
    for place in names:
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "changed").write_bytes(gzip.compress(bytes(changed), 1))
        try:
            found = read(tmp_path / "changed")
        except Problem:
            continue
        assert found == FILES  # a byte of tar's own, such as a mode, which nobody uses


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "media/../../escaped",
        "/etc/escaped",
        "media//etc/escaped",
        "media/./x",
        "media/a\\..\\b",
        "media/line\nbreak",
        "other/x",
        "media",
        "x",
    ],
)
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "backup", {"manifest.json": b"{}", name: b"evil"})
    with pytest.raises(Problem, match="is no name of a file in a backup"):
        read(path)
    assert not (tmp_path.parent / "escaped").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_nothing_but_files_is_taken(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "backup"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("media/x")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(Problem, match="does not belong there"):
        read(path)
