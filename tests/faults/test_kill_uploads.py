"""kill -9 between the upload of files and the message that sends them: neither is ever repeated."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from messaging.statuses import Status
from tests.faults.provider import Client, Provider
from tests.installation import Embedded
from tests.processes import wait_for


class Holding:
    """Answers every request but the one with a number, until it is opened."""

    def __init__(self, held: int) -> None:
        self.held, self.opened = held, threading.Event()

    def __call__(self, client: Client) -> None:
        while number := client.read():
            if number == self.held:
                self.opened.wait()
            client.answer()


def document(service_id: str, idempotent: str) -> dict[str, Any]:
    """A service that wants files uploaded first, and may suppress repeats of one method."""
    methods: dict[str, dict[str, Any]] = {
        "UploadFile": {
            "request_url": "$URL$",
            "request_parameters": {"upload": "$media[0].content$"},
            "response_map": {"data": {"id": "$media_id$"}},
        },
        "SendFile": {
            "request_url": "$URL$",
            "request_parameters": {"text": "$text$", "files": "$media|pluck:'media_id'$"},
            "response_map": {"data": {"id": "$messageid$"}},
        },
    }
    if idempotent:
        methods[idempotent]["idempotent"] = True
    return {
        "id": service_id,
        "name": "Uploads",
        "properties": [{"name": "URL", "type": "url", "secret": False}],
        "API": methods,
    }


ONE, TWO = {"upload": "ZmlsZSAw"}, {"upload": "ZmlsZSAx"}
# Which request is in flight when the process dies, what may be repeated, what comes, and the message's status.
CASES: dict[str, tuple[int, str, list[Any], Status]] = {
    "first": (1, "", [ONE], Status.UNKNOWN),
    "second": (2, "", [ONE, TWO], Status.UNKNOWN),
    "second-again": (2, "UploadFile", [ONE, TWO, TWO, ["id-1", "id-3"]], Status.SENT),
    "send": (3, "", [ONE, TWO, ["id-1", "id-2"]], Status.UNKNOWN),
    "send-again": (3, "SendFile", [ONE, TWO, ["id-1", "id-2"], ["id-1", "id-2"]], Status.SENT),
}


def test_kill_9_between_uploads_and_the_message(
    embedded: Callable[..., AbstractContextManager[Embedded]],
) -> None:
    holding = {name: Holding(held) for name, (held, _, _, _) in CASES.items()}
    providers = {name: Provider(behaviour) for name, behaviour in holding.items()}
    organizations = [
        {
            "name": name,
            "document": document(f"own-{name}", idempotent),
            "url": f"{providers[name].origin}/",
            "count": 1,
            "files": 2,
        }
        for name, (_, idempotent, _, _) in CASES.items()
    ]
    try:
        with embedded() as patchbay:
            patchbay.fill(*organizations)
            serving = patchbay.serve()
            wait_for(
                lambda: all(len(providers[name].received) == CASES[name][0] for name in CASES),
                60,
                lambda: patchbay.output,
            )
            serving.kill()
            for behaviour in holding.values():
                behaviour.opened.set()
            patchbay.serve()
            patchbay.settled()
            status = {text.removesuffix(" 0"): rank for text, (rank, _) in patchbay.messages().items()}
    finally:
        for provider in providers.values():
            provider.stop()
    came = {name: [json.loads(item.body) for item in providers[name].received] for name in CASES}
    assert {name: [body.get("files", body) for body in bodies] for name, bodies in came.items()} == {
        name: bodies for name, (_, _, bodies, _) in CASES.items()
    }
    assert status == {name: rank for name, (_, _, _, rank) in CASES.items()}
