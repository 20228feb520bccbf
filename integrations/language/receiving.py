"""What ReceiveMessages has besides the keys of every method: its interval, and what its answers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.language.errors import child
from integrations.language.scope import Scope
from integrations.language.sections import number
from integrations.language.shapes import optional_key
from integrations.language.values import Value, find, is_empty
from integrations.language.webhook import Webhook
from integrations.language.webhook_events import compile_event

RECEIVING_KEYS = {
    "interval": "seconds from one request to the next, 15 to 3,600; 60 by default",
    "events": "[events](#webhook-events), which are matched against the answer. They have no `path`, "
    "`request_method`, `request_query`, `verify` or `response`, since an answer is no request",
}
SHORTEST, LONGEST, DEFAULT = 15, 3600, 60  # seconds


@dataclass(frozen=True)
class Receiving:
    """The seconds from one call to the next, and the events of the answers, as a section without `verify`."""

    interval: float
    section: Webhook
    shapes: tuple[Value, ...]

    def is_empty(self, answer: Value) -> bool:
        """Whether an answer that no event matches only says that nothing has arrived.

        So it does if it is empty, or if every list is that the events go through.
        """
        lists = [shape for shape in self.shapes if _has_list(shape)]
        return is_empty(answer) or (bool(lists) and all(_lists_are_empty(shape, answer) for shape in lists))


def compile_receiving(node: Mapping[str, Value], scope: Scope, pointer: str) -> Receiving:
    """The keys of the method that only ReceiveMessages has; problems go to the scope."""
    interval = number(node, "interval", DEFAULT, SHORTEST, LONGEST, scope, pointer)
    scope = replace(scope, webhook=True, names={}, used=set(), compared=set(), claims=[])
    place = child(pointer, "events")
    given = node.get("events")
    nodes = given if isinstance(given, list) else [given]
    if given is None or not nodes:
        scope.report(
            place if "events" in node else pointer,
            "ReceiveMessages needs 'events', which say what an answer means.",
        )
        return Receiving(interval, Webhook(), ())
    many = isinstance(given, list)
    events = [
        compile_event(item, {}, place, None, scope, child(place, index) if many else place, polled=True)
        for index, item in enumerate(nodes)
    ]
    section = Webhook(
        tuple(event for event in events if event is not None),
        same_for_all=not scope.used & scope.labels.keys(),
    )
    shapes = tuple(item.get("request_parameters") for item in nodes if isinstance(item, Mapping))
    return Receiving(interval, section, shapes)


def _has_list(shape: Value) -> bool:
    if isinstance(shape, Mapping):
        return any(map(_has_list, shape.values()))
    return isinstance(shape, list)


def _lists_are_empty(shape: Value, value: Value) -> bool:
    if isinstance(shape, list) or is_empty(value):
        return is_empty(value)
    if not isinstance(value, dict):
        return False
    found = {key: find(value, optional_key(key)[0]) for key, inner in shape.items() if _has_list(inner)}
    if None in found.values() and any(isinstance(item, list | dict) and item for item in value.values()):
        return False  # what is missing may be there under another name
    return all(_lists_are_empty(shape[key], item) for key, item in found.items())
