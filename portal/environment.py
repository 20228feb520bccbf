"""The sources of the settings: environment variables, files that contain one, and the data folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read(name: str, default: str = "") -> str:
    """The variable NAME, else the content of the file that NAME_FILE names, else the default; stripped.

    Raises ImproperlyConfigured when that file cannot be read.
    """
    if (value := os.environ.get(name)) is not None:
        return value.strip()
    if (file := os.environ.get(f"{name}_FILE")) is not None:
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {file}, which cannot be read: {error.strerror}."
            ) from None
    return default


def read_list(name: str, default: str = "") -> list[str]:
    """The items of a variable, separated by commas or white space."""
    return read(name, default).replace(",", " ").split()


def read_number(name: str, default: int) -> int:
    """The variable as a whole number of 0 or more. Raises ImproperlyConfigured for anything else."""
    value = read(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number like {default}.")
    return int(value)


def read_numbers(name: str, default: str) -> list[int]:
    """The variable as one or more whole numbers. Raises ImproperlyConfigured for anything else."""
    values = read_list(name, default)
    if not values or not all(value.isascii() and value.isdigit() for value in values):
        raise ImproperlyConfigured(
            f"{name} is {read(name)!r}; it must be whole numbers like {default}, separated by spaces."
        )
    return [int(value) for value in values]


def data_folder() -> Path:
    """The folder of the database, the media and the generated secrets: PATCHBAY_DATA, or ./data."""
    return Path(read("PATCHBAY_DATA") or "data").absolute()


def prepare_data_folder() -> Path:
    """Creates the data folder if it is missing, readable by its owner only. Raises ImproperlyConfigured."""
    folder = data_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {folder} is not writable: {error.strerror}. "
            "Choose another with --data, or correct its owner."
        ) from None
    return folder


def secret(name: str, generate: Callable[[], str], *, required: bool) -> str:
    """The variable NAME or NAME_FILE or, unless that is required, a value generated once in the data folder.

    Raises ImproperlyConfigured.
    """
    if value := read(name):
        return value
    if required:
        raise ImproperlyConfigured(f"{name} (or {name}_FILE) must be set when DATABASE_URL is.")
    file = prepare_data_folder() / "secrets" / name.removeprefix("PATCHBAY_").lower()
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not file.exists():
            _write_once(file, generate())
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ImproperlyConfigured(
            f"The secret {file} cannot be read: {reason}. It must belong to the user of Patchbay."
        ) from None


def _write_once(file: Path, content: str) -> None:
    """Writes a new file in one step; of two processes that do so, the first wins."""
    temporary = file.with_suffix(f".{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def take_data_folder(arguments: list[str]) -> list[str]:
    """The arguments without `--data FOLDER`, which becomes PATCHBAY_DATA before the settings are read.

    The demo has a default folder of its own, so that its data never mixes with real data.
    """
    if arguments[1:2] == ["demo"]:
        os.environ.setdefault("PATCHBAY_DATA", "demo-data")
    rest, given = [], iter(arguments)
    for argument in given:
        if argument == "--data" and (folder := next(given, None)) is not None:
            os.environ["PATCHBAY_DATA"] = folder
        elif argument.startswith("--data="):
            os.environ["PATCHBAY_DATA"] = argument.removeprefix("--data=")
        else:
            rest.append(argument)
    return rest
