from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import keys
from portal.encryption import fingerprint, listed


class Command(BaseCommand):
    help = (
        "Says how many rows need which key of PATCHBAY_ENCRYPTION_KEYS. It fails if an old key of the list "
        "is still needed, or if something cannot be decrypted. It reads everything and changes nothing."
    )
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        found = keys.needed()
        problems = []
        for place, key in enumerate(listed()):
            rows, name = found.by(place), f"Key {place + 1} ({fingerprint(key)})"
            self.stdout.write(f"{name}, {'which encrypts' if place == 0 else 'old'}: {in_words(rows)}")
            if place and rows:
                problems.append(f"{name} is still needed: run `python manage.py rotate_keys`.")
            elif place:
                self.stdout.write("  It may be removed from the list.")
        if found.unreadable:
            self.stdout.write(f"No key of the list: {in_words(found.unreadable)}")
            problems.append(f"No key of the list decrypts {', '.join(found.examples)}{_more(found)}.")
        if problems:
            raise CommandError(" ".join(problems))


def in_words(rows: Mapping[str, int]) -> str:
    """How many rows, in all and of each model."""
    total = sum(rows.values())
    each = ", ".join(f"{name} {count}" for name, count in rows.items())
    return f"{total} {'row' if total == 1 else 'rows'}{f' ({each})' if each else ''}"


def _more(found: keys.Needed) -> str:
    more = found.unreadable.total() - len(found.examples)
    return f" and {more} more" if more else ""
