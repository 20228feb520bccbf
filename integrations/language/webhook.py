"""The Webhook section: its events, in order, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from integrations.language.errors import child
from integrations.language.names import EXCHANGE
from integrations.language.scope import Scope
from integrations.language.sections import check_keys
from integrations.language.values import Value, Variables
from integrations.language.verify import Verification, compile_verify
from integrations.language.webhook_events import KEYS, WebhookEvent, compile_event
from integrations.language.webhook_responses import (
    OTHER_KEYS,
    WebhookResponse,
    compile_webhook_response,
)

SECTION_KEYS = {"events": "[the events](#webhook-events), in order; the keys beside it are their defaults"}


@dataclass(frozen=True)
class Webhook:
    """The section: its events, in order, and the responses to requests that no event matches.

    `verify` is the section's own, which also applies to requests that match no event; with `verified`, it or
    one of an event is there. With `same_for_all`, the values of the properties make no difference to how a
    request is read. `compared` are the properties, none of them secret, whose values requests carry, such as
    an account id; `claims` read those that no shape compares: a user name. `reads` are all that it reads.
    """

    events: tuple[WebhookEvent, ...] = ()
    verify: Verification | None = None
    ignored: WebhookResponse = field(default_factory=WebhookResponse)
    error: WebhookResponse = field(default_factory=lambda: WebhookResponse(400))
    verified: bool = False
    same_for_all: bool = False
    compared: frozenset[str] = frozenset()
    claims: tuple[tuple[str, Callable[[Variables], Value]], ...] = ()
    reads: frozenset[str] = frozenset()

    @cached_property
    def iterates(self) -> bool:
        """Whether some event takes the elements of a list one by one."""
        return any(event.iterates for event in self.events)

    @property
    def open(self) -> bool:
        """Whether some event takes requests from anybody."""
        return any(event.verify is None or event.verify.open for event in self.events)


def compile_webhook(node: Value, scope: Scope, pointer: str) -> Webhook:
    """The section: one event, a list, an object with `events` and defaults, or one of named events."""
    scope = replace(scope, webhook=True, used=set(), compared=set(), claims=[])
    section = pointer
    defaults: dict[str, Value] = {}
    verify: Verification | None = None
    ignored, error = WebhookResponse(), WebhookResponse(400)
    if isinstance(node, Mapping) and "events" in node:
        check_keys(node, SECTION_KEYS | KEYS, scope, pointer)
        defaults = {key: value for key, value in node.items() if key not in ("events", "verify")}
        if "verify" in node:
            verify = compile_verify(node["verify"], scope, child(pointer, "verify"))
        response = node.get("response", {})
        if isinstance(response, Mapping):
            reading = replace(scope, names=dict.fromkeys(EXCHANGE - {"request"}, True))
            place = child(pointer, "response")
            anyone = replace(reading, answers_anyone=True)
            reading = anyone if verify is None or verify.open else reading
            ignored = compile_webhook_response(
                response.get("ignored", {}), reading, child(place, "ignored"), 200
            )
            error = compile_webhook_response(response.get("error", {}), anyone, child(place, "error"), 400)
            defaults["response"] = {key: value for key, value in response.items() if key not in OTHER_KEYS}
        nodes, pointer = node["events"], child(pointer, "events")
    else:
        nodes = node
    if isinstance(nodes, list):
        places = [(item, child(pointer, index)) for index, item in enumerate(nodes)]
    elif isinstance(nodes, Mapping) and _is_named(nodes):
        places = [
            ({"event_key": name, **item} if isinstance(item, Mapping) else item, child(pointer, name))
            for name, item in nodes.items()
        ]
    else:
        places = [(nodes, pointer)]
    events = [compile_event(item, defaults, section, verify, scope, place) for item, place in places]
    found = tuple(event for event in events if event is not None)
    verified = verify is not None or any(event.verify is not None for event in found)
    same_for_all = not verified and not scope.used & scope.labels.keys()
    return Webhook(
        found, verify, ignored, error, verified, same_for_all, frozenset(scope.compared), tuple(scope.claims),
        frozenset(scope.used & scope.labels.keys()),
    )  # fmt: skip


def _is_named(node: Mapping[str, Value]) -> bool:
    """Whether an object holds events by their names, as the published format has them."""
    return "event_type" not in node and any(
        isinstance(item, Mapping) and "event_type" in item for item in node.values()
    )
