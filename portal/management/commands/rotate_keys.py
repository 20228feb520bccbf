from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import audit, keys
from portal.encryption import fingerprint, listed

SECONDS = 2  # between two lines about the same model


class Command(BaseCommand):
    help = (
        "Encrypts with the first key of PATCHBAY_ENCRYPTION_KEYS all that another key of the list has "
        "encrypted. Patchbay may run meanwhile, and the command may be stopped and started again."
    )
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        keys.require()
        first, *old = listed()
        if not old:
            raise CommandError(
                "PATCHBAY_ENCRYPTION_KEYS has a single key. Put the new key in front of it, and restart "
                "Patchbay."
            )
        self.stdout.write(f"All rows are encrypted with key {fingerprint(first)}.")
        result = keys.rotate(self._progress())
        self.stdout.write(f"Encrypted again: {result.changed} of them.")
        if result.unreadable:
            raise CommandError(
                f"{len(result.unreadable)} rows cannot be decrypted with any key of the list: "
                f"{', '.join(result.unreadable[: keys.SHOWN])}. `python manage.py check_keys` counts them."
            )
        if result.locked:
            raise CommandError(
                f"{len(result.locked)} rows were being changed all the time: "
                f"{', '.join(result.locked[: keys.SHOWN])}. Start the command once more."
            )
        audit.record(audit.Action.COMMAND, name="rotate_keys")
        self.stdout.write("Now ask `python manage.py check_keys` whether the old key may go.")

    def _progress(self) -> Any:
        spoken: dict[str, float] = {}

        def say(name: str, seen: int, total: int) -> None:
            now = time.monotonic()
            if seen == total or now - spoken.get(name, 0) >= SECONDS:
                spoken[name] = now
                self.stdout.write(f"{name}: {seen} of {total} rows")

        return say
