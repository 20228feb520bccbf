from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import services
from messaging import demo
from portal import environment
from portal.management.commands.serve import add_arguments, options_from
from portal.serve import run


class Command(BaseCommand):
    help = (
        "Runs Patchbay with an example account, and a sandbox provider whose page looks like a phone. "
        "--data FOLDER is where everything is stored (./demo-data)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)
        parser.add_argument(
            "--service",
            choices=services(),
            default="generic",
            metavar="NAME",
            help="provider to simulate: " + ", ".join(services()) + " (%(default)s)",
        )
        parser.add_argument("--phone-port", type=int, default=8001, help="port of the phone (%(default)s)")

    def handle(self, *args: Any, **given: Any) -> None:
        options = options_from(given)
        password = environment.secret(
            "PATCHBAY_DEMO_PASSWORD", lambda: f"demo-{secrets.token_hex(3)}", required=False
        )
        provider = Sandbox(services()[given["service"]], host=options.host, port=given["phone_port"])
        try:
            provider.start()
        except OSError as error:
            raise CommandError(
                f"Port {provider.port} cannot be used for the phone: {error.strerror}. "
                "Choose another with --phone-port."
            ) from None
        lines: list[str] = []

        def prepare() -> None:
            # Portal and provider call each other, in addition to the origins that are already allowed.
            settings.PATCHBAY_ALLOWED_ORIGINS = [
                *settings.PATCHBAY_ALLOWED_ORIGINS,
                provider.origin,
                settings.PUBLIC_URL,
            ]
            example = demo.create(provider, password)
            provider.webhook_url, provider.numbers = example.webhook_url, example.numbers
            lines.extend(f"  {address:<28} {what}" for address, what in example.logins)

        def ready() -> None:
            self.stdout.write(f"Portal:    {settings.PUBLIC_URL}/\nPhone:     {provider.url}/")
            self.stdout.write(f"Provider:  {provider.name}")
            self.stdout.write(f"Users, all with the password {password}:")
            self.stdout.write("\n".join(lines))

        try:
            run(options, prepare=prepare, ready=ready, say=self.stdout.write)
        finally:
            provider.stop()
