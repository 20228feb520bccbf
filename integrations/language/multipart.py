"""Bodies of several parts (RFC 7578): texts, JSON and files."""

from __future__ import annotations

import hashlib
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import quote

from integrations.language.errors import RenderError
from integrations.language.values import Value, dump, raw, text, well_formed

MAX_PARTS = 1000


def render_multipart(value: Value, content_type: str, pointer: str) -> tuple[bytes, str]:
    """The body of an object, and its content type with the boundary.

    A text is a plain part, an object with `content` a file (`filename`, `content_type`), any other object a
    part of JSON; a list repeats its key. Raises RenderError where the value is no object.
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
    # The same request has the same boundary; a digest of the parts does not occur in them.
    boundary = hashlib.sha256(b"".join(rendered)).hexdigest()[:32]
    lines = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in rendered)
    kind = content_type.partition(";")[0].strip()
    return lines + f"--{boundary}--\r\n".encode(), f"{kind}; boundary={boundary}"


def _part(name: str, value: Value) -> bytes:
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
    """What browsers do with a name (RFC 7578, section 2): quotes and line breaks are percent-encoded."""
    return "".join(quote(each) if each in '"\r\n' or each < " " else each for each in value)


def parse_multipart(body: bytes, content_type: str) -> dict[str, Value]:
    """The fields by name; a file is an object of filename, content_type and content (bytes).

    Raises ValueError where the body is none, or has more than 1,000 parts.
    """
    head = f"Content-Type: {content_type}\r\n\r\n".encode("utf-8", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ValueError("The body is not multipart: its boundary is missing.")
    parts = list(message.iter_parts())
    if len(parts) > MAX_PARTS:
        raise ValueError(f"The body has more than {MAX_PARTS:,} parts.")
    found: dict[str, Value] = {}
    for part in parts:
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        name = part.get_param("name", "", "content-disposition")
        filename = part.get_filename()
        value: Value = content.decode("utf-8", "replace")
        if filename is not None:
            value = {"filename": filename, "content_type": part.get_content_type(), "content": content}
        key = str(name)
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key].append(value)
        else:
            found[key] = [found[key], value]
    return found
