"""Services that misbehave: what becomes of a message, after how many requests that the service saw.

A message may be sent again only if the service cannot have taken it: it said so, or read no request.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messaging.statuses import Status
from tests.faults.provider import Behaviour, Client, Provider, first, once, well
from tests.faults.services import own
from tests.installation import Embedded
from tests.processes import wait_for

# Set when the first of two messages has been recorded, and the second becomes due.
IDLE = threading.Event()
LATER = 1000.0


@dataclass(frozen=True)
class Fault:
    """How a service fails, and what is to come of each message: status, attempts; and requests in all."""

    name: str
    behaviour: Behaviour
    outcomes: list[tuple[Status, int]]
    requests: int
    method: str = "POST"
    idempotent: bool = False
    due: tuple[float, ...] = (0,)


def before_reading(client: Client) -> None:
    client.connection.recv(1, socket.MSG_PEEK)  # else it is refused
    client.reset()


def after_reading(client: Client) -> None:
    client.read()
    client.reset()


def hangs_up(client: Client) -> None:
    client.read()


def drips(client: Client) -> None:
    client.read()
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
        client.say(bytes([byte]))
        time.sleep(1)


def never_ends(client: Client) -> None:
    client.read()
    client.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        client.say(b"1000\r\n" + b" " * 4096 + b"\r\n")


def too_late(client: Client) -> None:
    client.read()
    client.closed(5)  # the deadline is 2 s
    client.answer()


def breaks_off(client: Client) -> None:
    client.read()
    client.say(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        b'{"data": {"id": "17"}}'
    )


def hangs_up_once(client: Client) -> None:
    if client.read() > 1:
        client.answer()


def hangs_up_on_a_kept_connection(client: Client) -> None:
    client.read()
    client.answer()
    client.read()


def closes_while_idle(client: Client) -> None:
    client.read()
    client.answer()
    IDLE.wait()


def html(status: str) -> Behaviour:
    return first(lambda client: client.answer(status, b"<html><h1>It works!</h1>", "Content-Type: text/html"))


SENT, FAILED, UNKNOWN = Status.SENT, Status.FAILED, Status.UNKNOWN
FAULTS = [
    # Nothing was read, and that is certain: it is sent again.
    Fault("refused", well, [(SENT, 2)], 1),
    Fault("tls", well, [(FAILED, 1)], 0),
    # The service says that it did not take it.
    Fault("429", once("429 Slow"), [(SENT, 2)], 2),
    Fault("429-retry-after", once("429 Slow", "Retry-After: 3"), [(SENT, 2)], 2),
    Fault("500", once("500 Oh"), [(SENT, 2)], 2),
    Fault("503", once("503 Busy", "Retry-After: 3"), [(SENT, 2)], 2),
    Fault("401", once("401 Who"), [(SENT, 2)], 2),
    Fault("400", once("400 No"), [(FAILED, 1)], 1),
    Fault("302", once("302 Elsewhere", "Location: /elsewhere"), [(FAILED, 1)], 1),
    # The request may have been read, and no answer tells what became of it: a person decides.
    Fault("reset-before-reading", before_reading, [(UNKNOWN, 1)], 0),
    Fault("reset-after-reading", after_reading, [(UNKNOWN, 1)], 1),
    Fault("hangs-up", hangs_up, [(UNKNOWN, 1)], 1),
    Fault("empty-200", first(lambda client: client.answer("200 OK", b"")), [(UNKNOWN, 1)], 1),
    Fault("html-200", html("200 OK"), [(UNKNOWN, 1)], 1),
    Fault("504", html("504 Gateway"), [(UNKNOWN, 1)], 1),
    Fault("breaks-off", breaks_off, [(UNKNOWN, 1)], 1),
    Fault("drips", drips, [(UNKNOWN, 1)], 1),
    Fault("never-ends", never_ends, [(UNKNOWN, 1)], 1),
    Fault("too-late", too_late, [(UNKNOWN, 1)], 1),
    Fault("too-late-get", too_late, [(UNKNOWN, 1)], 1, method="GET"),
    # The template says that the service suppresses repeats.
    Fault("hangs-up-idempotent", hangs_up_once, [(SENT, 2)], 2, idempotent=True),
    # On a connection that was kept after the first message:
    Fault(
        "hangs-up-on-kept-get",
        hangs_up_on_a_kept_connection,
        [(SENT, 1), (UNKNOWN, 1)],
        2,
        "GET",
        due=(0, LATER),
    ),
    Fault("closes-while-idle", closes_while_idle, [(SENT, 1), (SENT, 1)], 2, due=(0, LATER)),
]


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@dataclass
class Aftermath:
    """What the services saw, and what became of the messages."""

    providers: dict[str, Provider]
    messages: dict[str, tuple[int, int]]
    sentences: dict[str, str]


def tried(patchbay: Embedded, text: str) -> bool:
    """Whether an attempt of the message has been recorded."""
    return bool(
        patchbay.one(
            "SELECT count(*) FROM messaging_deliveryattempt WHERE message_id ="
            " (SELECT id FROM messaging_message WHERE text = %s)",
            text,
        )
    )


@pytest.fixture(scope="module")
def aftermath(
    embedded: Callable[..., AbstractContextManager[Embedded]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    """All faults at once, each of an organization of its own, until no message waits any more."""
    providers: dict[str, Provider] = {}
    organizations = []
    for fault in FAULTS:
        tls = self_signed(tmp_path_factory.mktemp("tls")) if fault.name == "tls" else None
        providers[fault.name] = Provider(fault.behaviour, tls=tls, late=fault.name == "refused")
        send = {"timeout": 2, "request_method": fault.method, "idempotent": fault.idempotent}
        organizations.append(
            {
                "name": fault.name,
                "document": own(f"own-{fault.name}", **send),
                "url": f"{providers[fault.name].origin}/",
                "count": len(fault.outcomes),
                "due": fault.due,
            }
        )
    with ExitStack() as stack:
        for provider in providers.values():
            stack.callback(provider.stop)
        patchbay = stack.enter_context(embedded())
        patchbay.fill(*organizations)
        patchbay.serve()
        wait_for(lambda: tried(patchbay, "refused 0"), 60, lambda: patchbay.output)
        providers["refused"].listen()
        firsts = [f"{fault.name} 0" for fault in FAULTS if len(fault.outcomes) > 1]
        wait_for(lambda: all(tried(patchbay, text) for text in firsts), 60, lambda: patchbay.output)
        IDLE.set()
        patchbay.query("UPDATE messaging_message SET next_attempt_at = datetime('now') WHERE text LIKE '% 1'")
        patchbay.settled()
        sentences = dict(patchbay.query("SELECT text, status_text FROM messaging_message"))
        yield Aftermath(providers, patchbay.messages(), sentences)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault, aftermath: Aftermath) -> None:
    outcomes = [aftermath.messages[f"{fault.name} {index}"] for index in range(len(fault.outcomes))]
    assert outcomes == fault.outcomes
    assert len(aftermath.providers[fault.name].received) == fault.requests
    for index, (status, _) in enumerate(outcomes):
        assert bool(aftermath.sentences[f"{fault.name} {index}"]) == (status != SENT)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("429", 0.7, 10), ("429-retry-after", 2.9, 20), ("503", 2.9, 20), ("500", 0.7, 10)],
)
def test_the_second_request_comes_when_it_should(
    name: str, least: float, most: float, aftermath: Aftermath
) -> None:
    first_request, second = aftermath.providers[name].received
    assert least < second.time - first_request.time < most
