"""Requests, answers and bodies as pages show them: line by line, without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.utils.translation import gettext as _

from integrations import case_http
from integrations.bodies import essence
from integrations.events import HttpResponse, InboundRequest, RenderedRequest
from integrations.language.values import Value, dump, load, text
from integrations.redact import Redactor

SHOWN = 12_000  # characters


def request(made: RenderedRequest, hide: Redactor) -> str:
    """A request of Patchbay's, without what `hide` hides."""
    return _whole(f"{made.method} {hide.text(made.url)}", made.headers, made.body, hide)


def received(webhook: InboundRequest, hide: Redactor) -> str:
    """A webhook request, with the path behind the webhook URL, without what `hide` hides."""
    query = f"?{webhook.query}" if webhook.query else ""
    first = f"{webhook.method} /{webhook.path}{hide.text(query)}"
    return _whole(first, webhook.headers, webhook.body, hide)


def response(answer: HttpResponse, hide: Redactor) -> str:
    """An answer, without what `hide` hides."""
    return _whole(f"HTTP {answer.status}", answer.headers, answer.body, hide)


def headers(given: Mapping[str, str], hide: Redactor) -> str:
    """Headers, each in its line, without what `hide` hides."""
    return "\n".join(f"{name}: {value}" for name, value in hide.headers(given).items())


def fields(given: Mapping[str, Value], hide: Redactor) -> str:
    """The fields of a query or form, each in its line, without what `hide` hides."""
    return hide.text("\n".join(f"{name} = {text(value)}" for name, value in given.items()))


def body(content: bytes, given: Mapping[str, str], hide: Redactor) -> str:
    """A body, whole, as it is read best, without what `hide` hides; of files only their names and sizes."""
    kind = _content_type(given)
    found = {} if essence(kind).endswith(("json", "xml")) else case_http.shown_body(content, kind)
    if "multipart" in found:
        return hide.text("\n".join(map(_part, found["multipart"])))
    if isinstance(form := found.get("form"), dict):
        return fields(form, hide)
    clean = hide.body(content)
    if clean.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(dump(load(clean))), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # such as JSON that is cut off
    return clean


def shortened(words: str) -> str:
    """As much of a text as a page shows."""
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}\n[…]"


def _whole(first: str, given: Mapping[str, str], content: bytes | None, hide: Redactor) -> str:
    shown = body(content, given, hide) if content else ""
    return shortened("\n".join(filter(None, [first, headers(given, hide), f"\n{shown}" if shown else ""])))


def _part(part: Mapping[str, str]) -> str:
    if "filename" not in part:
        return f"{part['name']} = {part['text']}"
    size = len(part["base64"]) * 3 // 4
    about = {"name": part["name"], "file": part["filename"], "type": part["content_type"], "size": size}
    return _("%(name)s: the file %(file)s (%(type)s, %(size)d bytes)") % about


def _content_type(given: Mapping[str, str]) -> str:
    return next((value for name, value in given.items() if name.casefold() == "content-type"), "")
