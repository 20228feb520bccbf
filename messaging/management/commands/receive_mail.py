from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from messaging.errors import Refused
from messaging.notices import replies

MAX_BYTES = 25 * 1024 * 1024


class Command(BaseCommand):
    help = (
        "Files an answer to a notice, which the mail server hands over on standard input. Ends with 0 if it "
        "is filed or needs nobody, 77 if it is refused, and 75 if it is to be tried again (sysexits.h)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", default="", help="the address that the mail came to")

    def handle(self, *args: Any, **options: Any) -> None:
        if not replies.is_configured():
            self._end("PATCHBAY_REPLY_ADDRESS is not set.", os.EX_CONFIG)
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            self._end("The mail is too large.", os.EX_NOPERM)
        try:
            replies.receive(raw, options["to"])
        except replies.NotForUs:
            return
        except Refused as refusal:
            self._end(str(refusal), os.EX_NOPERM)
        except DatabaseError as error:
            self._end(f"The database does not answer: {type(error).__name__}.", os.EX_TEMPFAIL)

    def _end(self, said: str, code: int) -> None:
        self.stderr.write(said)
        raise SystemExit(code)
