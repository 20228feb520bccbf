"""An External channel of RapidPro or TextIt: the channel as JSON, or its configuration alone.

Its facts are those of courier (handlers/external/handler.go).
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from integrations.language.values import Number, load
from integrations.studio.importers.report import Draft, ImportProblem, ImportReport, is_credential
from integrations.studio.importers.variables import Variables
from integrations.studio.meanings import is_secret
from integrations.studio.writing import literal, plain_value

_DEFAULT_BODY = (
    "id={{id}}&text={{text}}&to={{to}}&to_no_plus={{to_no_plus}}&from={{from}}"
    "&from_no_plus={{from_no_plus}}&channel={{channel}}"
)
_URLS = ("send_url", "url")
_BODIES = ("send_body", "body", "send_template", "template")
_METHODS = ("send_method", "method")
_READ = {
    *_URLS, *_BODIES, *_METHODS, "content_type", "max_length", "encoding", "send_authorization", "headers",
    "send_headers", "mt_response_check", "use_national", "mo_from_field", "mo_text_field", "mo_date_field",
    "mo_response", "mo_response_content_type", "from_xpath", "text_xpath",
}  # fmt: skip
_OF_CHANNEL = {"uuid", "name", "config", "channel_type", "type", "address", "country", "role", "schemes"}
_ELEMENT = re.compile(r"<([\w.-]+)>([^<>]+)</\1>")


def fits(text: str) -> bool:
    """Whether the text is a channel with a URL to send to."""
    try:
        return bool(_config(_loaded(text))[1])
    except ImportProblem:
        return False


def read(text: str, name: str) -> ImportReport:
    """The document for a channel. Raises ImportProblem."""
    channel, config = _config(_loaded(text))
    if not config:
        raise ImportProblem(_("This is no External channel: it has no “send_url”."))
    return _Importer(channel, config).report(name)


def _loaded(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        raise ImportProblem(_("An External channel is imported as JSON."))
    try:
        return load(text, depth=32)
    except (ValueError, RecursionError) as error:
        raise ImportProblem(_("The JSON cannot be read: %(problem)s") % {"problem": error}) from None


def _config(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The channel and its configuration, both empty if it is none."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        return {}, {}
    inner = found.get("config")
    config: dict[str, Any] = inner if isinstance(inner, dict) else found
    is_channel = "send_url" in config or (
        "url" in config and not {"API", "item", "Webhook"} & set(config) and "content_type" in config
    )
    return (found, config) if is_channel else ({}, {})


class _Importer:
    def __init__(self, channel: dict[str, Any], config: dict[str, Any]) -> None:
        self.channel, self.config, self.draft = channel, config, Draft()
        self.variables = Variables(self.draft, r"\{\{ ?(\w{1,40}) ?\}\}", self._variable)
        self.kind = self._text("content_type") or "urlencoded"

    def report(self, name: str) -> ImportReport:
        key = next(key for key in _URLS if key in self.config)
        base, query, host = self.variables.url(key, self._text(key))
        self.draft.take(_("“%(key)s” is the URL to which texts are sent.") % {"key": key})
        method: dict[str, Any] = {"request_url": base}
        verb = (self._first(_METHODS) or "POST").upper()
        if verb not in ("GET", "POST", "PUT"):
            raise ImportProblem(_("“send_method” must be GET, POST or PUT."))
        if verb != "POST":
            method["request_method"] = verb
        if query:
            method["request_parameters" if verb == "GET" else "request_query"] = query
        if verb != "GET":
            method |= self._body()
        elif self._first(_BODIES):
            self.draft.leave_key("send_body", _("A GET request has no body."))
        self._headers()
        method |= self._rest()
        for key in [*self.config, *self.channel]:
            if key not in _READ | _OF_CHANNEL:
                self.draft.leave_key(key)
        document = {"API": {"SendMessage": method}, "Webhook": self._webhook()}
        return self.draft.report(document, host=host, name=name or _plain(self.channel.get("name")))

    def _text(self, key: str) -> str:
        return _plain(self.config.get(key))

    def _first(self, keys: tuple[str, ...]) -> str:
        return next((self._text(key) for key in keys if self._text(key)), "")

    def _variable(self, name: str) -> str | None:
        national = self.config.get("use_national") is True
        known = {
            "id": "$message_uuid$",
            "text": "$content$",
            "to": "$to|national$" if national else "$to$",
            "to_no_plus": "$to|national$" if national else "$to|remove_prefix:'+'$",
            "from": "$from$",
            "from_no_plus": "$from|remove_prefix:'+'$",
            "quick_replies": "",
            "session_status": "",
        }
        if name == "channel":
            uuid = _plain(self.channel.get("uuid"))
            return literal(uuid) if uuid else self.draft.own("channel", "Channel", "")
        if name == "id":
            self.draft.leave(_("“{{id}}” is a number in RapidPro, but a UUID of 36 characters here."))
        if known.get(name) == "":
            self.draft.leave(_("“{{%(name)s}}” has no counterpart, and was left out.") % {"name": name})
        return known.get(name)

    def _body(self) -> dict[str, Any]:
        """The content type and the shape of the body."""
        written = self._first(_BODIES)
        if not written:
            if any(key in self.config for key in _BODIES) or self.kind != "urlencoded":
                return {"request_content_type": "form"} if self.kind == "urlencoded" else {}
            written = _DEFAULT_BODY
            self.draft.leave(_("There is no “send_body”. The fields that RapidPro proposes are sent."))
        self.draft.take(_("“send_body” and “content_type” are the body of the request."))
        essence = self.kind.split(";")[0].strip().lower()
        if essence in ("json", "application/json") or essence.endswith("+json"):
            own = {"request_content_type": essence} if essence.endswith("+json") else {}
            try:
                tree = load(self.variables.mark_json(written), depth=24)
            except (ValueError, RecursionError) as error:
                raise ImportProblem(_("“send_body” is not JSON: %(problem)s") % {"problem": error}) from None
            return own | {"request_parameters": self.variables.tree(tree)}
        if essence in ("urlencoded", "application/x-www-form-urlencoded"):
            fields = self.variables.fields(self.variables.mark(written.strip()))
            return {"request_content_type": "form", "request_parameters": fields}
        is_xml = essence.endswith("xml")
        marked = self.variables.mark(written.strip())
        if is_xml:
            return {"request_content_type": "text/xml", "request_parameters": self._xml(marked)}
        kind = essence if re.fullmatch(r"[\w.+-]+/[\w.+-]+", essence) else "text"
        return {"request_content_type": kind, "request_parameters": self.variables.text(marked)}

    def _xml(self, marked: str) -> str:
        """The shape of XML; the text of an element that is called like a credential becomes a property."""
        secrets: dict[str, str] = {}

        def hidden(found: re.Match[str]) -> str:
            value = found[2].strip()
            if not is_credential(found[1]) or not is_secret(value) or self.variables.mark(value) != value:
                return found[0]
            place = f"«{len(secrets)}»"
            secrets[place] = self.draft.constant(found[1], value)
            return f"<{found[1]}>{place}</{found[1]}>"

        shape = self.variables.text(_ELEMENT.sub(hidden, marked))
        for place, secret in secrets.items():
            shape = shape.replace(place, secret)
        return shape

    def _headers(self) -> None:
        if value := self._text("send_authorization"):
            self.draft.authorization("send_authorization", value)
            self.draft.take(_("“send_authorization” is how requests are authorized."))
        for key in ("headers", "send_headers"):
            headers = self.config.get(key)
            for name, value in headers.items() if isinstance(headers, dict) else ():
                if name.casefold() != "content-type":
                    self.draft.header(name, _plain(value))
                    self.draft.take(_("Each request has the header “%(name)s”.") % {"name": name[:60]})

    def _rest(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if (length := self._text("max_length") or "160").isdecimal() and 0 < int(length[:6]) < 100_000:
            found["split"] = {"max": int(length[:6]), "unit": "characters", "into": "requests"}
            self.draft.take(_("“max_length” is where longer texts are split."))
        if check := self._text("mt_response_check"):
            found["response_success"] = {"$body$": {"matches": re.escape(check)}}
            self.draft.take(_("“mt_response_check” is what the answer must contain."))
        if self._text("encoding") in ("S", "U"):
            self.draft.leave_key("encoding", _("Texts are sent as they are, in UTF-8."))
        self.draft.leave(
            _(
                "RapidPro keeps no id of the provider. If the answer has one, add “response_map” with "
                "“$messageid$”."
            )
        )
        return found

    def _webhook(self) -> dict[str, Any]:
        """What the provider calls at …/receive, /sent, /delivered, /failed and /stopped."""
        events: list[dict[str, Any]] = [
            {"event_type": event_type, "path": path, "request_parameters": {"id": "$message_uuid$"}}
            for path, event_type in (
                ("sent", "messageSent"),
                ("delivered", "messageDelivered"),
                ("failed", "messageFailed"),
            )
        ]
        events.append({"event_type": "optOut", "path": "stopped", "request_parameters": {"from": "$from$"}})
        if self._text("from_xpath") or self._text("text_xpath"):
            self.draft.leave_key("from_xpath", _("Describe the XML that is received as an event."))
        else:
            events.append({"event_type": "message", "path": ["receive", ""], **self._received()})
        response = {
            "content_type": self._text("mo_response_content_type") or "text/plain",
            "body": literal(self._text("mo_response")),
        }
        if self._text("mo_response"):
            self.draft.take(_("“mo_response” is how webhooks are answered."))
        self.draft.take(
            _("The URLs that end in receive, sent, delivered, failed and stopped are below the webhook URL.")
        )
        self.draft.leave(_("Nothing proves who calls the webhook URL, as in RapidPro. Add “verify”."))
        return {"response": response, "events": events} if self._text("mo_response") else {"events": events}

    def _received(self) -> dict[str, Any]:
        key = self.draft.vocabulary.key
        text = key(self._text("mo_text_field") or "text") or "text"
        date = (key(self._text("mo_date_field") or "date") or "date").removesuffix("?")
        senders = dict.fromkeys(key(each) for each in (self._text("mo_from_field"), "from", "sender") if each)
        shapes = [
            {sender: "$from$", text: "$content?$", f"{date}?": "$date?|iso$"}
            for sender in senders
            if sender is not None and len({sender, text, date}) == 3
        ]
        return {"request_parameters": {"$first": shapes}}


def _plain(value: Any) -> str:
    value = plain_value(value) if isinstance(value, Number) else value
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return ""
    return str(value)
