"""Multipart bodies (RFC 7578): texts, JSON and files."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from integrations.language.budget import spend
from integrations.language.errors import RenderError
from integrations.language.values import Value, add, dump, raw, text, well_formed, work_of

MAX_PARTS, MAX_HEAD = 1000, 8192
_BOUNDARY = re.compile(r"""(?i);\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))""")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_PARAMETER = re.compile(r""";\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^;\s"]*))""")


def render_multipart(value: Value, content_type: str, pointer: str) -> tuple[bytes, str]:
    """The body for an object, and its content type with the boundary.

    A text is a plain part, an object with `content` a file (`filename`, `content_type`), any other object a
    JSON part; a list repeats its key. Raises RenderError if the value is not an object.
    """
    if not isinstance(value, dict):
        raise RenderError("A multipart body needs an object of names and values.", pointer)
    parts = [
        (name, item)
        for name, found in value.items()
        for item in (found if isinstance(found, list) else [found])
        if item is not None
    ]
    rendered = [_part(name, item) for name, item in parts]
    # The same parts have the same boundary, and a digest of the parts does not occur in them.
    boundary = hashlib.sha256(b"".join(rendered)).hexdigest()[:32]
    lines = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in rendered)
    kind = content_type.partition(";")[0].strip()
    return lines + f"--{boundary}--\r\n".encode(), f"{kind}; boundary={boundary}"


def _part(name: str, value: Value) -> bytes:
    spend(work_of(value))
    disposition = f'form-data; name="{_quoted(name)}"'
    kind, content = "", raw(value)
    if isinstance(value, dict) and "content" in value:
        filename = text(value.get("filename")) or "file"
        disposition += f'; filename="{_quoted(filename)}"'
        kind = text(value.get("content_type")) or "application/octet-stream"
        content = raw(value["content"])
    elif isinstance(value, dict):
        kind, content = "application/json", well_formed(dump(value)).encode()
    head = f"Content-Disposition: {disposition}\r\n"
    if kind:
        head += f"Content-Type: {_quoted(kind)}\r\n"
    return well_formed(head).encode() + b"\r\n" + content


def _quoted(value: str) -> str:
    """The name as browsers write it (RFC 7578, section 2): quotes and line breaks are percent-encoded."""
    return "".join(quote(each) if each in '"\r\n' or each < " " else each for each in value)


def parse_multipart(body: bytes, content_type: str) -> dict[str, Value]:
    """The fields by name; a file is an object with filename, content_type and content (bytes).

    Takes linear time, since anybody may send a body. Nested parts are not parsed. Raises ValueError for a
    body that is not multipart or has more than 1,000 parts.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("The body is not multipart: the content type has no boundary.")
    line = re.escape((boundary[1] or boundary[2]).encode("utf-8", "replace"))
    found: dict[str, Value] = {}
    start = None
    for number, delimiter in enumerate(re.finditer(rb"(?:\A|\r?\n)--%s(--)?[ \t]*(?=\r?\n|\Z)" % line, body)):
        if number > MAX_PARTS:
            raise ValueError(f"The body has more than {MAX_PARTS:,} parts.")
        if start is not None:
            add(found, *_field(body[start : delimiter.start()]))
        start = delimiter.end()
        if delimiter[1]:
            return found
    if start is None:
        raise ValueError("The body is not multipart: it does not contain the boundary.")
    add(found, *_field(body[start:]))
    return found


def _field(part: bytes) -> tuple[str, Value]:
    """Name and value of a part, whose headers are at most 8 KiB."""
    end = _HEAD_END.search(part, 0, MAX_HEAD)
    head = part[: end.start() if end else MAX_HEAD].decode("utf-8", "replace")
    head = re.sub(r"\r?\n[ \t]+", " ", head)
    content = part[end.end() :] if end else b""
    headers = {name.casefold(): value for name, value in re.findall(r"(?m)^([\w-]+)[ \t]*:(.*)$", head)}
    parameters = {
        name.casefold(): re.sub(r"\\(.)", r"\1", quoted) or bare
        for name, quoted, bare in _PARAMETER.findall(headers.get("content-disposition", ""))
    }
    name = parameters.get("name", "")
    if "filename" not in parameters:
        return name, content.decode("utf-8", "replace")
    kind = headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream"
    return name, {"filename": parameters["filename"], "content_type": kind, "content": content}
