"""How long lists and searches take: `DATABASE_URL=… python -m benchmarks.lists`.

Empties that PostgreSQL database's schema, which takes a superuser, and fills it with messages, delivery
attempts and webhooks of three accounts. Prints for each page the median time until the answer is there, the
CPU time of web process and database, which other programs on the machine do not change, and the number of
queries; beside them a look-up by a primary key.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import django

AIM = 200  # ms


@dataclass(frozen=True)
class Taken:
    """Milliseconds: by the clock, of CPU, and of CPU in the database alone; and the number of queries."""

    wall: float
    cpu: float
    database: float
    queries: int = 0

    @staticmethod
    def now() -> Taken:
        """Since some moment; the database runs on this machine."""
        from django.db import connection

        backend = connection.connection.info.backend_pid
        database = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e6
        return Taken(time.perf_counter() * 1000, time.process_time() * 1000 + database, database)

    def since(self, before: Taken, queries: int) -> Taken:
        """What has been taken since then."""
        return Taken(self.wall - before.wall, self.cpu - before.cpu, self.database - before.database, queries)

    @staticmethod
    def median(found: list[Taken]) -> Taken:
        """Of each kind."""
        columns = ([getattr(each, name) for each in found] for name in ("wall", "cpu", "database", "queries"))
        wall, cpu, database, queries = map(statistics.median, columns)
        return Taken(wall, cpu, database, int(queries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_400_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="measure what is there, and empty nothing")
    parser.add_argument("--only", default="", help="only pages whose name or user contains this")
    options = parser.parse_args()
    if "DATABASE_URL" not in os.environ:
        sys.exit("Set DATABASE_URL to a PostgreSQL database of your own: its schema is emptied.")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PATCHBAY_DATA": folder,
            "PATCHBAY_SECRET_KEY": "only-for-benchmarks-" + "0" * 40,
            "PATCHBAY_ENCRYPTION_KEYS": "VGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBhLi4=",
            "PATCHBAY_LOG_LEVEL": "ERROR",
            "PATCHBAY_ALLOWED_HOSTS": "*",
        }
        django.setup()
        if not options.keep:
            _install(options.messages)
        _measure(options)


def _install(messages: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.lists_fill import fill

    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", None)
    call_command("migrate", verbosity=0)
    fill(messages)


def _pages() -> Iterator[tuple[str, str, str]]:
    """The user's address, what is looked for, and the page."""
    from django.utils import timezone

    from benchmarks.lists_fill import word
    from messaging.models import Message, Number
    from messaging.statuses import Direction
    from portal.models import User

    words = {
        "a common word": word(0),
        "a word": word(40),
        "a rarer word": word(3000),
        "a rare word": word(19_999),
        "two words": f"{word(2)} {word(30)}",
        "a prefix": word(5)[:3],
        "no such word": "nowhere",
    }

    def of(domain: str) -> Iterator[tuple[str, str]]:
        sent = Message.objects.filter(organization__domain=domain, direction=Direction.OUT)
        some = sent.order_by("-pk")[sent.count() // 3]
        numbers = list(Number.objects.filter(organization__domain=domain).order_by("pk"))
        address = quote(some.conversation.contact.address)
        day = timezone.localdate() - timedelta(days=40)
        week = f"{day - timedelta(days=7)}", f"{day}"
        searches = {
            **words,
            "two rarer words": f"{word(900)} {word(2500)}",
            "a number in the text": some.text.split()[-1],
            "a contact": address,
            "an id": str(some.uuid),
        }
        messages, attempts, webhooks = (
            f"/admin/messaging/{name}/" for name in ("message", "deliveryattempt", "webhookrequest")
        )
        queries = {
            "": "",
            "by days": "created_at_from={}&created_at_to={}".format(*week),
            "failed": "outcome=failed",
            "failed or unknown": "outcome=problem",
            "waiting": "outcome=waiting",
            "sent": "outcome=sent",
            "delivered": "outcome=delivered",
            "by error code": "code=30004",
            "received": "direction__exact=in",
            "by author": f"author={some.author_id}",
            "by provider": f"service={some.integration_id}",
            "by a busy number": f"number={quote(numbers[0].number)}",
            "older": f"before={some.pk}",
            "by a quiet number": f"number={quote(numbers[3].number)}",
            "by organization": f"organization={some.organization_id}",
            "by provider, failed": f"service={some.integration_id}&outcome=failed",
            **{f"search: {name}": f"q={quote(term)}" for name, term in searches.items()},
            "search: a word, by days": "q={}&created_at_from={}&created_at_to={}".format(word(40), *week),
        }
        yield from ((f"messages {name}".strip(), f"{messages}?{query}") for name, query in queries.items())
        queries = {
            "": "",
            "by days": "started_at_from={}&started_at_to={}".format(*week),
            "failed": "result=failed",
            "not accepted": "result=problem",
            "accepted": "result=sent",
            "by HTTP status": "http=402",
            "answered with 200": "http=200",
            "by provider": f"service={some.integration_id}",
            "by organization": f"organization={some.organization_id}",
            "search: a contact": f"q={address}",
            "search: an id": f"q={some.uuid}",
            "search: a provider's id": f"q=made-{some.pk}",
        }
        yield from ((f"attempts {name}".strip(), f"{attempts}?{query}") for name, query in queries.items())
        provider = some.integration.template_id if some.integration else 0
        queries = {
            "": "",
            "by days": "received_at_from={}&received_at_to={}".format(*week),
            "quarantine": "quarantine=yes",
            "accepted": "verdict__exact=accepted",
            "unmatched": "verdict__exact=unmatched",
            "by response": "http=200",
            "by provider": f"provider={provider}",
            "by organization": f"organization={some.organization_id}",
            **{f"search: {name}": f"q={quote(term)}" for name, term in searches.items()},
        }
        yield from ((f"webhooks {name}".strip(), f"{webhooks}?{query}") for name, query in queries.items())
        contacts = "/admin/messaging/contact/"
        yield "contacts", contacts
        yield "contacts search: a name", f"{contacts}?q=contact+77"
        yield "contacts search: a number", f"{contacts}?q={address}"

    for user, domain in {  # who searches, and the organization whose rows they search for
        "admin@o0-0.example": "o0-0.example",
        "admin@o0-12.example": "o0-12.example",
        "account0@example.com": "o0-0.example",
        "account2@example.com": "o2-0.example",
        "operator@example.com": "o0-0.example",
    }.items():
        yield from ((user, name, page) for name, page in of(domain))
    texter = "user0@o0-0.example"
    assert User.objects.filter(email=texter).exists()
    yield texter, "inbox", "/inbox/list/"
    for name, term in {**words, "a name": "contact 77", "a number": "0412"}.items():
        yield texter, f"inbox search: {name}", f"/inbox/list/?q={quote(term)}"


def _measure(options: argparse.Namespace) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from portal.models import User

    if not User.objects.filter(is_operator=True).exists():
        User.objects.create_superuser("operator@example.com", "correct-horse-battery", name="Operator")
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")  # whose time nobody would count
    pages = [page for page in _pages() if options.only in f"{page[0]} {page[1]}"]
    clients = {address: Client() for address, _, _ in pages}
    for address, client in clients.items():
        client.force_login(User.objects.get(email=address))
    took: dict[tuple[str, str, str], list[Taken]] = {page: [] for page in pages}
    queries = {}
    for page in pages:  # the first time warms; to note the statements takes longer than to send them
        with CaptureQueriesContext(connection) as captured:
            answer = clients[page[0]].get(page[2])
        assert answer.status_code == 200, f"{page}: {answer.status_code}"
        queries[page] = len(captured)
    bare: list[Taken] = []
    for _ in range(options.rounds):
        for page in pages:
            before = Taken.now()
            clients[page[0]].get(page[2])
            took[page].append(Taken.now().since(before, queries[page]))
            bare.append(_look_up())
    _report(took, bare)


def _look_up() -> Taken:
    """What a statement takes that reads one row by its primary key."""
    from messaging.models import Message

    before = Taken.now()
    Message.objects.filter(pk=1).first()
    return Taken.now().since(before, 1)


def _report(took: dict[tuple[str, str, str], list[Taken]], bare: list[Taken]) -> None:
    print("| user | page | ms | CPU ms | of these the database | queries |\n|---|---|---|---|---|---|")
    missed = 0
    for (address, name, _), each in took.items():
        found = Taken.median(each)
        missed += found.cpu > AIM
        mark = "**" if found.cpu > AIM else ""
        print(
            f"| {address} | {name} | {found.wall:.0f} | {mark}{found.cpu:.0f}{mark} "
            f"| {found.database:.0f} | {found.queries} |"
        )
    one = Taken.median(bare)
    print(f"\n{missed} of {len(took)} pages take more than {AIM} ms of CPU.")
    print(f"A look-up by a primary key takes {one.wall:.2f} ms, {one.cpu:.2f} of CPU.")


if __name__ == "__main__":
    main()
