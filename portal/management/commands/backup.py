from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from portal import audit
from portal.backup import Problem, create


class Command(BaseCommand):
    help = (
        "Writes a backup into one file: the database as it is at one moment, and the media. Patchbay may run "
        "meanwhile. The keys are not in it, unless --with-keys is given: keep them apart from it."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path",
            type=Path,
            nargs="?",
            default=Path(),
            help="folder for the file (this folder), or the name of a new file, such as patchbay.tar.gz",
        )
        parser.add_argument("--passphrase-file", type=Path, help="encrypt with the passphrase in this file")
        parser.add_argument(
            "--with-keys", action="store_true", help="also the keys in the data folder; needs a passphrase"
        )
        parser.add_argument("--without-media", action="store_true", help="the database only")

    def handle(self, *args: Any, **options: Any) -> None:
        passphrase = read_passphrase(options["passphrase_file"])
        path: Path = options["path"]
        if path.is_dir():
            path /= f"patchbay-{timezone.now():%Y%m%d-%H%M%S}.tar.gz{'.age' if passphrase else ''}"
        elif not path.exists() and "." not in path.name:
            raise CommandError(
                f"There is no folder {path}, and no file was written. Create the folder first; or, if it is "
                "to be a file, end its name with .tar.gz."
            )
        try:
            made = create(
                path.absolute(),
                passphrase=passphrase,
                with_keys=options["with_keys"],
                with_media=not options["without_media"],
            )
        except Problem as problem:
            raise CommandError(str(problem)) from None
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written: {error.strerror or error}. There is no file. The folder must "
                "exist, with room, and the user of Patchbay must be allowed to write there."
            ) from None
        audit.record(audit.Action.COMMAND, name="backup")
        files = "1 media file" if made.media == 1 else f"{made.media} media files"
        self.stdout.write(f"{made.path}: {made.size} bytes, the database and {files}.")
        if made.secrets:
            self.stdout.write("The keys are in it: whoever has the file and its passphrase has everything.")
        else:
            self.stdout.write(
                "The keys are not in it. Without PATCHBAY_ENCRYPTION_KEYS its credentials cannot be read: "
                "keep them safe, and apart from the backup."
            )


def read_passphrase(path: Path | None) -> str:
    """The first line of the file, or "" without one. Raises CommandError."""
    if path is None:
        return ""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The passphrase cannot be read: {error}.") from None
    if not lines or not lines[0]:
        raise CommandError(f"{path} has no passphrase in its first line.")
    return lines[0]
