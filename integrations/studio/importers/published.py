"""A document of the published format, in any of its variants, or of this project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeGuard
from urllib.parse import unquote_plus, urlsplit

from django.utils.translation import gettext as _

from integrations.language.document import KEYS, Template, compile_document
from integrations.language.errors import DocumentError
from integrations.language.placeholders import Placeholder, parse
from integrations.language.reading import read_document
from integrations.language.values import is_string, text
from integrations.studio.by_example import named_by_host
from integrations.studio.importers.report import Draft, ImportProblem, ImportReport, is_credential
from integrations.studio.meanings import is_secret
from integrations.studio.words import label_of, plain
from integrations.studio.writing import plain_value

_LOOKS = re.compile(r'["“”](?:API|Webhook|event_type|request_url|request_parameters)["“”]')
# What is secret in a section of authentication, whatever it is called elsewhere.
_SECRET = ("password", "token", "key", "client_secret", "value")
_PAIR = re.compile(r"(?:^|(?<=[?&]))([\w.-]+)=([^&#$]+)(?=[&#]|$)")
_SCHEME = re.compile(r"((?:Basic|Bearer|Token|App|Key) +)(\S.*)", re.IGNORECASE)


def fits(text: str) -> bool:
    """Whether the text has keys that only template documents have."""
    return _LOOKS.search(text) is not None


def read(source: str, name: str) -> ImportReport:
    """The document itself, with properties for the secrets that are written in it. Raises ImportProblem."""
    draft = Draft()
    try:
        template = _compiled(source, draft)
    except DocumentError as error:
        errors = [problem for problem in error.problems if problem.severity == "error"]
        more = _(" Problems besides this one: %(count)d.") % {"count": len(errors) - 1} if errors[1:] else ""
        problem = _("The document cannot be used: %(problem)s") % {"problem": errors[0]}
        raise ImportProblem(problem + more) from None
    for warning in template.warnings:
        draft.leave(str(warning))
    if template.methods:
        draft.take(_("The document has these methods: %(names)s.") % {"names": ", ".join(template.methods)})
    if template.events:
        kinds = ", ".join(dict.fromkeys(event.type for event in template.events))
        draft.take(_("The document has these events: %(names)s.") % {"names": kinds})
    document: dict[str, Any] = plain_value(dict(template.document))
    _Secrets(document, template, draft).replace()
    return draft.checked(document)


def _compiled(source: str, draft: Draft) -> Template:
    """The template; a snippet without an id or a name gets one."""
    document = read_document(source, KEYS)[1]
    missing = [key for key in ("id", "name") if not text(document.get(key)).strip()]
    if not missing:
        return compile_document(source)
    api = document.get("API")
    methods = api.values() if isinstance(api, dict) else ()
    urls = [text(each.get("request_url")) for each in methods if isinstance(each, dict)]
    hosts = [host for url in urls if (host := _host(url))]
    found = dict(zip(("id", "name"), named_by_host(hosts[0] if hosts else ""), strict=True))
    for key in missing:
        draft.leave(
            _("“%(key)s” is missing, so “%(value)s” was written.") % {"key": key, "value": found[key]}
        )
    return compile_document({**document, **{key: found[key] for key in missing}})


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class _Secrets:
    """Credentials that are written in a document where a property should be."""

    def __init__(self, document: dict[str, Any], template: Template, draft: Draft) -> None:
        self.document, self.template, self.draft = document, template, draft
        for item in template.properties:
            draft.vocabulary.declare(item.label, f"\0{item.label}")
        self.known = set(draft.vocabulary.properties)

    def replace(self) -> None:
        """Puts a property in the place of each."""
        self._defaults()
        for key in ("auth", "OAuth2"):
            for scheme in _objects(self.document.get(key)):
                self._scheme(key, scheme)
        self._headers(self.document)
        api = self.document.get("API")
        for method in api.values() if isinstance(api, dict) else ():
            for each in _objects(method):
                self._headers(each)
                self._parts(each)
        webhook = self.document.get("Webhook")
        for section in _objects(webhook):
            events = section.get("events")
            for each in (section, *_objects(events), *_objects(list(section.values()))):
                for scheme in _objects(each.get("verify")):
                    self._scheme("verify", scheme)
        new = [
            item
            for item in self.draft.vocabulary.listed()
            if (item if isinstance(item, str) else item["name"]) not in self.known
        ]
        if new:
            self.document["properties"] = [*(self.document.get("properties") or []), *new]

    def _defaults(self) -> None:
        hidden = {
            item.label for item in self.template.properties if item.secret and item.type in ("text", "secret")
        }
        for item in _objects(self.document.get("properties")):
            if item.get("name") in hidden and is_secret(text(item.get("default"))):
                self.draft.secret(str(item["name"]), str(item["name"]), text(item.pop("default")))

    def _scheme(self, section: str, scheme: dict[str, Any]) -> None:
        for key in _SECRET:
            place, own = _unwrapped(scheme, key)
            value = place.get(own)
            if self._is_literal(value):
                wanted = label_of(key) if key != "value" else "API key"
                scheme[key] = self.draft.secret(f"{section} / {key}", wanted, value.replace("$$", "$"))
        for key in ("token_parameters", "authorization_parameters"):
            self._parts(scheme, (key,))

    def _headers(self, node: dict[str, Any]) -> None:
        headers = node.get("request_headers")
        if not isinstance(headers, dict):
            return
        for name, value in headers.items():
            if not self._is_literal(value):
                continue
            found = _SCHEME.fullmatch(value)
            before, rest = (found[1], found[2]) if found else ("", value)
            if plain(name) == "authorization" or is_credential(name):
                wanted = "API key" if plain(name) == "authorization" else label_of(name) or "API key"
                headers[name] = before + self.draft.secret(name, wanted, rest.replace("$$", "$"))

    def _parts(
        self,
        node: dict[str, Any],
        keys: tuple[str, ...] = ("request_url", "request_query", "request_parameters"),
    ) -> None:
        for key in keys:
            place, own = _unwrapped(node, key)
            if isinstance(place.get(own), str):
                place[own] = _PAIR.sub(self._pair, place[own])
            else:
                self._tree(place.get(own))

    def _pair(self, found: re.Match[str]) -> str:
        value = unquote_plus(found[2])
        if not is_credential(found[1]) or not is_secret(value):
            return found[0]
        return f"{found[1]}={self.draft.secret(found[1], label_of(found[1]) or 'API key', value)}"

    def _tree(self, value: Any) -> None:
        for item in value if isinstance(value, list) else ():
            self._tree(item)
        for key, item in value.items() if isinstance(value, dict) else ():
            if is_credential(key) and self._is_literal(item):
                value[key] = self.draft.secret(key, label_of(key) or "API key", item.replace("$$", "$"))
            else:
                self._tree(item)

    def _is_literal(self, value: Any) -> TypeGuard[str]:
        """Whether a value is written out, and one that nobody may see."""
        if not is_string(value) or any(isinstance(part, Placeholder) for part in parse(value)):
            return False
        return is_secret(value.replace("$$", "$"))


def _unwrapped(node: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Where the value of a key stands: some fields of OAuth2 are `{"default": value}`."""
    inner = node.get(key)
    return (inner, "default") if isinstance(inner, dict) and set(inner) == {"default"} else (node, key)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a value that is one, or a list of them."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item
