"""Differences between requests or responses and what a case expects, in lines for a person."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from integrations import bodies, case_http
from integrations.events import RenderedRequest
from integrations.language.errors import child
from integrations.language.values import Value, dump, load, text
from integrations.language.xml import parse_xml


def request_differences(request: RenderedRequest, wanted: Mapping[str, Value]) -> Iterator[str]:
    """A line for each part of a request that differs from the expected one; only given parts are compared."""
    if "method" in wanted:
        yield from differs("method", wanted["method"], request.method)
    url, _, query = request.url.partition("?")
    if "url" in wanted:
        yield from differs("url", wanted["url"], url if "query" in wanted else request.url)
    if "path" in wanted:
        yield from differs("path", wanted["path"], urlsplit(request.url).path)
    if "query" in wanted:
        yield from differs("query", wanted["query"] or {}, bodies.pairs(query))
    headers = {name.casefold(): value for name, value in request.headers.items()}
    for name, value in (wanted.get("headers") or {}).items():
        wanted_text = None if value is None else str(text(value))
        yield from differs(f"header {name}", wanted_text, headers.get(name.casefold()))
    for way in case_http.BODIES:
        if way in wanted:
            yield from body_differences(way, wanted[way], request, headers.get("content-type", ""))


def body_differences(way: str, wanted: Value, request: RenderedRequest, kind: str) -> Iterator[str]:
    """A line for each difference between a body and the expected one; null expects no body."""
    body = request.body or b""
    if wanted is None:
        if body:
            yield f"{way}: expected no body, got {_shown(body.decode('utf-8', 'replace')[:200])}"
        return
    if way == "multipart":
        found = case_http.shown_body(body, kind).get("multipart")
        if not isinstance(found, list) or len(found) != len(wanted):
            yield f"multipart: expected {len(wanted)} parts, got {_shown(found)}"
            return
        for number, (part, expected) in enumerate(zip(found, wanted, strict=True), 1):
            if "json" in expected:
                part = part | {"json": load(text(part.get("text")))}
            for key, value in expected.items():
                yield from differs(f"part {number} {key}", value, part.get(key))
    elif way == "xml":
        tree = parse_xml(wanted.encode()) if isinstance(wanted, str) else wanted
        yield from differs(way, tree, case_http.shown_body(body, "text/xml").get("xml"))
    elif way == "base64":
        yield from differs(way, wanted, base64.b64encode(body).decode())
    elif way == "text":
        yield from differs(way, wanted, body.decode("utf-8", "replace"))
    else:
        media = {"json": "application/json", "form": "application/x-www-form-urlencoded"}[way]
        yield from differs(way, wanted, case_http.shown_body(body, media).get(way))


def differs(what: str, expected: Value, found: Value) -> Iterator[str]:
    """A line for each place where two values differ as JSON: 1 equals 1.0, but not "1" or true."""
    yield from _unlike(what, _plain(expected), _plain(found))


def _unlike(what: str, expected: Value, found: Value) -> Iterator[str]:
    """A line for each place that differs; lists of different lengths differ as a whole."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected | found:
            if key not in expected or key not in found:
                sides = (dump(side[key]) if key in side else "nothing" for side in (expected, found))
                yield "{}: expected {}, got {}".format(child(what, key), *sides)
            else:
                yield from _unlike(child(what, key), expected[key], found[key])
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from _unlike(child(what, index), *pair)
    elif expected != found or isinstance(expected, bool) is not isinstance(found, bool):
        yield f"{what}: expected {_shown(expected)}, got {_shown(found)}"


def _plain(value: Value) -> Any:
    try:
        return json.loads(dump(value))
    except ValueError:
        return value


def _shown(value: Value) -> str:
    return dump(value) if value is not None else "nothing"
