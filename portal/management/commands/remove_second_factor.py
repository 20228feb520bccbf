from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.account import second_factors
from portal.models import User


class Command(BaseCommand):
    help = (
        "Removes the second factor that somebody has lost, above all the only operator; others are helped by "
        "an administrator on the page of the user. It ends their sessions, and a mail tells them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the address with which they sign in")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].lower()).first()
        if user is None:
            raise CommandError(f"No user has the address {options['email']}.")
        if not second_factors.has_one(user):
            raise CommandError(f"{user.email} has no second factor.")
        told = second_factors.remove(user)
        how = "A mail tells them." if told else "No mail could be sent: tell them."
        self.stdout.write(f"{user.email} signs in with the password alone now. {how}")
