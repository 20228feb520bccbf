from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import audit
from portal.backup import Problem, restore
from portal.management.commands.backup import read_passphrase


class Command(BaseCommand):
    help = (
        "Restores a backup into an empty installation. Messages that waited to be sent are held, since they "
        "may have been sent after the backup; --send-queued sends them."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="file that `backup` has written")
        parser.add_argument(
            "--passphrase-file", type=Path, help="the passphrase of the backup is in this file"
        )
        parser.add_argument(
            "--send-queued",
            action="store_true",
            help="send what waited: only if Patchbay has not run since the backup, as when it moves",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        passphrase = read_passphrase(options["passphrase_file"])
        try:
            done = restore(options["path"], passphrase=passphrase, send_queued=options["send_queued"])
        except Problem as problem:
            raise CommandError(f"{problem} Nothing was changed.") from None
        except OSError as error:
            raise CommandError(
                f"The backup cannot be restored: {error.strerror or error}. Nothing was changed."
            ) from None
        audit.record(audit.Action.COMMAND, name="restore")
        self.stdout.write(
            f"Restored the backup of {done.made_at:%Y-%m-%d %H:%M} UTC, made by Patchbay {done.version}, "
            f"with {done.media} media file{'' if done.media == 1 else 's'}"
            f"{' and the keys' if done.secrets else ''}."
        )
        for sentence in done.said:
            self.stdout.write(sentence)
        self.stdout.write("Now start Patchbay: `serve` by itself, else run `python manage.py install` first.")
