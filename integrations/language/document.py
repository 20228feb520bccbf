"""A template: the JSON document that describes one messaging provider, checked and compiled as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from integrations.language.api_methods import METHODS, RECEIVE_MESSAGES
from integrations.language.auth import OAuth2, compile_oauth
from integrations.language.budget import TooMuchWork, budget
from integrations.language.errors import (
    MAX_PROBLEMS,
    DocumentError,
    EnoughProblems,
    Problem,
    Problems,
    child,
    did_you_mean,
    json_problem,
)
from integrations.language.methods import Method, compile_method
from integrations.language.names import BUILT_IN
from integrations.language.properties import Property, compile_properties
from integrations.language.scope import Scope
from integrations.language.sections import check_keys
from integrations.language.source import placed, places
from integrations.language.urls import labels_in
from integrations.language.values import (
    Table,
    Value,
    cleaned,
    is_number,
    is_string,
    load,
    raw,
    text,
)
from integrations.language.webhook import Webhook, compile_webhook
from integrations.language.webhook_events import WebhookEvent

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_KEY = 256 * 1024, 32, 2000, 500
MAX_LIMIT = 2**40
# A value, a placeholder and 100 characters cost 1. What several methods or events share counts for each.
MAX_WORK = 20_000
KEYS = [
    "id",
    "name",
    "logo",
    "class",
    "description",
    "documentation_url",
    "properties",
    "auth",
    "request_headers",
    "tables",
    "limits",
    "API",
    "Webhook",
]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True)
class Limits:
    """What the provider accepts: messages per second, size and types of files; 0 and empty mean no limit."""

    per_second: float = 0
    per_number_per_second: float = 0
    media_bytes: int = 0
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A compiled document."""

    id: str
    name: str
    description: str
    logo: str
    properties: tuple[Property, ...]
    methods: Mapping[str, Method]
    webhook: Webhook
    oauth: OAuth2 | None
    limits: Limits
    tables: Mapping[str, Table]
    warnings: tuple[Problem, ...]
    document: Mapping[str, Value] = field(repr=False)

    @property
    def needs_content(self) -> bool:
        """Whether some request contains files themselves, not only their URLs."""
        return any(method.needs_content for method in self.methods.values())

    @property
    def events(self) -> tuple[WebhookEvent, ...]:
        """All events, whichever way they come."""
        return self.webhook.events + self.section(polled=True).events

    def section(self, *, polled: bool) -> Webhook:
        """The events of webhook requests, or those of the answers to ReceiveMessages."""
        if not polled:
            return self.webhook
        method = self.methods.get(RECEIVE_MESSAGES.name)
        return method.receiving.section if method is not None and method.receiving is not None else Webhook()


def compile_document(source: str | bytes | Mapping[str, Any], *, stored: bool = False) -> Template:
    """The template that a JSON document describes. Raises DocumentError with the problems found, up to 50.

    Limits: 256 KiB, 32 levels, 2,000 values outside `tables`, 500 characters in a key, and 20,000 values and
    placeholders in all that is compiled. For a text, problems have a line and column. In a `stored` document,
    what an earlier version accepted is a warning where it does no harm.
    """
    written, document = _read(source)
    found = places(written) if written is not None else None
    problems = Problems()
    template: Template | None = None
    try:
        for pointer in found.repeated if found else ():
            problems.append(Problem(pointer, _TWICE, at_key=True))
        with budget(MAX_WORK):
            template = _compile(document, problems, stored)
    except EnoughProblems:
        pass
    except TooMuchWork:
        problems.insert(0, Problem("", _TOO_MUCH))
    listed: list[Problem] = problems
    if written is not None:
        listed = placed(problems, written, found)
    errors = [problem for problem in listed if problem.severity == "error"]
    warnings = [problem for problem in listed if problem.severity == "warning"]
    if errors or template is None:
        if len(errors) >= MAX_PROBLEMS:
            errors.append(Problem("", _MORE))
        raise DocumentError([*errors, *warnings])
    return replace(template, warnings=tuple(warnings))


_TWICE = "This object has this key twice; only the last one would count."
_TOO_MUCH = (
    f"The document asks for too much: all that is compiled may have at most {MAX_WORK:,} values and "
    "placeholders. What the methods or the events share counts for each of them."
)
_MORE = f"There may be more problems: only the first {MAX_PROBLEMS} are shown."


def _read(source: str | bytes | Mapping[str, Any]) -> tuple[str | None, dict[str, Value]]:
    written: str | None = None
    try:
        if isinstance(source, Mapping):
            document = cleaned(source)
            size = len(raw(document))
        else:
            written = (
                source.decode("utf-8-sig") if isinstance(source, bytes) else source.removeprefix("\ufeff")
            )
            size = len(source if isinstance(source, bytes) else raw(source))
            if size > MAX_BYTES:
                raise ValueError
            document = cleaned(load(written, depth=MAX_DEPTH))
    except json.JSONDecodeError as error:
        raise DocumentError([json_problem(error)]) from None
    except UnicodeDecodeError:
        raise DocumentError([Problem("", "The document is not valid UTF-8.")]) from None
    except RecursionError:
        raise DocumentError(
            [Problem("", f"The document is nested more than {MAX_DEPTH} levels deep.")]
        ) from None
    except ValueError as error:
        reason = str(error) or f"The document is larger than {MAX_BYTES // 1024} KiB."
        raise DocumentError([Problem("", reason)]) from None
    if size > MAX_BYTES:
        raise DocumentError([Problem("", f"The document is larger than {MAX_BYTES // 1024} KiB.")])
    if not isinstance(document, dict):
        raise DocumentError([Problem("", "A template must be a JSON object.")])
    if _depth(document) > MAX_DEPTH:
        raise DocumentError([Problem("", f"The document is nested more than {MAX_DEPTH} levels deep.")])
    if (longest := _longest_key(document)) > MAX_KEY:
        reason = f"A key may have at most {MAX_KEY} characters; one has {longest:,}."
        raise DocumentError([Problem("", reason)])
    nodes = _nodes({key: value for key, value in document.items() if key != "tables"})
    if nodes > MAX_NODES:
        raise DocumentError(
            [Problem("", f"The document has {nodes} values outside 'tables'; the limit is {MAX_NODES}.")]
        )
    return written, document


def _children(value: Value) -> list[Value]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _depth(value: Value) -> int:
    return 1 + max(map(_depth, _children(value)), default=0) if isinstance(value, dict | list) else 0


def _nodes(value: Value) -> int:
    return 1 + sum(map(_nodes, _children(value)))


def _longest_key(value: Value) -> int:
    keys = max(map(len, value), default=0) if isinstance(value, dict) else 0
    return max(keys, max(map(_longest_key, _children(value)), default=0))


def _compile(document: dict[str, Value], problems: Problems, stored: bool) -> Template:
    scope = Scope({}, {}, problems, stored=stored)
    check_keys(document, KEYS, scope, "")
    identifier = text(document.get("id"))
    if not _ID.fullmatch(identifier):
        reason = (
            f"{identifier!r} is not a valid id. Use 2 to 64 letters, digits, _ and -, starting with a letter "
            "or digit."
        )
        scope.report("/id" if "id" in document else "", reason if identifier else "The template needs 'id'.")
    if not text(document.get("name")).strip():
        scope.report("/name" if "name" in document else "", "The template needs 'name'.")
    if document.get("class", "sms") != "sms":
        scope.report("/class", 'The class must be "sms".')
    properties = compile_properties(document.get("properties", []), BUILT_IN, scope, *_addresses(document))
    tables = _tables(document.get("tables", {}), scope)
    addresses = frozenset(item.label for item in properties if item.type == "url")
    secret = {item.label: item.secret for item in properties}
    scope = Scope(secret, tables, problems, addresses=addresses, stored=stored)
    methods: dict[str, Method] = {}
    api = document.get("API", {})
    if not isinstance(api, dict):
        scope.report("/API", "API must be an object of methods.")
        api = {}
    for name in api:
        if name not in METHODS:
            reason = f"There is no API method {name!r}."
            scope.report(child("/API", name), reason, did_you_mean(name, METHODS), at_key=True)
    for name, declared in METHODS.items():
        if name in api:
            method = compile_method(declared, api[name], document, scope, child("/API", name))
            if method is not None:
                methods[name] = method
    webhook = compile_webhook(document["Webhook"], scope, "/Webhook") if "Webhook" in document else Webhook()
    oauth = compile_oauth(document["auth"], scope, "/auth") if "auth" in document else None
    if "API" not in document and "Webhook" not in document:
        scope.report("", "The template needs 'API' or 'Webhook', or both.")
    return Template(
        identifier, text(document.get("name")), text(document.get("description")), text(document.get("logo")),
        properties, methods, webhook, oauth, _limits(document.get("limits", {}), scope), tables, (), document,
    )  # fmt: skip


def _addresses(document: Mapping[str, Value]) -> tuple[set[str], set[str]]:
    """The properties that begin a URL of the document, and those that are part of a host name."""
    api, auth = document.get("API"), document.get("auth")
    methods = [item for item in api.values() if isinstance(item, dict)] if isinstance(api, dict) else []
    schemes = [item for item in (auth if isinstance(auth, list) else [auth]) if isinstance(item, dict)]
    urls = [labels_in(item.get("request_url"), item.get("variables")) for item in methods]
    urls += [
        labels_in(item.get(key)) for item in schemes for key in ("authorization_endpoint", "token_endpoint")
    ]
    return {name for begin, _ in urls for name in begin}, {name for _, within in urls for name in within}


def _tables(node: Value, scope: Scope) -> dict[str, Table]:
    if not isinstance(node, dict) or not all(isinstance(entries, dict) for entries in node.values()):
        scope.report("/tables", "Tables must be an object of objects.")
        return {}
    return {name: Table(entries) for name, entries in node.items()}


def _limits(node: Value, scope: Scope) -> Limits:
    if not isinstance(node, dict):
        scope.report("/limits", "Limits must be an object.")
        return Limits()
    names = ["per_second", "per_number_per_second", "media_bytes"]
    check_keys(node, [*names, "media_types"], scope, "/limits")
    numbers = {name: node[name] for name in names if name in node}
    for name, value in numbers.items():
        if is_string(value) or not is_number(value) or float(text(value)) <= 0:
            scope.report(child("/limits", name), f"{name!r} must be a number greater than 0.")
            numbers[name] = 0
    types = node.get("media_types", [])
    if not isinstance(types, list) or not all(
        re.fullmatch(r"[\w.+-]+/[\w.+*-]+", text(item)) for item in types
    ):
        scope.report("/limits/media_types", 'media_types must be a list, such as ["image/*", "video/mp4"].')
        types = []
    amounts = [min(float(text(numbers.get(name, 0))), MAX_LIMIT) for name in names]
    return Limits(amounts[0], amounts[1], int(amounts[2]), tuple(map(text, types)))
