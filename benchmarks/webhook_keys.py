"""What a webhook costs that does not say whose it is: `DATABASE_URL=… python -m benchmarks.webhook_keys`.

Installs Patchbay in that database, which must be empty, or in a new SQLite file, and gives 10,000
organizations of one account a provider that signs, each with a key of its own. Prints the milliseconds of
CPU that this process spends on each request, and as a yardstick those of trying every key.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable

from cryptography.fernet import Fernet

VERIFY = {"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig$"}
EVENT = {
    "event_type": "messageDelivered",
    "request_parameters": {"account": "$Account ID$", "id": "$messageid$"},
}
DOCUMENT = {
    "id": "keyed",
    "name": "Keyed",
    "properties": [{"name": "Account ID", "secret": False}, "Key"],
    "Webhook": {"verify": VERIFY, "events": [EVENT]},
}


def milliseconds(act: Callable[[], object], times: int, before: Callable[[], object] = bool) -> float:
    """CPU of this process, the median of so many calls; what `before` does ahead of each is not counted."""
    took = []
    for _ in range(times):
        before()
        began = time.process_time()
        act()
        took.append((time.process_time() - began) * 1000)
    return statistics.median(took)


def main() -> None:
    """Fills the database, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--integrations", type=int, default=10_000)
    count = parser.parse_args().integrations
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{tempfile.mkdtemp()}/keys.sqlite3")
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    os.environ.setdefault("PATCHBAY_SECRET_KEY", "only for this benchmark, in a database that is thrown away")
    os.environ.setdefault("PATCHBAY_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    import django

    django.setup()
    from django.core.management import call_command

    from integrations import compared_values, webhooks
    from integrations.events import InboundRequest
    from integrations.models import Integration, PropertyValues, Template
    from messaging.webhooks import accept
    from portal import process
    from portal.models import Account, Organization

    call_command("migrate", verbosity=0)
    account = Account.objects.create(name="Bench")
    template = Template(account=account)
    template.revise(json.dumps(DOCUMENT))
    organizations = Organization.objects.bulk_create(
        [
            Organization(account=account, name=f"O{n}", domain=f"o{n}.example", orgid=str(10**19 + n))
            for n in range(count)
        ],
        batch_size=1000,
    )
    made = Integration.objects.bulk_create(
        [Integration(organization=item, template=template) for item in organizations],
        batch_size=1000,
    )
    PropertyValues.objects.bulk_create(
        [
            PropertyValues(integration=item, values={"Account ID": f"ac{index}", "Key": f"key{index}"})
            for index, item in enumerate(made)
        ],
        batch_size=1000,
    )
    compared_values.renew(PropertyValues.objects.all())

    def ask(document: dict[str, str]) -> Callable[[], object]:
        headers = {"content-type": "application/json", "x-sig": "0" * 64}
        request = InboundRequest("POST", headers=headers, body=json.dumps(document).encode())

        def act() -> None:
            answer = accept.accept("keyed", account.accountid, request)
            assert answer is not None and answer.status == 401

        return act

    compiled = template.published.compiled if template.published else None
    assert compiled is not None
    request = InboundRequest(
        "POST",
        headers={"content-type": "application/json", "x-sig": "0" * 64},
        body=b'{"account": "ac1", "id": "x"}',
    )

    def try_all() -> None:
        for item in Integration.objects.ready().filter(template=template):
            webhooks.read(compiled, request, item.own_values)

    print(f"CPU milliseconds for a request, {count:,} integrations: nothing cached | cached")
    for name, document in {
        "unknown id, unknown account": {"account": "none", "id": "x"},
        "unknown id, known account, wrong key": {"account": "ac77", "id": "x"},
    }.items():
        act = ask(document)
        act()
        cold, warm = milliseconds(act, 11, process.close), milliseconds(act, 101)
        print(f"{name:40} {cold:8.1f} | {warm:8.2f}")
    print(f"{'yardstick: every key':40} {milliseconds(try_all, 1):8.1f}")


if __name__ == "__main__":
    main()
