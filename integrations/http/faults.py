"""The sentences for a request without an answer; `place` is host:port, since URLs may hold secrets."""

from __future__ import annotations

from integrations.events import Fault


def blocked(why: str) -> Fault:
    return Fault("blocked", why)


def not_found(place: str) -> Fault:
    return Fault(
        "connect", f"The host name of {place} was not found. Check its spelling, or try again later."
    )


def no_connection(place: str, why: str) -> Fault:
    return Fault(
        "connect", f"No connection to {place}: {why}. Nothing was sent. Check the address and the server."
    )


def bad_certificate(place: str, why: str) -> Fault:
    return Fault(
        "tls",
        f"No secure connection to {place}: {why}. Nothing was sent. "
        "Ask the owner of the server for a certificate that a public authority has signed.",
    )


def unanswered(place: str, why: str) -> Fault:
    return Fault("unanswered", f"{place} gave no complete answer: {why}. It may have acted on the request.")


def out_of_time(place: str, seconds: float, *, connected: bool) -> Fault:
    why = f"the time of {seconds:g} s was over"
    return unanswered(place, why) if connected else no_connection(place, why)


def too_large(place: str, max_bytes: int) -> str:
    return f"The answer of {place} is larger than {max_bytes:,} bytes, the most that is read."
