"""One event of the Webhook section: which requests it matches, and what it binds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.language.bindings import unused_names
from integrations.language.budget import spend
from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.frames import Match
from integrations.language.matching import compile_match, iterates
from integrations.language.names import BOUND, EXCHANGE
from integrations.language.placeholders import Placeholder, parse
from integrations.language.scope import Scope
from integrations.language.sections import REQUEST_METHODS, boolean, check_keys, compile_variables, media_type
from integrations.language.shapes import Render, compile_render
from integrations.language.values import Table, Value, is_charset, is_string, text
from integrations.language.verify import Verification, compile_verify
from integrations.language.webhook_files import has_files, media_hosts, media_path
from integrations.language.webhook_responses import WebhookResponse, compile_webhook_response

STATUS_TYPES = {
    "messageSent": "sent",
    "messageDelivered": "delivered",
    "messageRead": "read",
    "messageFailed": "failed",
    "messageStatus": "",
}
TYPES = {
    "message": "a text, with or without files",
    "mms": "a message with files",
    "messageSent": "a message was sent",
    "messageDelivered": "a message that was sent has been delivered",
    "messageRead": "a message that was sent has been read",
    "messageFailed": "a message that was sent has failed",
    "messageStatus": "the status of a message that was sent, by its `status_map`",
    "optOut": "the contact has opted out",
    "optIn": "the contact has opted in again",
    "ignore": "known, and without effect",
}
STATUSES = {
    "queued": "the provider has the message",
    "sent": "the provider has sent the message",
    "delivered": "the message has been delivered",
    "read": "the message has been read",
    "failed": "the message has failed",
    "retrying": "the provider tries again: this is recorded, but does not change the status",
    "ignore": "this word says nothing",
}
KEYS = {
    "event_type": "required; [see below](#event-types)",
    "event_key": "the value that `$event_key$` must have in the shapes",
    "path": "what follows the webhook URL (`…/a42/status`), one path or a list; anything by default",
    "request_method": "one method or a list; GET and POST by default",
    "request_query": "the shape that the query must match",
    "request_headers": "the shape that the headers must match",
    "request_parameters": "the shape that the body must match, for GET and forms with the query; without "
    "it, any body matches",
    "request_content_type": "how the body is read, whatever its header says; the default is as for "
    "`response_format`",
    "request_charset": "the character set of the body, by default that of the content type, or UTF-8",
    "when": "*selects* the event: if it holds but a shape does not match, the request is unmatched and no "
    "further event is tried",
    "variables": "as in methods, after matching; they may replace bound variables",
    "status_map": "the provider's words for [statuses](#statuses)",
    "continue": "`true`: [the next events see what this one has taken, too](#several-events-in-one-request)",
    "concat": "[joins a text that arrives in several requests](#concatenated-texts-concat)",
    "verify": "[how requests are authenticated](#verifying-webhooks)",
    "media_auth": "[files that require credentials](#protected-files-media_auth): `true` fetches them with "
    "`auth` from the hosts of the API, a list from other hosts",
    "media_path": "the path below which files are fetched with credentials",
    "response": "[the response](#the-response-to-a-webhook-request)",
}
CONCAT = {
    "id": "what all parts of the text have in common",
    "part": "the number of the part",
    "count": "how many parts there are",
}
# An answer to ReceiveMessages is no request: it has no path or method, nothing to verify, and no response.
POLLED_KEYS = {
    key: words
    for key, words in KEYS.items()
    if key not in ("path", "request_method", "request_query", "verify", "response")
}
# Two names for one thing: a template may bind one and read the other.
ALIASES = {"content": "text", "text": "content", "url": "urls", "urls": "url"}
NEEDS: dict[str, list[set[str]]] = {
    "message": [{"from"}],
    "mms": [{"from"}, {"url", "urls"}],
    "optOut": [{"from"}],
    "optIn": [{"from"}],
    "ignore": [],
} | {name: [{"messageid", "message_uuid"}] for name in STATUS_TYPES}


@dataclass(frozen=True)
class WebhookEvent:
    """A compiled event; `status` is the status that its type stands for, if any.

    `concat` reads id, part and count of a text that arrives in several requests. `media_hosts` are the hosts
    from which its files are fetched with the outgoing auth, below `media_path`; empty: the hosts of the API.
    With `reads_query`, the fields of the query must be in its character set. It `iterates` if its shapes take
    the elements of a list one by one, and `nests` if those of lists inside of these, too.
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
    continues: bool
    iterates: bool
    nests: bool
    reads_query: bool
    verify: Verification | None
    concat: tuple[Render, Render, Render] | None
    media_hosts: tuple[str, ...] | None
    media_path: str
    response: WebhookResponse


def compile_event(
    own: Value,
    defaults: Mapping[str, Value],
    section: str,
    verify: Verification | None,
    scope: Scope,
    pointer: str,
    *,
    polled: bool = False,
) -> WebhookEvent | None:
    """The compiled event, with the section's defaults and `verify`; problems go to the scope.

    An event that is `polled` is in the answer to ReceiveMessages, and may bind `$cursor$`.
    """
    spend(5)
    if not isinstance(own, Mapping):
        scope.report(pointer, "An event must be an object.")
        return None
    check_keys(own, POLLED_KEYS if polled else KEYS, scope, pointer)
    if "verify" in own:
        verify = compile_verify(own["verify"], scope, child(pointer, "verify"))
    node = {**defaults, **own}

    def at(key: str) -> str:
        return child(section if key in defaults and key not in own else pointer, key)

    kind = text(node.get("event_type"))
    if kind not in TYPES:
        scope.report(
            at("event_type") if "event_type" in node else pointer,
            f"There is no event type {kind!r}." if kind else "The event needs 'event_type'.",
            did_you_mean(kind, TYPES),
        )
    names = [*EXCHANGE, *(["event_key"] if "event_key" in node else [])]
    bindable = BOUND | {"cursor"} if polled else BOUND
    section_scope = scope
    scope = replace(
        scope, names=dict.fromkeys(names, True), bindable=bindable, exchange=EXCHANGE, own={}, used=set(),
        blank_texts=kind in ("message", "mms") and has_files(node),
    )  # fmt: skip
    continues = boolean(node, "continue", scope, at("continue"))
    when = compile_condition(node["when"], scope, at("when")) if "when" in node else None
    shapes = tuple(
        (source, compile_match(node[key], scope, at(key), elements="some" if continues else "each"))
        for source, key in (
            ("query", "request_query"),
            ("headers", "request_headers"),
            ("request", "request_parameters"),
        )
        if key in node
    )
    if key := scope.own.pop("event_key", None):
        scope.report(key[0], "The event has no 'event_key' to compare with.", column=key[1])
    _add_aliases(scope)
    variables = compile_variables(node.get("variables", {}), scope, at("variables"))
    _add_aliases(scope)
    for needed in NEEDS.get(kind, []):
        if not needed & scope.names.keys():
            names = [f"${name}$" for name in sorted(needed)]
            scope.report(pointer, f"An event of type {kind!r} must bind {' or '.join(names)}.")
    status_map = _status_map(node, kind, scope, pointer, at("status_map"))
    concat = _concat(node["concat"], scope, at("concat")) if "concat" in node else None
    responding = replace(
        scope, names={**scope.names, "message_uuid": False}, answers_anyone=verify is None or verify.open
    )
    response = compile_webhook_response(node.get("response", {}), responding, at("response"))
    unused_names(scope)
    section_scope.used.update(scope.used)
    return WebhookEvent(
        text(node.get("event_key", kind)), pointer, kind, node.get("event_key"),
        _methods(node.get("request_method", ["GET", "POST"]), scope, at("request_method")),
        _paths(node.get("path"), scope, at("path")),
        _content_type(node, scope, at("request_content_type")),
        _charset(node, scope, at("request_charset")), when, shapes, variables,
        STATUS_TYPES.get(kind, ""), status_map, continues,
        any(iterates(node.get(key)) for key in ("request_query", "request_headers", "request_parameters")),
        _nests(node.get("request_parameters")),
        "query" in scope.used or "request_query" in node,
        verify, concat,
        media_hosts(node, polled or verify is not None, scope, at("media_auth")),
        media_path(node, scope, at("media_path")), response,
    )  # fmt: skip


def _nests(node: Value) -> bool:
    if isinstance(node, Mapping):
        return any(map(_nests, node.values()))
    return isinstance(node, list) and any(iterates(item) or _nests(item) for item in node)


def _add_aliases(scope: Scope) -> None:
    """Makes `content` readable if `text` is bound, `url` if `urls` is bound, and so on."""
    for name, alias in ALIASES.items():
        if name in scope.names:
            scope.names.setdefault(alias, True)


def _methods(given: Value, scope: Scope, pointer: str) -> tuple[str, ...]:
    methods = tuple(text(item).upper() for item in (given if isinstance(given, list) else [given]))
    for method in methods:
        if method not in REQUEST_METHODS:
            scope.report(
                pointer, f"{method!r} is not a supported HTTP method.", did_you_mean(method, REQUEST_METHODS)
            )
    return methods


def _paths(given: Value, scope: Scope, pointer: str) -> tuple[str, ...] | None:
    paths = given if isinstance(given, list) else [given]
    if given is None:
        return None
    if not all(map(is_string, paths)):
        scope.report(
            pointer, "'path' must be what follows the webhook URL, such as \"status\", or a list of these."
        )
    for index, path in enumerate(paths):
        place = child(pointer, index) if isinstance(given, list) else pointer
        for part in parse(text(path)):
            if isinstance(part, Placeholder):
                reason = f"{part.source} is plain text here: a path is compared as it is written."
                scope.warn(place, reason, "Leave 'path' out, so that any path fits.", part.column)
    return tuple(text(path).strip("/") for path in paths)


def _content_type(node: Mapping[str, Value], scope: Scope, pointer: str) -> str:
    kind = node.get("request_content_type")
    return media_type(kind, scope, pointer).casefold() if text(kind) else ""


def _charset(node: Mapping[str, Value], scope: Scope, pointer: str) -> str:
    charset = text(node.get("request_charset", ""))
    if charset and not is_charset(charset):
        scope.report(pointer, f"{charset!r} is not a known character set.")
        return ""
    return charset


def _status_map(node: Mapping[str, Value], kind: str, scope: Scope, pointer: str, place: str) -> Table | None:
    if kind != "messageStatus":
        if kind in TYPES and "status_map" in node and place.startswith(f"{pointer}/"):
            scope.report(place, "'status_map' is only for the event type messageStatus.", at_key=True)
        return None
    entries = node.get("status_map")
    if not isinstance(entries, Mapping) or "status" not in scope.names:
        scope.report(pointer, "An event of type 'messageStatus' must bind $status$ and needs 'status_map'.")
    if not isinstance(entries, Mapping):
        return None
    for key, status in entries.items():
        if text(status) not in STATUSES:
            reason = f"There is no status {text(status)!r}."
            scope.report(child(place, key), reason, did_you_mean(text(status), STATUSES))
    return Table(entries)


def _concat(node: Value, scope: Scope, pointer: str) -> tuple[Render, Render, Render] | None:
    if not isinstance(node, Mapping) or set(node) != set(CONCAT):
        scope.report(pointer, "concat must be an object with 'id', 'part' and 'count'.")
    if not isinstance(node, Mapping):
        return None
    identifier, part, count = (compile_render(node.get(key), scope, child(pointer, key)) for key in CONCAT)
    return identifier, part, count
