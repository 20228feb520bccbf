"""What a folder of the catalogue shows of its service, and the same service at the sandbox's address."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from integrations.language.document import Template, compile_document
from integrations.language.placeholders import only
from integrations.language.values import Value, dump, load

API = "/api"
_LITERAL = re.compile(r"https?://[^/?]*", re.I)


@dataclass(frozen=True)
class CatalogEntry:
    """A template with its cases, those of texts and successes first, and the drawing of its logo."""

    document: Mapping[str, Value]
    template: Template
    cases: tuple[Mapping[str, Value], ...]
    logo: bytes


@lru_cache(maxsize=64)
def read_entry(folder: Path) -> CatalogEntry:
    """The entry of a folder. Raises OSError or DocumentError where there is none, or none that is right."""
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
    """An entry whose service is the sandbox: its document, the values that go with it, and a signing key.

    Every host becomes the sandbox, at the same path below `/api`. The document is the entry's own if it names
    no host; else it has an id and a name of its own, so that it can stand beside the built-in one.
    """

    def __init__(self, entry: CatalogEntry, origin: str) -> None:
        self.entry = entry
        self.signing_key = Ed25519PrivateKey.generate()
        self._origin = origin

    @cached_property
    def document(self) -> dict[str, Value]:
        """The template's document, every literal host in it replaced."""
        own: dict[str, Value] = dict(self.entry.document)
        made = dict(own)
        for key, move in (("auth", self._moved), ("API", self._moved), ("Webhook", self._hook)):
            if key in own:
                made[key] = move(own[key])
        if made == own:
            return made
        return {**made, "id": f"{own['id']}-sandbox"[:64], "name": f"{own['name']} (sandbox)"}

    @cached_property
    def source(self) -> str:
        """The document's text."""
        return dump(self.document)

    @cached_property
    def template(self) -> Template:
        """The document, compiled."""
        return compile_document(self.source)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Values of the properties: those of the cases, with the sandbox's address and public key."""
        found: dict[str, Any] = {}
        for case in self.entry.cases:
            for label, value in case.get("properties", {}).items():
                found.setdefault(label, value)
        for item in self.entry.template.properties:
            if item.default is not None:
                found.setdefault(item.label, item.default)
        kinds = {item.label: item.type for item in self.entry.template.properties}
        found = {label: value for label, value in found.items() if label in kinds}
        found |= {label: self._at(found[label]) for label in found if kinds[label] == "url"}
        for verify in self._verifies():
            key = only(verify.get("key")) if verify.get("type") == "ed25519" else None
            if key is not None:
                public = self.signing_key.public_key().public_bytes_raw()
                found[key.root] = base64.b64encode(public).decode()
        return found

    def verify_of(self, event: int) -> list[Mapping[str, Value]]:
        """The ways in which webhooks of an event, counted from 0, are verified."""
        section = self.document.get("Webhook", {})
        shared = section if isinstance(section, Mapping) else {}
        events = shared.get("events", section)
        events = events if isinstance(events, list) else [events]
        found = events[event].get("verify", shared.get("verify", []))
        return found if isinstance(found, list) else [found]

    def _verifies(self) -> list[Mapping[str, Value]]:
        events = range(len(self.entry.template.webhook.events))
        return [way for event in events for way in self.verify_of(event)]

    def _at(self, url: str) -> str:
        return _LITERAL.sub(lambda _: self._origin + API, url, count=1)

    def _moved(self, value: Value) -> Value:
        if isinstance(value, Mapping):
            return {key: self._moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._moved(item) for item in value]
        return self._at(value) if isinstance(value, str) and _LITERAL.match(value) else value

    def _hook(self, value: Value) -> Value:
        """The section with files at the sandbox, and without addresses that only the service has."""
        if isinstance(value, list):
            return [self._hook(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        made = {key: self._hook(item) for key, item in value.items()}
        if isinstance(made.get("media_auth"), list):
            made["media_auth"] = [urlsplit(self._origin).hostname]
        if "media_path" in made:
            made["media_path"] = API + made["media_path"]
        if made.get("type") == "ip" and "ranges" in made:
            made["ranges"] = ["127.0.0.0/8", "::1/128"]
        return made
