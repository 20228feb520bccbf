"""A template: the JSON document that describes one messaging provider, checked and compiled as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from integrations.language.api_methods import (
    LOGIN,
    METHODS,
    RECEIVE_MESSAGES,
    SEND_FILE,
    SEND_GROUP,
    SEND_MESSAGE,
    UPLOAD_FILE,
)
from integrations.language.budget import TooMuchWork, budget
from integrations.language.errors import (
    MAX_PROBLEMS,
    DocumentError,
    EnoughProblems,
    Problem,
    Problems,
    RenderError,
    child,
    did_you_mean,
)
from integrations.language.limits import Limits, compile_limits
from integrations.language.methods import Method, compile_method
from integrations.language.names import BUILT_IN
from integrations.language.oauth import Grant, OAuth2, compile_oauth
from integrations.language.properties import Property, compile_properties
from integrations.language.published import OTHER_CLASSES, Plain, plain
from integrations.language.reading import read_document
from integrations.language.scope import Scope
from integrations.language.sections import check_texts
from integrations.language.signing_keys import only_signing
from integrations.language.source import placed, places
from integrations.language.urls import labels_in
from integrations.language.values import Table, Value, is_string, text
from integrations.language.webhook import Webhook, compile_webhook
from integrations.language.webhook_events import WebhookEvent

# A value, a placeholder and 100 characters cost 1. What several methods or events share counts for each.
MAX_WORK = 20_000
# As in every declaration of keys, each has its line in the reference, which editors show without its links.
KEYS = {
    "id": "2 to 64 letters, digits, `_` and `-`, starting with a letter or digit. It is part of the webhook "
    "URL, so whoever saves another one is asked whether that URL shall change",
    "name": "the name of the service, which people see",
    "logo": "the https URL of a PNG, JPEG, GIF or WebP picture. It is fetched once, when the template is "
    "saved, and served by Patchbay",
    "class": '`"sms"`, or any other word for messaging; optional. `crm` and `sso` are for other products, '
    "and "
    "refused",
    "aliases": "other names of the service, such as a former one, by which people find it",
    "countries": 'the countries whose numbers it has, such as `["US", "CA"]`, by their two letters (ISO '
    "3166-1), if it is not for all",
    "description": "what people see of the service besides its name",
    "documentation_url": "the URL of the provider's documentation",
    "properties": "[the values that an administrator enters](#properties)",
    "auth": "[the credentials of every request](#credentials-auth)",
    "OAuth2": "[OAuth 2.0](#oauth2), beside or instead of `auth`",
    "request_headers": "headers of every request; a method's own headers replace them",
    "tables": "named tables for the filter [`map`](#filters-and-tables)",
    "limits": "[what the provider accepts](#what-the-provider-accepts-limits)",
    "API": "[the requests that Patchbay makes](#api-methods)",
    "Webhook": "[the provider's webhook requests](#webhook-events): one event, a list of events, or "
    '`{"events": […]}` with defaults for all',
    "$schema": "the URL of [the JSON Schema](#editors) by which an editor helps; Patchbay does not read it",
}
COUNTRY = "[A-Z]{2}"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True)
class Template:
    """A compiled document."""

    id: str
    name: str
    description: str
    aliases: tuple[str, ...]
    countries: tuple[str, ...]
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
    def grant(self) -> Grant | None:
        """How access tokens are obtained, if requests are sent with one."""
        if self.oauth is not None:
            return Grant(self.oauth.reads, self.oauth.flow == "authorization_code")
        login = self.methods.get(LOGIN.name)
        return Grant(login.reads) if login is not None else None

    @cached_property
    def signing_keys(self) -> frozenset[str]:
        """The labels of secrets with which requests are signed, and which are never sent themselves."""
        asking = self.oauth.reads | self.oauth.consent_reads if self.oauth is not None else frozenset()
        secrets = {item.label for item in self.properties if item.secret}
        return only_signing(self.document, secrets - asking)

    @property
    def needs_content(self) -> bool:
        """Whether some request contains files themselves, not only their URLs."""
        return any(method.needs_content for method in self.methods.values())

    @property
    def unverified(self) -> Template:
        """The template, with webhooks that anybody may send."""
        events = tuple(replace(event, verify=None) for event in self.webhook.events)
        return replace(self, webhook=replace(self.webhook, verify=None, events=events))

    @property
    def media_method(self) -> Method | None:
        """The method whose headers files are fetched with: the first that may have an access token."""
        return next((method for name, method in self.methods.items() if name != LOGIN.name), None)

    @property
    def events(self) -> tuple[WebhookEvent, ...]:
        """All events, whichever way they come."""
        return self.webhook.events + self.section(polled=True).events

    @property
    def sends_to_groups(self) -> bool:
        """Whether one message can be sent to all members of a group."""
        return SEND_GROUP.name in self.methods

    def reads(self, name: str) -> bool:
        """Whether the requests for messages read a variable."""
        sending = (SEND_MESSAGE, SEND_FILE, SEND_GROUP, UPLOAD_FILE)
        methods = (self.methods.get(method.name) for method in sending)
        return any(method is not None and name in method.reads for method in methods)

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
    written, document = read_document(source, KEYS)
    found = places(written.text) if written is not None else None
    problems = Problems()
    template: Template | None = None
    form = Plain(document, {})
    try:
        for pointer in found.repeated if found else ():
            problems.append(Problem(pointer, _TWICE, at_key=True))
        form = plain(document, problems)
        with budget(MAX_WORK):
            template = _compile(form.document, problems, stored)
    except EnoughProblems:
        pass
    except TooMuchWork:
        problems.insert(0, Problem("", _TOO_MUCH))
    listed = list(map(form.as_written, problems))
    if written is not None:
        listed = [*written.warnings, *placed(listed, written.text, found, written.line_and_column)]
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


def located(error: RenderError, source: bytes) -> Problem:
    """What an error of rendering says about a document, with its line and column there."""
    written, document = read_document(source, KEYS)
    problem = plain(document, []).as_written(Problem(error.pointer, error.reason))
    assert written is not None
    return placed([problem], written.text, None, written.line_and_column)[0]


def _compile(document: dict[str, Value], problems: Problems, stored: bool) -> Template:
    scope = Scope({}, {}, problems, stored=stored)
    for key in filter(lambda key: key not in KEYS, document):
        reason = f"Unknown key {key!r}, which has no meaning here."
        replace(scope, at_key=True).warn(child("", key), reason, did_you_mean(key, KEYS))
    identifier = text(document.get("id"))
    if not ID.fullmatch(identifier):
        reason = (
            f"{identifier!r} is not a valid id. Use 2 to 64 letters, digits, _ and -, starting with a letter "
            "or digit."
        )
        scope.report("/id" if "id" in document else "", reason if identifier else "The template needs 'id'.")
    if not text(document.get("name")).strip():
        scope.report("/name" if "name" in document else "", "The template needs 'name'.")
    check_texts(document, ["name", "logo", "class", "description", "documentation_url"], scope, "")
    kind = text(document.get("class"))
    if other := OTHER_CLASSES.get(kind.casefold()):
        reason = f"A document of class {kind!r} describes {other}. Templates describe messaging services."
        scope.report("/class", reason, 'Write "sms" if this one does.')
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
    senders = [method for name, method in methods.items() if METHODS[name].sends_message]
    if UPLOAD_FILE.name in methods and not any("media" in method.uses for method in senders):
        reason = "Nothing is uploaded: no method that sends reads $media$, which has the results."
        scope.warn(child("/API", UPLOAD_FILE.name), reason)
    webhook = compile_webhook(document["Webhook"], scope, "/Webhook") if "Webhook" in document else Webhook()
    oauth = compile_oauth(document, scope)
    if oauth is not None and LOGIN.name in methods:
        scope.report("/API/Login", f"Login and {oauth.pointer} both obtain an access token.", "Keep one.")
    if "API" not in document and "Webhook" not in document:
        scope.report("", "The template needs 'API' or 'Webhook', or both.")
    return Template(
        identifier, text(document.get("name")), text(document.get("description")),
        _words(document, "aliases", "(?s).*", scope, '["Nexmo"]'),
        _words(document, "countries", COUNTRY, scope, '["US", "CA"]'), text(document.get("logo")),
        properties, methods, webhook, oauth, compile_limits(document.get("limits", {}), scope), tables, (),
        document,
    )  # fmt: skip


def _words(
    document: Mapping[str, Value], key: str, pattern: str, scope: Scope, example: str
) -> tuple[str, ...]:
    node = document.get(key, [])
    if isinstance(node, list) and all(is_string(each) and re.fullmatch(pattern, each) for each in node):
        return tuple(map(text, node))
    scope.refuse(f"/{key}", f"{key!r} must be a list, such as {example}.")
    return ()


def _addresses(document: Mapping[str, Value]) -> tuple[set[str], set[str]]:
    """The properties that begin a URL of the document, and those that are part of a host name."""
    api, auth = document.get("API"), document.get("auth", [])
    methods = [item for item in api.values() if isinstance(item, dict)] if isinstance(api, dict) else []
    schemes = [*(auth if isinstance(auth, list) else [auth]), document.get("OAuth2")]
    schemes = [item for item in schemes if isinstance(item, dict)]
    urls = [labels_in(item.get("request_url"), item.get("variables")) for item in methods]
    urls += [
        labels_in(item.get(key)) for item in schemes for key in ("authorization_endpoint", "token_endpoint")
    ]
    return {name for begin, _ in urls for name in begin}, {name for _, within in urls for name in within}


def _tables(node: Value, scope: Scope) -> dict[str, Table]:
    if not isinstance(node, dict) or not all(isinstance(entries, dict) for entries in node.values()):
        scope.report("/tables", "Tables must be an object of objects.")
    tables = node.items() if isinstance(node, dict) else ()
    return {name: Table(entries if isinstance(entries, dict) else {}) for name, entries in tables}
