"""Where secrets go: the origins that they reach, and that none is sent to one which nobody has confirmed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from integrations import http
from integrations.events import HttpRequest, RenderedRequest
from integrations.language.api_methods import LOGIN, SEND_FILE, SEND_GROUP, SEND_MESSAGE, UPLOAD_FILE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.methods import Method
from integrations.language.names import KEPT, SENDING
from integrations.language.urls import Url
from integrations.language.values import cleaned
from integrations.language.webhook_events import WebhookEvent
from integrations.models import Integration
from integrations.properties import ACCESS_TOKEN, Credentials
from integrations.rendering import render_variables

_PURPOSES = {
    **dict.fromkeys([SEND_MESSAGE.name, SEND_FILE.name, SEND_GROUP.name, UPLOAD_FILE.name], "send"),
    LOGIN.name: "token",
}
# The path of a URL may depend on a message, the origin never does.
_MESSAGE = dict.fromkeys(SENDING | KEPT, "x") | {"media": [], "urls": [], "parts": ["x"]}


@dataclass(frozen=True, order=True, slots=True)
class Ask:
    """What an administrator must answer: may a secret be sent to an origin; without one: enter it again.

    `inherited` is a value of the account, which only an administrator of the account may confirm. What is
    `missing` is a required value that nobody has entered. A key that only `signs` is not sent itself.
    """

    label: str
    origin: str = ""
    inherited: bool = False
    missing: bool = False
    signs: bool = False

    @property
    def name(self) -> str:
        """What people call the secret."""
        return _("access token") if self.label == ACCESS_TOKEN else self.label

    @property
    def answer(self) -> str:
        """What a form sends to confirm it; it tells the account's secret from those of organizations."""
        return f"{self.label} {self.origin}{' account' if self.inherited else ''}"

    def sentence(self, provider: object) -> str:
        """The question in a sentence, which names provider, secret and origin."""
        names = {"provider": provider, "label": self.name, "origin": self.origin}
        if self.missing:
            return _("%(provider)s needs %(label)s. Enter it.") % names
        if not self.origin:
            return (
                _(
                    "Enter %(label)s again: the template of %(provider)s no longer keeps it secret, so the "
                    "saved value is not used."
                )
                % names
            )
        if self.signs and self.inherited:
            return (
                _("%(provider)s will now sign requests to %(origin)s with the account's %(label)s.") % names
            )
        if self.signs:
            return _("%(provider)s will now sign requests to %(origin)s with your %(label)s.") % names
        if self.inherited:
            return _("%(provider)s will now send the account's %(label)s to %(origin)s.") % names
        return _("%(provider)s will now send your %(label)s to %(origin)s.") % names


class Held(Exception):
    """A request that must wait until its `asks` are answered."""

    def __init__(self, asks: Iterable[Ask]) -> None:
        self.asks = tuple(sorted(set(asks)))
        super().__init__(", ".join(f"{ask.label} → {ask.origin or '?'}" for ask in self.asks))


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request that a template makes: the names that it may contain, and where it goes.

    `purpose` is send, check, token, consent or media. The origin is "" as long as a value is missing.
    """

    purpose: str
    reads: frozenset[str]
    origin: str


def release(request: RenderedRequest, credentials: Credentials) -> HttpRequest:
    """The request, if each secret in it may be sent to its origin. Raises Held.

    Nothing else makes an HttpRequest, and nothing else is sent.
    """
    if (request.reads & credentials.cleared) or (request.reads & credentials.holders.keys()):
        origin = origin_of(request.url)
        if asks := list(_asks_of(request.reads, origin, credentials)):
            raise Held(asks)
    return HttpRequest(
        request.method, request.url, request.headers, request.body, request.timeout, request.reads
    )


def origin_of(url: str) -> str:
    """The origin of a URL, such as https://api.example.com; "" for what cannot be called.

    Nothing in it is ever masked: what people confirm must be what is compared.
    """
    try:
        return http.origin_of(url).text
    except http.BlockedAddress:
        return ""


def asks_of(
    compiled: Template, credentials: Credentials, fixed: Mapping[str, Any], purposes: Collection[str] = ()
) -> list[Ask]:
    """What must be answered before all requests, or those with these purposes, can be sent."""
    asks = {
        ask
        for route in routes(compiled, credentials.values, fixed)
        if not purposes or route.purpose in purposes
        for ask in _asks_of(route.reads, route.origin, credentials)
    }
    if not purposes:
        asks.update(Ask(label) for label in credentials.cleared)  # also of webhooks
    if not purposes or "send" in purposes:
        known = credentials.values.keys() | credentials.cleared
        asks.update(
            Ask(item.label, missing=True)
            for item in compiled.properties
            if item.required and item.label not in known
        )
    return sorted(asks)


def blocking(compiled: Template, credentials: Credentials, fixed: Mapping[str, Any]) -> list[Ask]:
    """What must be answered before messages can be sent."""
    return asks_of(compiled, credentials, fixed, ("send", "token"))


def reach(compiled: Template, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, set[str]]:
    """The origins that each secret and the access token reach with these values.

    "" stands for one that is not known as long as a value is missing.
    """
    labels = [item.label for item in compiled.properties if item.secret]
    labels += [ACCESS_TOKEN] if compiled.grant is not None else []
    found: dict[str, set[str]] = {label: set() for label in labels}
    for route in routes(compiled, values, fixed):
        for label in route.reads & found.keys():
            found[label].add(route.origin)
    return found


def fixed_for(integration: Integration) -> dict[str, Any]:
    """The variables that are the same for all requests of an integration."""
    return {
        "webhook_url": integration.webhook_url,
        "domain": integration.organization.domain,
        "orgid": integration.organization.orgid,
    }


def routes(compiled: Template, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> Iterator[Route]:
    """All kinds of requests that a template makes with these values."""
    values = cleaned(values)
    known = {**_MESSAGE, **fixed}
    methods = {}
    for name, method in compiled.methods.items():
        methods[name] = _origin(method.url, _variables(method, values, known))
        purpose = _PURPOSES.get(name, "check")
        yield Route(purpose, method.reads, methods[name])
    if (oauth := compiled.oauth) is not None:
        asking = {**fixed, **values}
        yield Route("token", oauth.reads | {ACCESS_TOKEN}, _origin(oauth.token_endpoint, asking))
        if oauth.authorization_endpoint is not None:
            reads = oauth.consent_reads | {ACCESS_TOKEN}
            yield Route("consent", reads, _origin(oauth.authorization_endpoint, asking))
    own = [origin for name, origin in methods.items() if name != LOGIN.name]
    if (fetching := compiled.media_method) is None:
        return
    for event in compiled.events:
        if event.media_hosts is not None:
            for origin in media_origins(event, own):
                yield Route("media", fetching.header_reads, origin)


def media_origins(event: WebhookEvent, own: Iterable[str]) -> set[str]:
    """From where an event's files are fetched with credentials; `own` are the origins of the methods."""
    hosts = event.media_hosts or {urlsplit(origin).hostname for origin in own if origin}
    allowed = {origin.text for origin in http.allowed_origins() if origin.host in hosts}
    return allowed | {f"https://{host}" for host in hosts}


def _asks_of(reads: Collection[str], origin: str, credentials: Credentials) -> Iterator[Ask]:
    for label in reads:
        if label in credentials.cleared:
            yield Ask(label)
        elif origin and label in credentials.holders and (label, origin) not in credentials.allowed:
            yield Ask(label, origin, label in credentials.inherited, signs=label in credentials.signing)


def _variables(method: Method, values: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return render_variables(method, values, known)
    except RenderError:
        return {**known, **values}


def _origin(url: Url, variables: Mapping[str, Any]) -> str:
    try:
        return origin_of(url(variables))
    except RenderError:
        return ""
