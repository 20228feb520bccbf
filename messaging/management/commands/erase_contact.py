from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging import erasure
from portal.models import Organization

SECONDS = 120  # longer than a message may be in flight


class Command(BaseCommand):
    help = "Erases a contact of an organization, and prints the protocol. This cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", help="the organization's id or domain")
        parser.add_argument("contact", help="the phone number, like +61412345678, or the sender's name")
        parser.add_argument("--with-opt-outs", action="store_true", help="erase the opt-outs, too")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["organization"]
        organization = (
            Organization.objects.filter(orgid=named).first()
            or Organization.objects.filter(domain=named).first()
        )
        if organization is None:
            raise CommandError(f"There is no organization with the id or domain {named!r}.")
        try:
            row = erasure.start(
                organization, options["contact"], None, with_opt_outs=options["with_opt_outs"]
            )
        except ValueError as error:
            raise CommandError(str(error)) from None
        end = time.monotonic() + SECONDS
        while not erasure.carry_out(row.pk):
            row.refresh_from_db()
            if row.finished_at is not None:  # a worker was faster
                break
            if time.monotonic() > end:
                raise CommandError("A message to the contact is being sent. A worker finishes the erasure.")
            time.sleep(1)
        row.refresh_from_db()
        found = ", ".join(erasure.in_words(row.counts)) or "Nothing was found"
        self.stdout.write(f"Erased {row.masked} of {organization}: {found}. Fingerprint: {row.fingerprint}.")
