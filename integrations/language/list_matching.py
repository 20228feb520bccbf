"""Lists matched against the shape of their elements; each element may be an event of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from integrations.language.batch import Batch, NoElementFits
from integrations.language.bindings import shown
from integrations.language.budget import spend
from integrations.language.frames import BATCH, ELEMENTS, MAX_EVENTS, Frame, Match
from integrations.language.values import Value

Elements = Literal["each", "all", "some", "first"]
_TOO_MANY = f"{{}}: one request can have at most {MAX_EVENTS} events"


def as_list(value: Value) -> list[Value] | None:
    """The elements; what is no list is the only element of one."""
    return value if isinstance(value, list) or value is None else [value]


def in_order(parts: Sequence[Match], pointer: str) -> Match:
    """A function that matches each element with the shape at its place."""

    def match(value: Value, frames: list[Frame]) -> str:
        items = as_list(value) or []
        if not parts:
            return f"{pointer}: [] matches nothing; that a list is empty is a condition for 'when'"
        if not items or len(items) > len(parts):
            return f"{pointer}: expected a list of {len(parts)} elements, got {len(items)}"
        for part, item in itertools.zip_longest(parts, items):
            if reason := part(item, frames):
                return reason
        return ""

    return match


def each_element(inner: Match, pointer: str) -> Match:
    """A function that takes each element by itself, unless an earlier event has taken it."""

    def match(value: Value, frames: list[Frame]) -> str:
        if value is None or value == []:
            return f"{pointer}: expected a list that is not empty, got {shown(value)}"
        batch = frames[0].get(BATCH) or Batch()
        rest = batch.rest(value)
        if not rest:
            return f"{pointer}: all elements of the list fit earlier events"
        if len(rest) * len(frames) > MAX_EVENTS:
            return _TOO_MANY.format(pointer)
        collected: list[Frame] = []
        reason = ""
        for key, item in rest:
            spend(len(frames))
            copies = [{**frame, ELEMENTS: (*frame.get(ELEMENTS, ()), key)} for frame in frames]
            if reason := inner(item, copies):
                batch.miss(key, reason)
            else:
                collected += copies
        if not collected:
            return NoElementFits(reason)
        frames[:] = collected
        return "" if len(collected) <= MAX_EVENTS else _TOO_MANY.format(pointer)

    return match


def elements_that_match(inner: Match, pointer: str, elements: Elements) -> Match:
    """A function that takes the first element that matches, or all, of which each must match."""

    def match(value: Value, frames: list[Frame]) -> str:
        items = as_list(value)
        if not items:
            return f"{pointer}: expected a list that is not empty, got {shown(value)}"
        if elements != "first" and len(items) * len(frames) > MAX_EVENTS:
            return _TOO_MANY.format(pointer)
        collected: list[Frame] = []
        reason = ""
        alone = not isinstance(value, list)
        for index, item in enumerate(items):
            spend(len(frames))
            copies = [dict(frame) for frame in frames]
            if ELEMENTS in copies[0]:
                key = (id(value), -1 if alone else index)
                for frame in copies:
                    frame[ELEMENTS] = (*frame[ELEMENTS], key)
            reason = inner(item, copies)
            if reason and elements == "all":
                return reason
            if not reason:
                collected += copies
                if elements == "first":
                    break
        if not collected:
            return reason
        frames[:] = collected
        return "" if len(collected) <= MAX_EVENTS else _TOO_MANY.format(pointer)

    return match
