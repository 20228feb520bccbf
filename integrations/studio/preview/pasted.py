"""Webhook requests that people paste, as they would have arrived."""

from __future__ import annotations

import base64

from integrations import case_http
from integrations.events import InboundRequest
from integrations.language.document import Template
from integrations.language.sections import MEDIA_TYPES
from integrations.studio.example.http_text import read_text
from integrations.studio.example.sample_limits import MAX_CHARACTERS, UnreadableText
from integrations.studio.example.samples import Part, Sample

__all__ = ["MAX_CHARACTERS", "UnreadableText", "webhook_in"]


def webhook_in(words: str, template: Template) -> InboundRequest:
    """The webhook request in a text: a curl command, HTTP, a body, or a URL. Raises UnreadableText."""
    sample = read_text(words, "webhook")
    headers = {name.lower(): value for name, value in sample.headers}
    body, kind = sample.body, MEDIA_TYPES.get(sample.form, "")
    if sample.parts:
        body, kind = case_http.body_of({"multipart": list(map(_part, sample.parts))})
        headers["content-type"] = kind
    elif kind:
        headers.setdefault("content-type", kind)
    path = _path(sample, template)
    query = sample.url.partition("#")[0].partition("?")[2]
    url = f"https://sms.example.com/services/{template.id}/a1" + (f"/{path}" if path else "")
    return InboundRequest(
        sample.method or "POST", path, query, headers, body, "", url + (f"?{query}" if query else "")
    )


def _part(part: Part) -> dict[str, str]:
    if not part.filename:
        return {"name": part.name, "text": part.text}
    content = base64.b64encode(part.text.encode()).decode()
    return {
        "name": part.name,
        "filename": part.filename,
        "content_type": part.content_type or "application/octet-stream",
        "base64": content,
    }


def _path(sample: Sample, template: Template) -> str:
    """What follows the account in the URL of the webhook; of another URL, its end if an event has it."""
    segments = [segment for segment in sample.segments if segment]
    if segments[:1] == ["services"]:
        return "/".join(segments[3:])
    paths = {path for event in template.webhook.events for path in event.paths or () if path}
    path = "/".join(segments)
    return next((known for known in paths if path == known or path.endswith(f"/{known}")), "")
