"""Events of one shape, made of several samples, as one event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Event:
    """An event of the document, and the samples that it was made of."""

    node: dict[str, Any]
    samples: list[int]

    @property
    def weight(self) -> int:
        """How much a request must have to match: an event with more goes first."""
        keys = ("request_query", "request_headers", "request_parameters", "variables")
        return sum(_required(self.node.get(key)) for key in keys)


def _required(shape: Any) -> int:
    if isinstance(shape, Mapping | list):
        return sum(map(_required, shape.values() if isinstance(shape, Mapping) else shape))
    return 0 if shape is None or (isinstance(shape, str) and re.search(r"\?(\|[^$]*)?\$$", shape)) else 1


def merged(events: list[Event], made: dict[str, Any], index: int) -> bool:
    """Whether an event was the same as one before, but for its words of statuses, and is now part of it."""
    for event in events:
        if _without_words(event.node) == _without_words(made):
            event.samples.append(index)
            if "status_map" in made:
                event.node["status_map"] = {**made["status_map"], **event.node["status_map"]}
                for word, status in made["status_map"].items():
                    if event.node["status_map"].get(word) == "ignore":
                        event.node["status_map"][word] = status
            event.node.update(
                {key: _joined(event.node.get(key), made[key]) for key in made if key.startswith("request_")}
            )
            return True
    return False


def _without_words(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _certain(value) for key, value in node.items() if key != "status_map"}


def _certain(shape: Any) -> Any:
    """The shape without what may be missing."""
    if isinstance(shape, Mapping):
        found = {key: _certain(value) for key, value in shape.items()}
        return {key: value for key, value in found.items() if value not in ({}, None)}
    if isinstance(shape, list):
        return [_certain(item) for item in shape]
    return None if isinstance(shape, str) and re.search(r"\?(\|[^$]*)?\$$", shape) else shape


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**other, **{key: _joined(value, other.get(key)) for key, value in one.items()}}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_joined(first, second) for first, second in zip(one, other, strict=True)]
    return one if one is not None else other
