"""Events of the Webhook section, made of samples of webhook requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from integrations import bodies
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import dump
from integrations.language.webhook_events import STATUSES
from integrations.studio.example import words
from integrations.studio.example.match_shapes import Entry, bound, event_hint, nested, text_shape
from integrations.studio.example.meanings import Meaning
from integrations.studio.example.samples import Leaf, Path, Sample
from integrations.studio.example.writing import LEFT_OUT, Vocabulary, around, dotted, literal, written_key

_BODY = ("json", "form", "xml", "multipart", "text")
_BY_HINT = {
    "delivered": "messageDelivered",
    "failed": "messageFailed",
    "sent": "messageSent",
    "read": "messageRead",
}
_STATUS_TYPES = {"messageStatus", *_BY_HINT.values()}
_MAX_ENTRIES = 14


def event_of(
    sample: Sample,
    meanings: Mapping[str, Meaning],
    vocabulary: Vocabulary,
    statuses: Mapping[str, str],
    told_apart: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """The event of a sample, or None if nothing in it says what it is.

    `statuses` are what the author says of the provider's words. The leaves in `told_apart` must be there,
    since other webhooks do not have them.
    """
    return _Maker(sample, meanings, vocabulary, statuses, told_apart).event()


class _Maker:
    def __init__(
        self,
        sample: Sample,
        meanings: Mapping[str, Meaning],
        vocabulary: Vocabulary,
        statuses: Mapping[str, str],
        told_apart: frozenset[str],
    ) -> None:
        self.sample, self.meanings, self.vocabulary = sample, meanings, vocabulary
        self.statuses, self.told_apart = statuses, told_apart
        self.roles: dict[str, Leaf] = {}
        for leaf in sample.leaves:
            meaning = meanings[leaf.key]
            before, after = around(leaf.text, meaning)
            if leaf.where in ("user", "password", "file", "path") or vocabulary.hides(before + after):
                continue
            if (leaf.text or meaning.role == "text") and self._is_writable(leaf):
                self.roles.setdefault(meaning.role, leaf)

    def event(self) -> dict[str, Any] | None:
        kind = self._kind()
        if kind is None:
            return None
        node: dict[str, Any] = {"event_type": kind}
        if self.sample.method not in ("GET", "POST", ""):
            node["request_method"] = self.sample.method
        if form := self._form():
            node["request_content_type"] = form
        entries = self._entries(kind)
        entries[_MAX_ENTRIES:] = []
        merged = self.sample.method == "GET" or self.sample.form in ("form", "multipart")
        headers = {str(leaf.path[0]): shape for leaf, shape in entries if leaf.where == "header"}
        query: list[Entry] = [(leaf.path, shape) for leaf, shape in entries if leaf.where == "query"]
        inside = [(leaf, shape) for leaf, shape in entries if leaf.where in _BODY]
        tree = self.sample.tree
        if merged:
            inside += [(leaf, shape) for leaf, shape in entries if leaf.where == "query"]
            tree, query = {**self.sample.query, **(tree if isinstance(tree, dict) else {})}, []
        if query and (shape := nested(query, self.sample.query, self.vocabulary)) is not LEFT_OUT:
            node["request_query"] = shape
        if headers:
            node["request_headers"] = headers
        if self.sample.form == "text" and not merged:
            shape = text_shape(self.sample, {leaf.key: each for leaf, each in inside}, self.vocabulary)
        else:
            shape = nested([(leaf.path, each) for leaf, each in inside], tree, self.vocabulary)
        if shape is not LEFT_OUT:
            node["request_parameters"] = shape
        if kind == "mms" and (variables := self._file_variables()):
            node["variables"] = variables
        if kind == "messageStatus":
            node["status_map"] = self._status_map()
        if verify := self._verify():
            node["verify"] = verify
        if not self._binds_enough(node, kind):
            self.vocabulary.note(_("A webhook was left out: its values stand where they cannot be read."))
            return None
        return node

    def _binds_enough(self, node: Mapping[str, Any], kind: str) -> bool:
        """Whether the shapes bind what the type of event needs; a plain text that is long has none."""
        shapes = dump([node.get(key) for key in ("request_query", "request_headers", "request_parameters")])
        needed = [["messageid", "message_uuid"]] if kind in _STATUS_TYPES else []
        needed += [["status"]] if kind == "messageStatus" else []
        needed += [["from"]] if kind in ("message", "mms") else []
        needed += [["url"]] if kind == "mms" and "variables" not in node else []
        return all(any(f"${name}" in shapes for name in names) for names in needed)

    def _kind(self) -> str | None:
        roles = self.roles
        names_message = "messageid" in roles or "reference" in roles
        if names_message and "status" in roles:
            return "messageStatus"
        if "from" in roles:
            if "file" in roles:
                return "mms"
            if "text" in roles or not names_message:
                return "message"
        if names_message:
            kind = _BY_HINT.get(event_hint(self.sample, self.meanings))
            if kind is None:
                self.vocabulary.note(_("A webhook has an id and no status; it is read as “delivered”."))
            return kind or "messageDelivered"
        if "constant" in roles:
            return "ignore"
        self.vocabulary.note(
            _("A webhook was left out: nothing in it was marked. Mark its sender, or its id.")
        )
        return None

    def _form(self) -> str:
        """The content type, if the header of the request does not say it."""
        kind = bodies.essence(self.sample.header("Content-Type"))
        form = self.sample.form
        if form == "form":
            return "" if kind == MEDIA_TYPES["form"] else "form"
        if form == "xml":
            return "" if kind.endswith("xml") else "xml"
        return "json" if form == "json" and kind and not kind.endswith("json") else ""

    def _entries(self, kind: str) -> list[tuple[Leaf, Any]]:
        entries: list[tuple[Leaf, Any]] = []
        constants: list[tuple[Leaf, Any]] = []
        for leaf in self.sample.leaves:
            if leaf.where in ("user", "password", "file") or not self._is_writable(leaf):
                continue
            meaning = self.meanings[leaf.key]
            first = self.roles.get(meaning.role) is leaf
            shape = self._binding(kind, leaf, meaning) if first else None
            if shape is not None:
                entries.append((leaf, shape) if shape != "$urls$" else (_first_of_list(leaf), shape))
            elif meaning.role == "property" and leaf.text:
                entries.append((leaf, self.vocabulary.property(leaf, meaning, secret=False)))
            elif meaning.role == "constant" or leaf.key in self.told_apart:
                constant = leaf.value is not None and not self.vocabulary.hides(leaf.text)
                if meaning.role == "constant" and constant:
                    constants.append((leaf, self.vocabulary.constant(leaf.value)))
                elif leaf.text and meaning.role not in ("credential", "file"):
                    constants.append((leaf, "$_$"))
        # A property that is secret elsewhere may not be compared.
        secret = {f"${name}$" for name, item in self.vocabulary.properties.items() if item["secret"]}
        entries = [(leaf, shape) for leaf, shape in entries if shape not in secret]
        return [*entries, *constants]

    def _binding(self, kind: str, leaf: Leaf, meaning: Meaning) -> Any:
        """The placeholder for a role that the type of event has; None for any other."""
        role = meaning.role
        if kind in ("message", "mms"):
            if role in ("from", "to", "messageid"):
                return bound(leaf, meaning, role)
            if role == "text":
                return bound(leaf, meaning, "content" if kind == "message" else "text", optional=True)
            if role == "sendername":
                return bound(leaf, meaning, role, optional=True)
            if role == "file" and not self._file_variables():
                is_element = bool(leaf.path) and isinstance(leaf.path[-1], int)
                return "$urls$" if is_element else "$url$"
        if kind in _STATUS_TYPES:
            if role in ("messageid", "reference"):
                return bound(leaf, meaning, "messageid" if role == "messageid" else "message_uuid")
            if role == "status" and kind == "messageStatus":
                return bound(leaf, meaning, "status")
            if role in ("error_code", "error_text"):
                return bound(leaf, meaning, role, optional=True)
        if role == "date" and kind != "ignore":
            return bound(leaf, meaning, "date", optional=True)
        return None

    def _file_variables(self) -> dict[str, str]:
        """How files are collected that are in several fields, or in a list of objects."""
        leaf = self.roles.get("file")
        if leaf is None or leaf.where not in (*_BODY[:4], "query"):
            return {}
        path = leaf.path
        merged = self.sample.method == "GET" or self.sample.form in ("form", "multipart")
        root = "query" if leaf.where == "query" and not merged else "request"
        numbers = [index for index, step in enumerate(path) if isinstance(step, int)]
        if not numbers and (found := re.fullmatch(r"(.*[^0-9])[01]", str(path[-1]))):
            place = dotted(path[:-1], root)
            if place and "'" not in found[1] and "$" not in found[1] and not self.vocabulary.hides(found[1]):
                return {"urls": f"${place}|numbered:'{found[1]}'$"}
        if len(numbers) == 1 and 0 < numbers[0] < len(path) - 1:
            place = dotted(path[: numbers[0]], root)
            inner = dotted(path[numbers[0] + 1 :], "x")
            if place and inner and not self.vocabulary.hides(place + inner):
                return {"urls": f"${place}|pluck:'{inner[2:]}'$"}
        return {}

    def _is_writable(self, leaf: Leaf) -> bool:
        names = [step for step in leaf.path if isinstance(step, str)]
        return all(written_key(name) is not None and not self.vocabulary.hides(name) for name in names)

    def _status_map(self) -> dict[str, str]:
        leaf = self.roles["status"]
        before, after = around(leaf.text, self.meanings[leaf.key])
        word = leaf.text[len(before) : len(leaf.text) - len(after)]
        table = words.status_table(word) if not self.vocabulary.hides(word) else {}
        told = {key: status for key, status in self.statuses.items() if status in STATUSES}
        return {**table, **{key: status for key, status in told.items() if not self.vocabulary.hides(key)}}

    def _verify(self) -> dict[str, Any] | None:
        """How the request is proven, if it carries a credential."""
        for leaf in self.sample.leaves:
            meaning = self.meanings[leaf.key]
            if meaning.role != "credential" or not leaf.text:
                continue
            before, after = around(leaf.text, meaning)
            if self.vocabulary.hides(before + after) or any(map(self.vocabulary.hides, map(str, leaf.path))):
                continue
            if leaf.where == "password":
                user = self.sample.leaf("user")
                pair = self.meanings["user"] if user is not None else None
                if user is None or pair is None:
                    continue
                name = (
                    self.vocabulary.property(user, pair, secret=pair.role == "credential")
                    if pair.role in ("property", "credential")
                    else self.vocabulary.constant(user.text)
                )
                value = self.vocabulary.property(leaf, meaning, secret=True)
                return {"type": "basic", "username": "" if name is LEFT_OUT else name, "password": value}
            place: str | None = str(leaf.path[0]) if len(leaf.path) == 1 else None
            kind = {"header": "header", "query": "query"}.get(leaf.where, "field")
            if kind == "field":
                named = (
                    dotted(leaf.path, "x") if not any(isinstance(step, int) for step in leaf.path) else None
                )
                place = named[2:] if named and leaf.where != "text" else None
            if place and leaf.where not in ("user", "file", "text"):
                value = self.vocabulary.property(leaf, meaning, secret=True)
                return {"type": kind, "name": place, "value": f"{literal(before)}{value}{literal(after)}"}
        return None


def _first_of_list(leaf: Leaf) -> Leaf:
    """The place of a whole list, of which the leaf is an element."""
    path: Path = (*leaf.path[:-1], 0)
    return Leaf(leaf.where, path, leaf.value)
