from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.serve import Options, run


class Command(BaseCommand):
    help = "Runs all of Patchbay in one process. --data FOLDER is where everything is stored (./data)."
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        run(options_from(options), say=self.stdout.write)


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of `serve`, which `demo` has too."""
    parser.add_argument("--host", default=Options.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=Options.port, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--admin-email",
        default=Options.admin_email,
        help="e-mail address of the operator created on the first start (%(default)s)",
    )
    parser.add_argument(
        "--admin-password", default="", help="password of that operator (generated and shown once)"
    )


def options_from(given: dict[str, Any]) -> Options:
    """The parsed options, as `run` expects them."""
    return Options(given["host"], given["port"], given["admin_email"], given["admin_password"])
