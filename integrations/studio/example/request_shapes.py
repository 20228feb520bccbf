"""A method of the API section, made of the sample of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations import bodies
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value
from integrations.language.xml import parse_xml
from integrations.studio.example.file_lists import FileLists
from integrations.studio.example.meanings import Meaning
from integrations.studio.example.samples import Leaf, Path, Sample, tokens
from integrations.studio.example.words import placeholder
from integrations.studio.example.writing import IN_PATHS, LEFT_OUT, Vocabulary, around, filters_of, literal
from integrations.studio.example.xml_text import XmlText

MethodName = Literal["SendMessage", "SendFile"]
_NOT_SENT = {
    "host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent",
    "content-type", "postman-token", "cache-control", "referer", "origin",
}  # fmt: skip
_HOST = re.compile(r"https?://[A-Za-z0-9._-]+(?::\d{1,5})?")


@dataclass(frozen=True)
class MethodDraft:
    """A method, and what the document says for all of them: `auth` and headers."""

    method: dict[str, Any]
    auth: dict[str, Any] | None
    headers: dict[str, Any]


def written_request(
    sample: Sample, meanings: Mapping[str, Meaning], vocabulary: Vocabulary, name: MethodName
) -> MethodDraft:
    """The method that makes the request of a sample; of one without files, its files are left out."""
    writer = _Writer(sample, meanings, vocabulary, name)
    return MethodDraft(writer.method(), writer.auth(), writer.headers())


class _Writer:
    def __init__(
        self, sample: Sample, meanings: Mapping[str, Meaning], vocabulary: Vocabulary, name: MethodName
    ) -> None:
        self.sample, self.meanings, self.vocabulary, self.name = sample, meanings, vocabulary, name
        self.leaves = {leaf.key: leaf for leaf in sample.leaves}
        self.lists = FileLists(sample, meanings)
        self.element = ""

    def method(self) -> dict[str, Any]:
        sample = self.sample
        method: dict[str, Any] = {}
        if sample.method != "POST":
            method["request_method"] = sample.method
        method["request_url"] = self._url()
        query = self._fields("query", sample.query)
        if sample.method == "GET":
            if sample.form in ("form", "multipart"):
                query |= self._fields(sample.form, self._flat())
            elif sample.form:
                self.vocabulary.note(_("A GET request has no body; that of the sample was left out."))
            return method | ({"request_parameters": query} if query else {})
        if query:
            method["request_query"] = query
        return method | self._body()

    def _url(self) -> str:
        base = re.match(r"(?:https?://)?[^/?#]*", self.sample.url)
        origin = base[0] if base else ""
        if not _HOST.fullmatch(origin) or self.vocabulary.hides(origin):
            hint = _("The URL that all requests begin with, such as https://api.example.com")
            label = self.vocabulary.declare("API URL", "", secret=False, type="url", help=hint)
            origin = f"${label}$"
        path = ""
        for index, segment in enumerate(self.sample.segments):
            leaf = self.leaves.get(f"path/{index}")
            value = self._value(leaf, quoted=True) if leaf is not None and segment else ""
            path += f"/{'' if value is LEFT_OUT else value}"
        return origin + path + self._bare()

    def _bare(self) -> str:
        """What stands alone in the query; the URL has it, since a shape gives it a sign of equality."""
        values = [self._value(leaf, quoted=True) for leaf in self.sample.leaves if leaf.where == "bare"]
        words = [str(value) for value in values if value is not LEFT_OUT]
        return f"?{'&'.join(words)}" if words else ""

    def _flat(self) -> Value:
        if self.sample.form == "form":
            return self.sample.tree
        found: dict[str, list[str]] = {}
        for part in self.sample.parts:
            found.setdefault(part.name, []).append(part.text)
        return {name: values[0] if len(values) == 1 else values for name, values in found.items()}

    def _fields(self, where: str, fields: Mapping[str, Value]) -> dict[str, Any]:
        """The shape of a query, a form or the parts of a multipart body."""
        result: dict[str, Any] = {}
        for name, value in fields.items():
            key = self.vocabulary.key(name)
            shape = self._field(where, name, value) if key is not None else LEFT_OUT
            if key is not None and shape is not LEFT_OUT:
                result[self._optional(key, shape)] = shape
        return result

    def _field(self, where: str, name: str, value: Value) -> Any:
        many = isinstance(value, list)
        paths: list[Path] = [(name, index) for index in range(len(value))] if many else [(name,)]
        shapes = []
        for path in paths:
            leaf = self._leaf(where, path) or self._leaf("file", path)
            role = self.meanings[leaf.key].role if leaf is not None else "ignore"
            if leaf is not None and leaf.where == "file":
                if self.name == "SendFile":
                    return "$media$" if many or name.endswith(("[]", "s")) else "$media[0]$"
            elif leaf is not None and role == "file" and many:
                return "$urls$" if self.name == "SendFile" else LEFT_OUT
            elif leaf is not None and (shape := self._value(leaf)) is not LEFT_OUT:
                shapes.append(shape if not isinstance(shape, bool) else str(shape).lower())
        return (shapes if many else shapes[0]) if shapes else LEFT_OUT

    def _leaf(self, where: str, path: Path) -> Leaf | None:
        return self.leaves.get(Leaf(where, path, None).key)  # type: ignore[arg-type]

    def _optional(self, key: str, shape: Any) -> str:
        """The key of the text beside a file, which may be empty."""
        return f"{key}?" if self.name == "SendFile" and shape == "$text$" and not key.endswith("?") else key

    def _body(self) -> dict[str, Any]:
        sample, declared = self.sample, self.sample.header("Content-Type")
        kind = bodies.essence(declared)
        if sample.form == "json":
            shape = self._json(sample.tree, ())
            own = {} if kind in ("", MEDIA_TYPES["json"]) else {"request_content_type": kind}
            return own if shape is LEFT_OUT else {**own, "request_parameters": shape}
        if sample.form in ("form", "multipart"):
            shape = self._fields(sample.form, self._flat())
            one = "$media[0]$" in shape.values()
            own = {"request_content_type": sample.form, **({"for_each": "media"} if one else {})}
            return {**own, "request_parameters": shape}
        if sample.form == "xml":
            words = self._xml()
            kind = kind if kind.endswith("xml") else "text/xml"
            return {"request_content_type": kind, "request_parameters": words} if words else {}
        if sample.form == "text":
            is_data = kind.endswith(("json", "xml")) or kind == MEDIA_TYPES["form"] or "/" not in kind
            words = self._text()
            kind = "text" if is_data else kind
            return {"request_content_type": kind, "request_parameters": words} if words else {}
        return {}

    def _json(self, value: Value, path: Path) -> Any:
        if isinstance(value, Mapping):
            result = {}
            for name, item in value.items():
                key = self.vocabulary.key(name)
                shape = self._json(item, (*path, name)) if key is not None else LEFT_OUT
                if key is not None and shape is not LEFT_OUT:
                    result[self._optional(key, shape)] = shape
            return result
        if isinstance(value, list):
            return self._list(value, path)
        leaf = self._leaf("json", path)
        return LEFT_OUT if leaf is None else self._value(leaf)

    def _list(self, value: list[Value], path: Path) -> Any:
        files = [index for index, _item in enumerate(value) if self.lists.holds_file((*path, index))]
        if not files:
            shapes = [self._json(item, (*path, index)) for index, item in enumerate(value)]
            return [shape for shape in shapes if shape is not LEFT_OUT]
        first = value[files[0]]
        if self.name == "SendMessage" and not isinstance(first, list):
            rest = [
                self._json(item, (*path, index)) for index, item in enumerate(value) if index not in files
            ]
            return [shape for shape in rest if shape is not LEFT_OUT] or LEFT_OUT
        if not isinstance(first, Mapping | list):
            return "$urls$"
        if self.element or not self.lists.is_file((*path, files[0])):
            return [self._json(item, (*path, index)) for index, item in enumerate(value)]
        self.element = "item"
        shape = self._json(first, (*path, files[0]))
        self.element = ""
        return [{"$each": "$media$", "$as": "item", "$value": shape}]

    def _xml(self) -> str:
        document = XmlText(re.sub(rb"(<\?xml[^>]*?)\s+encoding=[\"'][^\"']*[\"']", rb"\1", self.sample.body))

        def written(path: Path, value: str) -> str | None:
            leaf = self._leaf("xml", path)
            meaning = self.meanings[leaf.key] if leaf is not None else None
            if leaf is None or (
                meaning is not None and meaning.role == "constant" and not self.vocabulary.hides(value)
            ):
                return None
            shape = self._value(leaf, quoted=False, escaped=True)
            return "" if shape is LEFT_OUT else str(shape)

        words = document.rewritten(written, literal)
        try:
            parse_xml(re.sub(r"\$\$", "$", words))
            usable = not self.vocabulary.hides(words)
        except ValueError:
            usable = False
        if not usable:
            self.vocabulary.note(_("The XML of the request was left out, because it cannot be written."))
        return words if usable else ""

    def _text(self) -> str:
        result = ""
        for index, token in enumerate(tokens(self.sample.tree)):
            leaf = self.leaves.get(f"text/{index}")
            shape = self._value(leaf) if leaf is not None else literal(token)
            result += "" if shape is LEFT_OUT else str(shape)
        return "" if self.vocabulary.hides(result) else result

    def headers(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for leaf in self.leaves.values():
            name = str(leaf.path[0]) if leaf.where == "header" else ""
            if not name or name.casefold() in _NOT_SENT or name.casefold() in map(str.casefold, result):
                continue
            if self._bearer(leaf) or self.vocabulary.hides(name):
                continue
            shape = self._value(leaf)
            if shape is not LEFT_OUT:
                result[name] = shape
        return result

    def auth(self) -> dict[str, Any] | None:
        for leaf in self.leaves.values():
            if leaf.where == "user":
                password = self.leaves["password"]
                pair = [self._value(leaf), self._value(password)]
                user, word = ("" if value is LEFT_OUT else value for value in pair)
                return {"type": "Basic", "username": user, "password": word}
            if leaf.where == "header" and self._bearer(leaf):
                meaning = self.meanings[leaf.key]
                token = self.vocabulary.property(leaf, meaning, secret=meaning.role == "credential")
                return {"type": "Bearer", "token": token}
        return None

    def _bearer(self, leaf: Leaf) -> bool:
        meaning = self.meanings[leaf.key]
        before, after = around(leaf.text, meaning)
        return (
            leaf.name.casefold() == "authorization"
            and meaning.role in ("credential", "property")
            and before.strip().casefold() == "bearer"
            and not after
        )

    def _value(self, leaf: Leaf, *, quoted: bool = False, escaped: bool = False) -> Any:
        """The shape of a value, in a URL percent-encoded, in XML escaped; LEFT_OUT if it is not sent."""
        meaning = self.meanings[leaf.key]
        before, after = around(leaf.text, meaning)
        name = self._variable(leaf, meaning)
        if name is LEFT_OUT:
            return LEFT_OUT
        if name is None:
            shape = self.vocabulary.constant(leaf.value, quoted=quoted)
            return _escaped(shape) if escaped and isinstance(shape, str) else shape
        if self.vocabulary.hides(before) or self.vocabulary.hides(after):
            return LEFT_OUT
        around_it = [literal(quote(part, safe=IN_PATHS) if quoted else part) for part in (before, after)]
        if escaped:
            around_it = [_escaped(part) for part in around_it]
        return f"{around_it[0]}{name}{around_it[1]}"

    def _variable(self, leaf: Leaf, meaning: Meaning) -> Any:
        """The placeholder for a role; None for a constant, LEFT_OUT for what is not sent."""
        role = meaning.role
        if role in ("to", "from"):
            return f"${role}{filters_of(meaning)}$"
        if role == "text":
            return "$content$" if self.name == "SendMessage" else "$text$"
        if role in ("credential", "property"):
            if role == "property" and placeholder(leaf.text) is None and not leaf.text:
                return None
            return self.vocabulary.property(leaf, meaning, secret=role == "credential")
        if role in ("file", "file_type", "file_name"):
            if self.name == "SendMessage":
                return LEFT_OUT if role == "file" else None
            file = self.element or "media[0]"
            key = {"file": "url", "file_type": "content_type", "file_name": "filename"}[role]
            return "$url$" if role == "file" and not self.element else f"${file}.{key}$"
        if role == "webhook_url":
            return "$webhook_url$"
        if role == "reference":
            return "$message_uuid$"
        return LEFT_OUT if role == "ignore" else None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
