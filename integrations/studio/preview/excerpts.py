"""Parts of a template's document as people read them, beside what they make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from integrations.as_text import shortened
from integrations.language.document import Template
from integrations.language.values import Value, dump


def part_of(template: Template, pointer: str, keys: Iterable[str] | None = None) -> str:
    """The value at a JSON Pointer of the document, or only these keys of it; "" if there is none."""
    node = _at(template.document, pointer)
    if keys is not None:
        node = {key: node[key] for key in keys if key in node} if isinstance(node, Mapping) else {}
    return "" if node is None or node == {} else pretty(node)


def object_around(template: Template, pointer: str) -> str:
    """The innermost object of the document that has the place, with the key there."""
    while pointer:
        pointer, _, key = pointer.rpartition("/")
        key = key.replace("~1", "/").replace("~0", "~")
        node = _at(template.document, pointer)
        if isinstance(node, Mapping) and key in node:
            return pretty({key: node[key]})
    return ""


def pretty(value: Value) -> str:
    """A value as JSON, line by line."""
    return shortened(json.dumps(json.loads(dump(value)), indent=2, ensure_ascii=False))


def _at(node: Value, pointer: str) -> Value:
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping):
            node = node.get(step)
        elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node
