"""Entries of the catalogue, and the same entries with the sandbox as their provider's host."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from integrations import catalog
from integrations.language.document import Template, compile_document
from integrations.language.placeholders import only
from integrations.language.values import Value, dump, load
from integrations.sandbox.signing_keys import SigningKeys

API = "/api"
# Providers that do not exist, each with something that few real ones need.
EXAMPLES = Path(__file__).parent / "examples"
_LITERAL = re.compile(r"https?://[^/?]*", re.I)


def services() -> dict[str, Path]:
    """The folders of all providers that the sandbox can simulate, by name."""
    folders = (*catalog.FOLDER.glob("*/template.json"), *EXAMPLES.glob("*/template.json"))
    return {path.parent.name: path.parent for path in sorted(folders)}


@dataclass(frozen=True)
class CatalogEntry:
    """A template with its cases, successful ones first, and its logo."""

    document: Mapping[str, Value]
    template: Template
    cases: tuple[Mapping[str, Value], ...]
    logo: bytes


@lru_cache(maxsize=64)
def read_entry(folder: Path) -> CatalogEntry:
    """The entry in a folder. Raises OSError or DocumentError for a missing or wrong template."""
    template = compile_document((folder / "template.json").read_text())
    cases: list[Mapping[str, Value]] = []
    for file in sorted((folder / "cases").glob("*.json")):
        found = load(file.read_text())
        cases += found if isinstance(found, list) else [found]
    logo = folder / "logo.svg"
    cases.sort(key=lambda case: case.get("outcome", {}).get("result") != "sent")
    return CatalogEntry(
        template.document, template, tuple(cases), logo.read_bytes() if logo.is_file() else b""
    )


class HostedEntry:
    """An entry whose provider is the sandbox: its document, the values for it, and a signing key.

    Every host is replaced by the sandbox, with the same path below `/api`. A document that names hosts gets
    an id and a name of its own, so that it can be used beside the built-in one. With "" as origin, all hosts
    stay as they are: nothing is served, and requests are only compared.
    """

    def __init__(self, entry: CatalogEntry, origin: str) -> None:
        self.entry = entry
        self.signing_keys = SigningKeys()
        self._origin = origin

    @cached_property
    def document(self) -> dict[str, Value]:
        """The template's document, with every literal host replaced."""
        own: dict[str, Value] = dict(self.entry.document)
        made = dict(own)
        made |= {key: self._rehosted(own[key]) for key in ("auth", "OAuth2", "API") if key in own}
        if "Webhook" in own:
            made["Webhook"] = self._webhook(own["Webhook"])
        if made == own or not self._origin:
            return made
        return {**made, "id": f"{own['id']}-sandbox"[:64], "name": f"{own['name']} (sandbox)"}

    @cached_property
    def source(self) -> str:
        """The document as text."""
        return dump(self.document)

    @cached_property
    def template(self) -> Template:
        """The document, compiled."""
        return compile_document(self.source)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of the properties: those of the cases, with the sandbox's URL and keys."""
        found: dict[str, Any] = {}
        required = {item.label for item in self.entry.template.properties if item.required}
        for case in self.entry.cases:
            # Optional values may exclude each other: all are those of the first case.
            known = {label: value for label, value in case.get("properties", {}).items() if label in required}
            found = known | found if found else dict(case.get("properties", {}))
        for item in self.entry.template.properties:
            if item.default is not None:
                found.setdefault(item.label, item.default)
        kinds = {item.label: item.type for item in self.entry.template.properties}
        found = {label: value for label, value in found.items() if label in kinds}
        found |= {label: self._at(found[label]) for label in found if kinds[label] == "url"}
        for verify in self._verifies():
            key, kind = only(verify.get("key")), verify.get("type")
            if key is not None and kind == "ed25519":
                public = self.signing_keys.ed25519.public_key().public_bytes_raw()
                found[key.root] = base64.b64encode(public).decode()
            elif key is not None and kind == "jwt" and verify.get("algorithm", "HS256") != "HS256":
                found[key.root] = self.signing_keys.public(verify["algorithm"])
        auth = self.document.get("auth", [])
        for scheme in auth if isinstance(auth, list) else [auth]:
            key = only(scheme.get("key")) if scheme.get("type") == "JWT" else None
            if key is not None and scheme["algorithm"] != "HS256":
                found[key.root] = self.signing_keys.private(scheme["algorithm"])
        return found

    def verify_of(self, event: int) -> list[Mapping[str, Value]]:
        """The verification schemes of an event, which is counted from 0."""
        section = self.document.get("Webhook", {})
        shared = section if isinstance(section, Mapping) else {}
        events = shared.get("events", section)
        events = events if isinstance(events, list) else [events]
        found = events[event].get("verify", shared.get("verify", []))
        return found if isinstance(found, list) else [found]

    def _verifies(self) -> list[Mapping[str, Value]]:
        events = range(len(self.entry.template.webhook.events))
        return [scheme for event in events for scheme in self.verify_of(event)]

    def _at(self, url: str) -> str:
        if not self._origin:
            return url
        return _LITERAL.sub(lambda _: self._origin + API, url, count=1)

    def _rehosted(self, value: Value) -> Value:
        if isinstance(value, Mapping):
            return {key: self._rehosted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rehosted(item) for item in value]
        return self._at(value) if isinstance(value, str) and _LITERAL.match(value) else value

    def _webhook(self, value: Value) -> Value:
        """The Webhook section, with the sandbox as the host of files and the sender of requests."""
        if isinstance(value, list):
            return [self._webhook(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        made = {key: self._webhook(item) for key, item in value.items()}
        if isinstance(made.get("media_auth"), list) and self._origin:
            made["media_auth"] = [urlsplit(self._origin).hostname]
        if "media_path" in made and self._origin:
            made["media_path"] = API + made["media_path"]
        if made.get("type") == "ip" and "ranges" in made:
            made["ranges"] = ["127.0.0.0/8", "::1/128"]
        return made
