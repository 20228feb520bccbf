"""The variables of another system in its texts, URLs and trees, written as placeholders."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from django.utils.translation import gettext as _

from integrations.language.values import Number, Value, well_formed
from integrations.studio.importers.report import Draft, ImportProblem
from integrations.studio.writing import IN_PATHS, literal, plain_value

# Characters of private use stand for variables until a text is taken apart.
_FIRST, _LAST = 0xE000, 0xF8FF
_MARK = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_URL = re.compile(r"(?i)(https?://)(?:([^/?#@]*)@)?([^/?#@]*)([^?#]*)(?:\?([^#]*))?.*", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::[1-9]\d{0,4})?")
_STRING = r'"(?:[^"\\]|\\.)*+"'


class Variables:
    """How a system writes variables: `pattern` has their name in its first group.

    `shapes` gives the placeholder for a name, "" where it has no value here, and None if nobody knows it.
    """

    def __init__(self, draft: Draft, pattern: str, shapes: Callable[[str], str | None]) -> None:
        self.draft, self.shapes = draft, shapes
        self._pattern = re.compile(pattern)
        self._in_json = re.compile(rf"({_STRING})|(?P<quote>['\"]?)(?P<whole>{pattern})(?P=quote)")
        self._marks: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The text with a character in place of each variable."""
        return self._pattern.sub(
            lambda found: self._mark_of(found[0], found[1]), _MARK.sub("", well_formed(text))
        )

    def mark_json(self, text: str) -> str:
        """The same for JSON, in which a variable stands without quotes for a whole text."""

        def marked(found: re.Match[str]) -> str:
            if found[1] is not None:
                return self._pattern.sub(lambda inner: self._mark_of(inner[0], inner[1]), found[1])
            variable = self._pattern.fullmatch(found["whole"])
            return f'"{self._mark_of(variable[0], variable[1])}"' if variable else found[0]

        return self._in_json.sub(marked, _MARK.sub("", well_formed(text)))

    def text(self, marked: str, *, quoted: bool = False) -> str:
        """The shape of a marked text, of which the rest is always the same; percent-encoded if `quoted`."""
        result, end = "", 0
        for found in _MARK.finditer(marked):
            rest = marked[end : found.start()]
            result += literal(quote(rest, safe=IN_PATHS) if quoted else rest) + self._shape(found[0])
            end = found.end()
        rest = marked[end:]
        return result + literal(quote(rest, safe=IN_PATHS) if quoted else rest)

    def value(self, key: str, marked: str) -> str | None:
        """The shape of a field's value; None if it is nothing but variables without a value."""
        if not _MARK.search(marked):
            return self.draft.constant(key, marked)
        return self.text(marked) or None

    def tree(self, value: Value, key: str = "") -> Any:
        """The shape of a marked tree of JSON."""
        if isinstance(value, dict):
            found = {}
            for name, item in value.items():
                written = self.draft.vocabulary.key(_MARK.sub("", name))
                shape = self.tree(item, name)
                if written is not None and shape is not None:
                    found[written] = shape
            return found
        if isinstance(value, list):
            shapes = [self.tree(item, key) for item in value]
            return [shape for shape in shapes if shape is not None]
        if isinstance(value, str) and not isinstance(value, Number):
            return self.value(key, value)
        return plain_value(value)

    def fields(self, marked: str) -> dict[str, Any]:
        """The shape of a marked query or form."""
        found: dict[str, Any] = {}
        for pair in marked.split("&"):
            name, _equals, value = pair.partition("=")
            name = _MARK.sub("", unquote_plus(name)).strip()
            key = self.draft.vocabulary.key(name) if name else None
            shape = self.value(name, unquote_plus(value)) if key is not None else None
            if key is None or shape is None:
                continue
            if key in found:
                found[key] = [*(found[key] if isinstance(found[key], list) else [found[key]]), shape]
            else:
                found[key] = shape
        return found

    def url(self, key: str, text: str) -> tuple[str, dict[str, Any], str]:
        """The shape of a URL without its query, that of the query, and the host. Raises ImportProblem."""
        found = _URL.fullmatch(self.mark(text.strip()))
        if found is None or not _HOST.fullmatch(found[3]):
            raise ImportProblem(
                _("“%(key)s” has no URL that begins with http:// or https:// and a host.") % {"key": key}
            )
        if found[2]:
            user, _colon, password = found[2].partition(":")
            self.draft.basic(key, unquote(self._plain(user)), unquote(self._plain(password)))
        path = "/".join(self._segment(segment) for segment in found[4].split("/"))
        return found[1].lower() + found[3] + path, self.fields(found[5] or ""), found[3].partition(":")[0]

    def _segment(self, marked: str) -> str:
        if _MARK.search(marked):
            return self.text(unquote(marked), quoted=True)
        shape = self.draft.constant("", unquote(marked))
        return shape if shape != literal(unquote(marked)) else literal(quote(unquote(marked), safe=IN_PATHS))

    def _plain(self, marked: str) -> str:
        return _MARK.sub("", marked)

    def _shape(self, mark: str) -> str:
        name = self._names[mark]
        shape = self.shapes(name)
        if shape is None:
            self.draft.leave(
                _("The variable %(name)s is not known here, and was left out.") % {"name": name[:60]}
            )
        return shape or ""

    def _mark_of(self, _whole: str, name: str) -> str:
        if name not in self._marks:
            if len(self._marks) > _LAST - _FIRST:
                raise ImportProblem(_("There are too many variables in this text."))
            mark = chr(_FIRST + len(self._marks))
            self._marks[name], self._names[mark] = mark, name
        return self._marks[name]
