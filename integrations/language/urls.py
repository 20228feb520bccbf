"""URLs of requests: the host comes from literals and properties only, all else is percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus, unquote, unquote_to_bytes, urlsplit

from integrations.language.budget import spend
from integrations.language.errors import RenderError
from integrations.language.expressions import Getter, getter, parts_of
from integrations.language.placeholders import Placeholder, parse
from integrations.language.scope import Scope
from integrations.language.values import Value, Variables, is_string, raw, work_of

Url = Callable[[Variables], str]
_LITERAL_SAFE = "/:@!$&'()*+,;=-._~%?[]"
_NOT_IN_URLS = re.compile(r"[\0- \\]")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?")


def compile_url(source: Value, scope: Scope, pointer: str) -> Url:
    """A function that renders an absolute http or https URL, or raises RenderError."""
    if not is_string(source) or not source:
        scope.report(pointer, "The URL must be a string, such as https://api.example.com/messages.")
        return lambda variables: ""
    parts = parts_of(source, scope, pointer)
    base = isinstance(parts[0], Placeholder)
    if not base and not re.match(r"https?://", str(parts[0])):
        scope.report(pointer, "The URL must start with http:// or https://, or with a property that does.")
    if any(isinstance(part, str) and "#" in part for part in parts):
        scope.report(pointer, "The URL of a request must not have a fragment (#).")
    pieces: list[str | tuple[str, Getter]] = []
    for index, (part, zone) in enumerate(_zones(parts)):
        if isinstance(part, str):
            pieces.append(quote(part, safe=_LITERAL_SAFE))
            continue
        if base and index == 1 and zone == "base":
            scope.report(
                pointer, "Put a slash between the property that begins the URL and the next placeholder."
            )
        if zone in ("base", "host"):
            _check_host(part, zone, scope, pointer)
        pieces.append((zone, getter(part, scope, pointer)))
    return lambda variables: _render(pieces, variables, pointer)


def labels_in(source: Value, variables: Value = None) -> tuple[set[str], set[str]]:
    """The names that begin a URL and those that are part of its host name, also by way of variables."""
    begin: set[str] = set()
    within: set[str] = set()
    shapes = dict(variables) if isinstance(variables, Mapping) else {}
    waiting = [source]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping | list):
            waiting += node.values() if isinstance(node, Mapping) else node
        elif is_string(node):
            for part, zone in _zones(parse(node)):
                if isinstance(part, Placeholder) and zone in ("base", "host"):
                    waiting += [shapes.pop(root) for root in part.roots if root in shapes]
                    (begin if zone == "base" and not _is_looked_up(part) else within).update(part.roots)
    return begin, within


def _zones(parts: Sequence[str | Placeholder]) -> Iterator[tuple[str | Placeholder, str]]:
    """Each part with its place in the URL: base (its beginning), host, path or query."""
    base = bool(parts) and isinstance(parts[0], Placeholder)
    before, zone = "", "base" if base else "host"
    for part in parts:
        if isinstance(part, str):
            before += part
            zone = (
                "query" if "?" in before else "path" if base or "/" in before.partition("://")[2] else "host"
            )
        yield part, zone


def _check_host(part: Placeholder, zone: str, scope: Scope, pointer: str) -> None:
    """Reports what may not choose where a request goes: messages, secrets, and texts that are no URL."""
    if scope.from_message(part):
        reason = "may not choose the host: scheme, host and port come from literals and properties."
        scope.report(pointer, f"{part.source} {reason}", column=part.column)
        return
    begins = zone == "base" and not _is_looked_up(part)
    for root in part.roots:
        if begins and root in scope.labels and root not in scope.addresses:
            reason = f"{root!r} begins a URL, so it must be a property of type url."
            suggestion = f'Write {{"name": "{root}", "type": "url"}} in the properties.'
            scope.refuse(pointer, reason, suggestion, part.column)
        elif scope.is_private(root):
            reason = f"{root!r} is secret and may not choose the host, because people see where requests go."
            scope.refuse(pointer, reason, 'Add "secret": false to the property.', part.column)


def _is_looked_up(part: Placeholder) -> bool:
    """Whether a table gives the value, so that the document alone says what it can be."""
    return any(call.name == "map" for call in part.filters)


def merge_query(url: str, query: str) -> str:
    """The URL with this query appended to its own."""
    return url if not query else f"{url}{'&' if '?' in url else '?'}{query}"


def encode_pairs(values: Value, pointer: str, *, form: bool = False) -> str:
    """An object as query or form: a list repeats its key, bytes are sent raw, unset is left out."""
    if not isinstance(values, dict):
        raise RenderError("A query or form needs an object of names and values.", pointer)
    encode: Callable[[bytes], str] = quote_plus if form else lambda value: quote(value, safe="")
    pairs = []
    for key, found in values.items():
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, dict | list):
                raise RenderError(
                    f"{key!r} is an object; a query or form can hold only texts and lists of texts.", pointer
                )
            spend(work_of(value))
            if value is not None:
                pairs.append(f"{encode(raw(key))}={encode(raw(value))}")
    return "&".join(pairs)


def decode_pairs(source: str, charset: str = "utf-8", errors: str = "replace") -> list[tuple[str, str]]:
    """Each name and value of a query or form, in their order.

    With the `errors` "strict", percent escapes that are not valid in the character set raise UnicodeError.
    """
    fields = [field.partition("=") for field in source.replace("+", " ").split("&") if field]
    return [
        (
            _unquoted(name, charset, errors) if "%" in name else name,
            _unquoted(value, charset, errors) if "%" in value else value,
        )
        for name, _, value in fields
    ]


def _unquoted(source: str, charset: str, errors: str) -> str:
    """The text without percent escapes; Python's `unquote` takes twice as long for ASCII."""
    if source.isascii():
        return unquote_to_bytes(source).decode(charset, errors)
    return unquote(source, charset, errors)


def _render(pieces: list[str | tuple[str, Getter]], variables: Variables, pointer: str) -> str:
    url, carried = "", ""
    for index, piece in enumerate(pieces):
        if isinstance(piece, str):
            url += piece
            continue
        zone, read = piece
        value = read(variables)
        if isinstance(value, dict | list):
            raise RenderError("A URL cannot contain an object or list.", pointer)
        if zone == "base":
            url, _, carried = raw(value).decode("utf-8", "replace").partition("?")
            _check(url, pointer)
            url = _joined(quote(url, safe=_LITERAL_SAFE), pieces[index + 1 :])
        elif zone == "host":
            name = raw(value).decode("utf-8", "replace")
            if not _HOST.fullmatch(name):
                raise RenderError(f"{name[:60]!r} cannot be part of a host name.", pointer)
            url += name
        else:
            url += quote(raw(value), safe="")
    if carried:
        path, mark, query = url.partition("?")
        url = f"{path}?{quote(carried, safe=_LITERAL_SAFE)}" + (f"&{query}" if mark and query else "")
    _check(url, pointer)
    return url


def _joined(url: str, rest: list[str | tuple[str, Getter]]) -> str:
    following = rest[0] if rest and isinstance(rest[0], str) else ""
    if following.startswith("/"):
        return url.rstrip("/")
    return url if not following or following[0] == "?" or url.endswith("/") else url + "/"


def _check(url: str, pointer: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise RenderError(f"{url[:100]!r} is not a complete http or https URL.", pointer)
    if parts.username is not None or parts.password is not None:
        raise RenderError("A URL must not contain a user name or password.", pointer)
    if _NOT_IN_URLS.search(url) or parts.fragment:
        raise RenderError(f"{url[:100]!r} contains a character that is not allowed in a URL.", pointer)
    if "/." in parts.path and any(segment in (".", "..") for segment in parts.path.split("/")):
        raise RenderError("A path must not contain the segments . or .. .", pointer)
