"""The Webhook section: which requests of the service mean what, and how they are answered."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.matching import Match, compile_match, unused_names
from integrations.language.names import BOUND, EXCHANGE
from integrations.language.placeholders import Scope
from integrations.language.sections import (
    boolean,
    check_keys,
    compile_headers,
    compile_shape,
    compile_variables,
    media_type,
)
from integrations.language.shapes import Render, compile_render
from integrations.language.signatures import Verify
from integrations.language.values import Table, Value, is_number, text
from integrations.language.verify import compile_verify

STATUS_TYPES = {
    "messageSent": "sent",
    "messageDelivered": "delivered",
    "messageRead": "read",
    "messageFailed": "failed",
    "messageStatus": "",
}
TYPES = ["message", "mms", *STATUS_TYPES, "optOut", "optIn", "ignore"]
STATUSES = ["queued", "sent", "delivered", "read", "failed", "retrying", "ignore"]
_KEYS = [
    "event_key",
    "event_type",
    "request_method",
    "request_parameters",
    "path",
    "request_content_type",
    "request_charset",
    "request_query",
    "request_headers",
    "when",
    "variables",
    "status_map",
    "continue",
    "concat",
    "verify",
    "media_auth",
    "media_path",
    "response",
]
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_NEEDS = {
    "message": [{"from"}],
    "mms": [{"from"}, {"url", "urls"}],
    "optOut": [{"from"}],
    "optIn": [{"from"}],
    "ignore": [],
} | {name: [{"messageid", "message_uuid"}] for name in STATUS_TYPES}


@dataclass(frozen=True)
class Answer:
    """What the service is told: status, headers and a body that is rendered."""

    status: int = 200
    content_type: str = ""
    headers: tuple[tuple[str, Render], ...] = ()
    body: Render | None = None


@dataclass(frozen=True)
class WebhookEvent:
    """One kind of request, compiled; `status` is what it reports where the type alone says so.

    `concat` reads id, part and count of a text that comes in several requests. `media_hosts` are those
    where its files are fetched with the outgoing auth, below `media_path`; empty: those of the API.
    """

    name: str
    pointer: str
    type: str
    event_key: Value
    methods: tuple[str, ...]
    paths: tuple[str, ...] | None
    content_type: str
    charset: str
    when: Condition | None
    shapes: tuple[tuple[str, Match], ...]
    variables: tuple[tuple[str, Render], ...]
    status: str
    status_map: Table | None
    goes_on: bool
    verify: Verify | None
    concat: tuple[Render, Render, Render] | None
    media_hosts: tuple[str, ...] | None
    media_path: str
    answer: Answer


@dataclass(frozen=True)
class Webhook:
    """The section: events in order, and the answers where none matches or nothing can be read.

    `verify` is the section's, which also holds for requests that no event matches.
    """

    events: tuple[WebhookEvent, ...] = ()
    verify: Verify | None = None
    ignored: Answer = Answer()
    error: Answer = Answer(400)


def compile_webhook(node: Value, scope: Scope, pointer: str) -> Webhook:
    """The section from one event, a list of them, or an object with `events` and their defaults."""
    scope = replace(scope, webhook=True)
    defaults: dict[str, Value] = {}
    verify: Verify | None = None
    ignored, error = Answer(), Answer(400)
    if isinstance(node, Mapping) and "events" in node:
        check_keys(node, ["events", *_KEYS], scope, pointer)
        defaults = {key: value for key, value in node.items() if key not in ("events", "verify")}
        if "verify" in node:
            verify = compile_verify(node["verify"], scope, child(pointer, "verify"))
        section = node.get("response", {})
        if isinstance(section, Mapping):
            plain = replace(scope, names=dict.fromkeys(EXCHANGE, True))
            place = child(pointer, "response")
            ignored = compile_answer(section.get("ignored", {}), plain, child(place, "ignored"), 200)
            error = compile_answer(section.get("error", {}), plain, child(place, "error"), 400)
            defaults["response"] = {
                key: value for key, value in section.items() if key not in ("ignored", "error")
            }
        nodes, pointer = node["events"], child(pointer, "events")
    else:
        nodes = node
    if isinstance(nodes, list):
        places = [(item, child(pointer, index)) for index, item in enumerate(nodes)]
    else:
        places = [(nodes, pointer)]
    events = [_event(item, defaults, verify, scope, place) for item, place in places]
    return Webhook(tuple(event for event in events if event is not None), verify, ignored, error)


def compile_answer(node: Value, scope: Scope, pointer: str, status: int = 200) -> Answer:
    """An answer with its default status; problems go to the scope."""
    if not isinstance(node, Mapping):
        scope.report(pointer, "A response is an object with status, content_type, headers and body.")
        return Answer(status)
    check_keys(node, ["status", "content_type", "headers", "body"], scope, pointer)
    given = node.get("status", status)
    if not is_number(given) or not text(given).isdigit() or not 200 <= int(text(given)) <= 599:
        scope.report(child(pointer, "status"), f"The status is 200 to 599, not {text(given)!r}.")
        given = status
    kind = text(node.get("content_type", ""))
    kind = media_type(kind, scope, child(pointer, "content_type")) if kind else kind
    headers = compile_headers(node.get("headers", {}), scope, child(pointer, "headers"))
    return Answer(int(text(given)), kind, headers, compile_shape("body", node, scope, pointer))


def _event(
    node: Value, defaults: Mapping[str, Value], verify: Verify | None, scope: Scope, pointer: str
) -> WebhookEvent | None:
    if not isinstance(node, Mapping):
        scope.report(pointer, "An event is an object.")
        return None
    check_keys(node, _KEYS, scope, pointer)
    if "verify" in node:
        verify = compile_verify(node["verify"], scope, child(pointer, "verify"))
    node = {**defaults, **node}

    def at(key: str) -> str:
        return child(pointer, key)

    kind = text(node.get("event_type"))
    if kind not in TYPES:
        scope.report(
            at("event_type") if "event_type" in node else pointer,
            f"There is no event type {kind!r}." if kind else "The event needs 'event_type'.",
            did_you_mean(kind, TYPES),
        )
        return None
    names = [*EXCHANGE, *(["event_key"] if "event_key" in node else [])]
    scope = replace(
        scope, names=dict.fromkeys(names, True), bindable=BOUND, exchange=EXCHANGE, own={}, used=set()
    )
    goes_on = boolean(node, "continue", scope, pointer)
    when = compile_condition(node["when"], scope, at("when")) if "when" in node else None
    shapes = tuple(
        (source, compile_match(node[key], scope, at(key), elements="some" if goes_on else "all"))
        for source, key in (
            ("query", "request_query"),
            ("headers", "request_headers"),
            ("request", "request_parameters"),
        )
        if key in node
    )
    variables = compile_variables(node.get("variables", {}), scope, at("variables"))
    for needed in _NEEDS[kind]:
        if not needed & scope.names.keys():
            scope.report(
                pointer,
                f"An event of type {kind!r} must bind {' or '.join(f'${n}$' for n in sorted(needed))}.",
            )
    status_map = _status_map(node, kind, scope, pointer)
    concat = _concat(node["concat"], scope, at("concat")) if "concat" in node else None
    readable = set(scope.names)
    for pair in ({"content", "text"}, {"url", "urls"}):
        readable |= pair if readable & pair else set()
    answering = replace(scope, names=dict.fromkeys([*readable, "message_uuid"], True))
    answer = compile_answer(node.get("response", {}), answering, at("response"))
    unused_names(scope)
    method = node.get("request_method")
    methods = tuple(
        text(item).upper()
        for item in (method if isinstance(method, list) else [method or "GET", "POST"][: 1 if method else 2])
    )
    path = node.get("path")
    paths = (
        None
        if path is None
        else tuple(text(item).strip("/") for item in (path if isinstance(path, list) else [path]))
    )
    return WebhookEvent(
        text(node.get("event_key", kind)), pointer, kind, node.get("event_key"), methods, paths,
        _content_type(node, scope, pointer), _charset(node, scope, pointer), when, shapes, variables,
        STATUS_TYPES.get(kind, ""), status_map, goes_on, verify, concat,
        _media_hosts(node, verify, scope, pointer), text(node.get("media_path", "/")), answer,
    )  # fmt: skip


def _content_type(node: Mapping[str, Value], scope: Scope, pointer: str) -> str:
    kind = text(node.get("request_content_type", ""))
    return media_type(kind, scope, child(pointer, "request_content_type")).casefold() if kind else ""


def _charset(node: Mapping[str, Value], scope: Scope, pointer: str) -> str:
    charset = text(node.get("request_charset", "utf-8"))
    try:
        if not codecs.lookup(charset)._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        scope.report(child(pointer, "request_charset"), f"{charset!r} is not a character set.")
        return "utf-8"
    return charset


def _status_map(node: Mapping[str, Value], kind: str, scope: Scope, pointer: str) -> Table | None:
    if kind != "messageStatus":
        if "status_map" in node:
            scope.report(
                child(pointer, "status_map"), "'status_map' belongs to the event type messageStatus."
            )
        return None
    entries = node.get("status_map")
    if not isinstance(entries, Mapping) or "status" not in scope.names:
        scope.report(pointer, "A messageStatus event needs $status$ in its shape and 'status_map'.")
        return None
    for key, status in entries.items():
        if status not in STATUSES:
            place = child(child(pointer, "status_map"), key)
            scope.report(place, f"There is no status {text(status)!r}.", did_you_mean(text(status), STATUSES))
    return Table(entries)


def _concat(node: Value, scope: Scope, pointer: str) -> tuple[Render, Render, Render] | None:
    if not isinstance(node, Mapping) or set(node) != {"id", "part", "count"}:
        scope.report(pointer, "concat is an object of 'id', 'part' and 'count'.")
        return None
    identifier, part, count = (
        compile_render(node[key], scope, child(pointer, key)) for key in ("id", "part", "count")
    )
    return identifier, part, count


def _media_hosts(
    node: Mapping[str, Value], verify: Verify | None, scope: Scope, pointer: str
) -> tuple[str, ...] | None:
    given = node.get("media_auth", False)
    place = child(pointer, "media_auth")
    if given is False:
        return None
    if verify is None:
        scope.report(place, "Files are fetched with credentials only for verified webhooks.", "Add 'verify'.")
    if given is True:
        return ()
    if not isinstance(given, list) or not given or not all(_HOST.fullmatch(text(item)) for item in given):
        scope.report(place, "'media_auth' is true (the hosts of the API), or a list of host names.")
        return None
    return tuple(text(item).casefold() for item in given)
