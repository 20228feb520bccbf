"""A sample as text again, with other values in the places of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

from integrations.language.urls import encode_pairs
from integrations.language.values import Value, dump, text
from integrations.studio.example.samples import Leaf, Path, Sample, Where, tokens
from integrations.studio.example.writing import IN_PATHS
from integrations.studio.example.xml_text import COMMENTS, XmlText

Written = Callable[[Leaf], Value]
_BOUNDARY = "patchbay"
_LINE = 80


def restated(sample: Sample, written: Written) -> str:
    """The text of a request or an answer, with what is `written` for each of its leaves.

    Nothing of what was pasted around it is there: no comments, no other options of curl, and no path of a
    webhook. Values that cannot stand where they are written make a text that reads as another sample.
    """
    headers = [f"{name}: {_header(sample, name, value, written)}" for name, value in _heads(sample)]
    body = _body(sample, written)
    if sample.kind == "response":
        first = [f"HTTP/1.1 {sample.status}"] if sample.status else []
    else:
        first = [f"{sample.method} {_target(sample, written)} HTTP/1.1"]
        if sample.kind == "webhook" and _is_bare(sample):
            first = headers = []
    return "\n".join([*first, *headers, *(["", body] if body else [])]) if first or headers else body


def _is_bare(sample: Sample) -> bool:
    """Whether the body says all: of a form, its content type is read from it."""
    of_form = sample.form == "form" and all(name == "Content-Type" for name, _value in sample.headers)
    return bool(sample.body) and not sample.query and not sample.bare and (not sample.headers or of_form)


def _heads(sample: Sample) -> list[tuple[str, str]]:
    if sample.form != "multipart":
        return list(sample.headers)
    rest = [(name, value) for name, value in sample.headers if name.casefold() != "content-type"]
    return [*rest, ("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")]


def _header(sample: Sample, name: str, value: str, written: Written) -> str:
    if name.casefold() == "content-type":
        return value
    if sample.basic is not None and name.casefold() == "authorization":
        user = text(written(Leaf("user", (), sample.basic[0])))
        password = text(written(Leaf("password", (), sample.basic[1])))
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return text(written(Leaf("header", (name,), value)))


def _target(sample: Sample, written: Written) -> str:
    address = sample.url.partition("#")[0].partition("?")[0]
    bare = [text(written(Leaf("bare", (index,), item))) for index, item in enumerate(sample.bare)]
    fields = encode_pairs(_tree("query", sample.query, written), "")
    query = "&".join(filter(None, [*(quote(item, safe="") for item in bare), fields]))
    mark = "?" if query else ""
    if sample.kind == "webhook":
        return f"/{mark}{query}"
    scheme, sign, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    segments = [_segment(sample, index, raw, written) for index, raw in enumerate(path.split("/"))]
    return f"{scheme}{sign}{host}{slash}{'/'.join(segments)}{mark}{query}"


def _segment(sample: Sample, index: int, raw: str, written: Written) -> str:
    if not raw:
        return raw
    value = unquote(raw)
    new = text(written(Leaf("path", (index,), value, "".join(sample.segments[max(index - 1, 0) : index]))))
    return raw if new == value else quote(new, safe=IN_PATHS)


def _body(sample: Sample, written: Written) -> str:
    form = sample.form
    if form == "json":
        return _laid_out(_tree("json", sample.tree, written))
    if form == "form":
        return encode_pairs(_tree("form", sample.tree, written), "", form=True)
    if form == "xml":
        return _xml(sample, written)
    if form == "multipart":
        return "\n".join([*_parts(sample, written), f"--{_BOUNDARY}--"])
    found = tokens(sample.tree) if form == "text" else []
    for index in range(0, len(found), 2):
        if found[index]:
            found[index] = text(written(Leaf("text", (index,), found[index])))
    return "".join(found)


def _tree(where: Where, node: Value, written: Written, path: Path = ()) -> Value:
    if isinstance(node, Mapping):
        return {key: _tree(where, item, written, (*path, key)) for key, item in node.items()}
    if isinstance(node, list):
        return [_tree(where, item, written, (*path, index)) for index, item in enumerate(node)]
    return written(Leaf(where, path, node))


def _xml(sample: Sample, written: Written) -> str:
    def escaped(path: Path, value: str) -> str:
        new = text(written(Leaf("xml", path, value)))
        return new.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

    return XmlText(COMMENTS.sub(b"", sample.body)).rewritten(escaped, lambda literal: literal)


def _parts(sample: Sample, written: Written) -> list[str]:
    lines: list[str] = []
    leaves = [leaf for leaf in sample.leaves if leaf.where in ("multipart", "file")]
    for part, leaf in zip(sample.parts, leaves, strict=True):
        new, file = text(written(leaf)), leaf.where == "file"
        named = f'; filename="{new}"' if file else ""
        lines += [f"--{_BOUNDARY}", f'Content-Disposition: form-data; name="{part.name}"{named}']
        lines += [f"Content-Type: {part.content_type}"] if part.content_type else []
        lines += ["", "" if file else new]
    return lines


def _laid_out(value: Value, depth: int = 0) -> str:
    """JSON with its numbers as they were written: what is long, line by line."""
    flat = dump(value)
    if not isinstance(value, dict | list) or len(flat) + 2 * depth <= _LINE:
        return flat
    before = "  " * (depth + 1)
    if isinstance(value, dict):
        items = [f"{before}{dump(key)}: {_laid_out(item, depth + 1)}" for key, item in value.items()]
    else:
        items = [before + _laid_out(item, depth + 1) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n" + ",\n".join(items) + f"\n{'  ' * depth}{end}"
