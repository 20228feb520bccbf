"""XML as a tree of JSON values: one root key, `@attribute`, `#text`; prefixes are written, not read."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, tostring  # nosec B405 # defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from integrations.language.budget import spend
from integrations.language.errors import RenderError
from integrations.language.values import Value, add, raw, text, work_of

MAX_DEPTH = 64
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_.-]*:)?[A-Za-z_][A-Za-z0-9_.-]*")
# What XML 1.0 (section 2.2) cannot hold in any spelling.
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse_xml(source: bytes | str) -> Value:
    """The tree of a document; bytes are decoded as the XML declaration says.

    White space around the document is nothing. An element with only text is a string, a repeated one a list,
    an empty one "". A DTD is not loaded, and one that declares entities is refused. Raises ValueError with a
    sentence.
    """
    if isinstance(source, str):
        source = source.strip()
    elif not source.startswith(_UTF_16):
        source = source.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        root = fromstring(source)
    except ParseError as error:
        line, column = error.position
        raise ValueError(f"The XML cannot be read at line {line}, column {column + 1}.") from None
    except DefusedXmlException:
        raise ValueError("The XML declares entities, which are not supported.") from None
    except (ValueError, LookupError):
        raise ValueError("The XML uses an unknown character set.") from None
    return {_local(root.tag): _value(root, 1)}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _value(element: Element, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ValueError(f"The XML is nested more than {MAX_DEPTH} levels deep.")
    found: dict[str, Value] = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    for each in element:
        name, value = _local(each.tag), _value(each, depth + 1)
        add(found, name, value)
    words = (element.text or "") + "".join(each.tail or "" for each in element)
    if not found:
        return words
    if words.strip():
        found["#text"] = words
    return found


def render_xml(value: Value, pointer: str) -> bytes:
    """The XML document of a tree, in UTF-8. Raises RenderError if the value is not such a tree."""
    if not isinstance(value, dict) or len(value) != 1:
        raise RenderError("XML needs an object with one key: the root element.", pointer)
    name, content = next(iter(value.items()))
    if isinstance(content, list):
        raise RenderError("XML can have only one root element.", pointer)
    root = _element(name, content, pointer)
    document: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()


def is_name(name: str) -> bool:
    """Whether an element or attribute can have this name, which may have one prefix."""
    return _NAME.fullmatch(name) is not None


def _element(name: str, value: Value, pointer: str) -> Element:
    if not is_name(name):
        raise RenderError(f"{name[:60]!r} cannot be the name of an XML element.", pointer)
    spend(work_of(value))
    element = Element(name)
    if not isinstance(value, dict):
        element.text = characters(value)
        return element
    for key, item in value.items():
        if key == "#text":
            element.text = characters(item)
        elif key.startswith("@"):
            if not is_name(key[1:]):
                raise RenderError(f"{key[:60]!r} cannot be the name of an XML attribute.", pointer)
            element.set(key[1:], characters(item))
        else:
            for each in item if isinstance(item, list) else [item]:
                element.append(_element(key, each, pointer))
    return element


def characters(value: Value) -> str:
    """The value as text; what XML cannot hold in any spelling becomes U+FFFD."""
    words = raw(value).decode("utf-8", "replace") if isinstance(value, bytes) else text(value)
    return _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", words)
