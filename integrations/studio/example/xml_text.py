"""A document of XML as it is written: where its values stand, so that others can be put there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape

COMMENTS = re.compile(rb"<!--.*?-->", re.DOTALL)
_PIECE = re.compile(
    r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<!DOCTYPE[^>]*>|</[^>]*>"
    r"""|<(?P<tag>[^\s/>!?]+)(?P<attributes>(?:[^>"']|"[^"]*"|'[^']*')*?)(?P<ends>/?)>""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s=/]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')""", re.DOTALL
)
Path = tuple[str | int, ...]


@dataclass
class _Node:
    name: str
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)
    texts: list[tuple[int, int, str]] = field(default_factory=list)
    attributes: list[tuple[str, int, int, str]] = field(default_factory=list)

    def path(self) -> Path:
        """The names from the root on, without prefixes; of repeated elements, also the number."""
        if self.parent is None:
            return ()
        same = [node for node in self.parent.children if node.name == self.name]
        number = (next(index for index, node in enumerate(same) if node is self),) if len(same) > 1 else ()
        return (*self.parent.path(), self.name, *number)


class XmlText:
    """The values of a well-formed document: texts of elements without others in them, and attributes.

    Paths are those of the tree that the document is read as. Declarations of namespaces are no values.
    """

    def __init__(self, source: bytes | str) -> None:
        self.source = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
        self._spans = sorted(self._found(), key=lambda item: item[1])

    def values(self) -> Iterator[tuple[Path, str]]:
        """Each value with its path, in the order of the document."""
        for path, _, _, value in self._spans:
            yield path, value

    def rewritten(self, written: Callable[[Path, str], str | None], literal: Callable[[str], str]) -> str:
        """The document with other values, as they are to be written there; None leaves a value as it is.

        `literal` writes all that is between them.
        """
        result, position = "", 0
        for path, start, end, value in self._spans:
            new = written(path, value)
            if new is not None:
                result += literal(self.source[position:start]) + new
                position = end
        return result + literal(self.source[position:])

    def _found(self) -> Iterator[tuple[Path, int, int, str]]:
        root = node = _Node("")
        nodes: list[_Node] = []
        position = 0
        for piece in _PIECE.finditer(self.source):
            if words := self.source[position : piece.start()].strip():
                start = self.source.index(words, position)
                node.texts.append((start, start + len(words), unescape(words)))
            position = piece.end()
            if piece["cdata"] is not None and piece["cdata"].strip():
                node.texts.append((*piece.span("cdata"), piece["cdata"]))
            elif piece[0].startswith("</"):
                node = node.parent or root
            elif piece["tag"]:
                child = _Node(piece["tag"].rpartition(":")[2], node)
                node.children.append(child)
                nodes.append(child)
                self._read_attributes(child, piece.start("attributes"), piece["attributes"])
                node = node if piece["ends"] else child
        for each in nodes:
            path = each.path()
            for name, start, end, value in each.attributes:
                yield (*path, f"@{name}"), start, end, value
            if len(each.texts) == 1 and not each.children:
                start, end, value = each.texts[0]
                yield (*path, "#text") if each.attributes else path, start, end, value

    @staticmethod
    def _read_attributes(node: _Node, offset: int, source: str) -> None:
        for found in _ATTRIBUTE.finditer(source):
            name = found["name"]
            if name == "xmlns" or name.startswith("xmlns:"):
                continue
            group = "double" if found["double"] is not None else "single"
            start, end = found.span(group)
            local = name.rpartition(":")[2]
            node.attributes.append((local, offset + start, offset + end, unescape(found[group])))
