"""A text as XML document: the values in it are escaped by where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # defusedxml parses
from xml.sax import saxutils  # nosec B406 # only escapes

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from integrations.language.budget import spend
from integrations.language.expressions import Getter, getter, parts_of
from integrations.language.placeholders import Placeholder, only
from integrations.language.scope import Scope
from integrations.language.shapes import Render, compile_text
from integrations.language.values import Variables
from integrations.language.xml import characters

# In place of a value; its first character can be in no name and no reference of XML.
_MARK = re.compile("\ue000([0-9]+)\ue001")
_OPAQUE = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(?P<cdata>.*?)\]\]>", re.DOTALL)
_QUOTES = {'"': "&quot;", "'": "&apos;"}
# A reader takes line ends for "\n", and all white space of an attribute for blanks, unless they are escaped.
_LINE_END, _SPACES = {"\r": "&#13;"}, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def compile_xml_text(source: str, scope: Scope, pointer: str) -> Render:
    """A function that renders the document; reports one that is none, and values that are in no text.

    A value may stand in the text of an element, a CDATA section or the value of an attribute, which it cannot
    end. A text that is a single placeholder is the value of that.
    """
    if only(source) is not None:
        return compile_text(source, scope, pointer)
    parts = parts_of(source, scope, pointer)
    marked = [
        f"\ue000{index}\ue001" if isinstance(part, Placeholder) else part for index, part in enumerate(parts)
    ]
    places: dict[int, Callable[[str], str]] = {}
    document = "".join(marked)
    try:
        places = _places(document)
        # Values may be empty, so what is around them must not become something else without them.
        document = "".join(part for part in parts if isinstance(part, str))
        fromstring(document)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        scope.refuse(pointer, f"The text is no XML document{_where(error, document, parts)}.", _ADVICE)
    else:
        for index, part in enumerate(parts):
            if isinstance(part, Placeholder) and index not in places:
                reason = (
                    f"{part.source} may stand only in the text of an element or the value of an attribute."
                )
                scope.refuse(pointer, reason, column=part.column)
    pieces: list[str | tuple[Getter, Callable[[str], str]]] = [
        (_unescaped(part, scope, pointer), _quoted if _ends_escaped(part) and escape is _in_text else escape)
        if isinstance(part, Placeholder)
        else part
        for index, part in enumerate(parts)
        for escape in [places.get(index, _in_attribute)]
    ]

    def render(variables: Variables) -> str:
        texts = [
            piece if isinstance(piece, str) else piece[1](characters(piece[0](variables))) for piece in pieces
        ]
        spend(sum(map(len, texts)) >> 4)
        return "".join(texts)

    return render


_ADVICE = "Write an object with one key, the root element, or mend the text."


def _where(error: Exception, document: str, parts: Sequence[str | Placeholder]) -> str:
    """Near which words of the document the reader gave up."""
    if not isinstance(error, ParseError):
        return ": it declares entities or an unknown character set"
    line, column = error.position
    lines = document.splitlines()
    words = lines[line - 1][column : column + 40] if 0 < line <= len(lines) else ""
    shown = (
        _MARK.sub(lambda found: getattr(parts[int(found[1])], "source", ""), words).split("\ue000")[0].strip()
    )
    return f": it cannot be read at {shown!r}" if shown else ": it has no end, or no root element"


def _places(document: str) -> dict[int, Callable[[str], str]]:
    """How the value of each mark is escaped. Raises what `fromstring` does."""
    root: Element = fromstring(document)
    found: dict[int, Callable[[str], str]] = {}
    for element in root.iter():
        for words in (element.text or "", element.tail or ""):
            found.update((int(mark), _in_text) for mark in _MARK.findall(words))
        for words in element.attrib.values():
            found.update((int(mark), _in_attribute) for mark in _MARK.findall(words))
    for section in _OPAQUE.finditer(document):
        found.update((int(mark), _in_cdata) for mark in _MARK.findall(section["cdata"] or ""))
    return found


def _ends_escaped(part: Placeholder) -> bool:
    return bool(part.filters) and part.filters[-1].name == "escape" and not part.filters[-1].arguments


def _unescaped(part: Placeholder, scope: Scope, pointer: str) -> Getter:
    """The value before the filter `escape` that the author wrote last: it is escaped once, here."""
    # What is escaped cannot be found by its value in what is shown.
    scope.derived.update(filter(scope.hides, part.roots))
    return getter(replace(part, filters=part.filters[:-1]) if _ends_escaped(part) else part, scope, pointer)


def _in_text(value: str) -> str:
    return saxutils.escape(value, _LINE_END)


def _quoted(value: str) -> str:
    return saxutils.escape(value, {**_QUOTES, **_LINE_END})


def _in_attribute(value: str) -> str:
    return saxutils.escape(value, {**_QUOTES, **_SPACES})


def _in_cdata(value: str) -> str:
    """As it is, unless it may be part of what ends the section: then it is escaped outside."""
    return f"]]>{_in_text(value)}<![CDATA[" if set(value) & set("]>\r") else value
