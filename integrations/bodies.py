"""Bodies of requests and responses: bytes parsed into values, and values rendered as bytes."""

from __future__ import annotations

import json
import re

from integrations.language.multipart import parse_multipart, render_multipart
from integrations.language.sections import MEDIA_TYPES
from integrations.language.urls import decode_pairs, encode_pairs
from integrations.language.values import Value, add, cleaned, dump, is_charset, load, raw, well_formed
from integrations.language.xml import parse_xml, render_xml

MAX_FIELDS = 10_000
# White space of ASCII, as of bytes: a blank of Chinese, or a control character, is what somebody has written.
_BLANKS = " \t\n\r\v\f"
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


def essence(content_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().casefold()


def is_form(content_type: str) -> bool:
    """Whether the body consists of form fields, which are merged with the query."""
    kind = essence(content_type)
    return kind == MEDIA_TYPES["form"] or kind.startswith("multipart/")


def charset_of(content_type: str) -> str:
    """The character set in a Content-Type, if it is known, else UTF-8."""
    found = _CHARSET.search(content_type)
    return found[1] if found and is_charset(found[1]) else "utf-8"


def parse(
    body: bytes, content_type: str, charset: str = "", *, strict: bool = True, inbound: bool = False
) -> Value:
    """The value of a body, read as JSON, XML, form, multipart or text, as the media type says.

    Without a media type, and with another one unless `strict`, the body is read as JSON if possible, else as
    text, which has no white space at its ends. `charset` replaces the one of the media type or of the XML
    declaration. An empty body is `{}`. Unpaired surrogates and U+0000 become U+FFFD; of an `inbound` request,
    U+0000 stays, for filters to decode, and so do surrogates in JSON, which may be the halves of an emoji in
    two parts of a text; and escapes of a form must be valid. Raises ValueError with a sentence.
    """
    kind = essence(content_type)
    if not body.strip():
        return {}
    if kind.startswith("multipart/"):
        return _cleaned(parse_multipart(body, content_type), inbound)
    if kind.endswith("xml") and not charset:
        return parse_xml(body)
    charset = charset or charset_of(content_type)
    try:
        source = well_formed(body.decode(charset)).removeprefix("\ufeff")
    except (UnicodeError, ValueError):
        raise ValueError(f"The body is not valid {charset}.") from None
    if kind.endswith("xml"):
        return parse_xml(source)
    if kind == MEDIA_TYPES["form"]:
        return pairs(source, charset, inbound=inbound)
    if strict and kind and not kind.endswith("json"):
        return _cleaned(source.strip(_BLANKS), inbound)
    try:
        return load(source, as_is=inbound)
    except json.JSONDecodeError as error:
        if kind.endswith("json") or source.lstrip().startswith(("{", "[")):
            raise ValueError(f"The body is not JSON: {error.msg} at character {error.pos + 1}.") from None
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    return _cleaned(source.strip(_BLANKS), inbound)


def _cleaned(value: Value, inbound: bool) -> Value:
    return cleaned(value, nul=inbound)


def pairs(source: str, charset: str = "utf-8", *, inbound: bool = False) -> dict[str, Value]:
    """The fields of a query or form; a repeated field is a list.

    Raises ValueError for percent escapes that are not valid in the character set, if `inbound`; U+0000 stays.
    """
    if not source or source.count("&") >= MAX_FIELDS:
        return {}
    try:
        fields = decode_pairs(well_formed(source), charset, "strict" if inbound else "replace")
    except UnicodeError:
        reason = f"The percent escapes of a form or query are not valid {charset}."
        raise ValueError(f"{reason} If another character set is meant, set 'request_charset'.") from None
    found: dict[str, Value] = dict(fields)
    if len(found) < len(fields):
        found = {}
        for name, value in fields:
            add(found, name, value)
    if not inbound and ("\0" in source or "%00" in source):
        return cleaned(found)  # type: ignore[no-any-return]
    return found


def render(value: Value, content_type: str, pointer: str) -> tuple[bytes, str]:
    """The body for a value, and the content type to send with it. Raises RenderError."""
    kind = essence(content_type)
    if kind == MEDIA_TYPES["form"]:
        return encode_pairs(value, pointer, form=True).encode(), content_type
    if kind.startswith("multipart/"):
        return render_multipart(value, content_type, pointer)
    if kind.endswith("xml") and isinstance(value, dict):
        return render_xml(value, pointer), content_type
    if kind.endswith("json"):
        return well_formed(dump(value)).encode(), content_type
    return raw(value), content_type
