"""The sentences for requests without a response; `place` is host:port, since a URL may contain secrets."""

from __future__ import annotations

from integrations.events import Fault


def blocked(why: str) -> Fault:
    return Fault("blocked", why)


def not_found(place: str) -> Fault:
    return Fault(
        "connect", f"The host name of {place} was not found. Check the spelling, or try again later."
    )


def no_connection(place: str, why: str) -> Fault:
    return Fault(
        "connect", f"Could not connect to {place}: {why}. Nothing was sent. Check the address and the server."
    )


def bad_certificate(place: str, why: str) -> Fault:
    return Fault(
        "tls",
        f"Could not connect to {place} securely: {why}. Nothing was sent. "
        "The server needs a valid certificate from a public certificate authority.",
    )


def unanswered(place: str, why: str) -> Fault:
    return Fault(
        "unanswered", f"{place} sent no complete response: {why}. It may have processed the request."
    )


def timed_out(place: str, seconds: float, *, connected: bool) -> Fault:
    why = f"it timed out after {seconds:g} seconds"
    return unanswered(place, why) if connected else no_connection(place, why)


def too_large(place: str, max_bytes: int) -> str:
    return f"The response of {place} is larger than the limit of {max_bytes:,} bytes."
