from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from portal import keys, startup
from portal.environment import prepare_data_folder
from portal.signals import installing


class Command(BaseCommand):
    help = "Updates the database and the built-in templates. `serve` does this by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DATABASE_URL:
            prepare_data_folder()
        startup.check()
        call_command("migrate", interactive=False, verbosity=options["verbosity"], skip_checks=False)
        keys.remember()
        installing.send(sender=None)
