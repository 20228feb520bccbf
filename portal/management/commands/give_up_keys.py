from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import audit, keys
from portal.management.commands.check_keys import in_words


class Command(BaseCommand):
    help = (
        "For keys that are lost for ever: deletes what no key of PATCHBAY_ENCRYPTION_KEYS decrypts, so that "
        "Patchbay starts again. Without --yes it only says what that is. Make a backup first."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="delete it; this cannot be undone")

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = keys.needed().unreadable
        if not unreadable:
            self.stdout.write("The keys of the list decrypt everything. Nothing was changed.")
            return
        if not options["yes"]:
            raise CommandError(
                f"No key of the list decrypts {in_words(unreadable)}. Nothing was changed. If the key is "
                "lost for ever, make a backup, then add --yes to delete them."
            )
        given_up = keys.give_up_unreadable()
        audit.record(audit.Action.COMMAND, name="give_up_keys")
        self.stdout.write(f"Given up: {in_words(given_up)}. Now start Patchbay, and enter credentials again.")
