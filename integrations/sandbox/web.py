"""The sandbox over HTTP: the messaging API, the phone page, and the requests of that page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import filetype

from integrations.bodies import is_form
from integrations.language.values import text
from integrations.sandbox.catalog_entry import API
from integrations.sandbox.store import PICTURES

if TYPE_CHECKING:
    from integrations.sandbox.server import Sandbox

ALWAYS_SENT = ("accept", "accept-encoding", "connection", "content-length", "host", "user-agent")
BODY_BYTES = 5 * 1024 * 1024
PAGE_ANSWERS = ("ok", "429", "500", "refuse", "slow", "garbage")
STATIC = Path(__file__).parent / "static"
PAGE = {
    "/": ("phone.html", "text/html; charset=utf-8"),
    "/phone.css": ("phone.css", "text/css; charset=utf-8"),
    "/phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "/panel.js": ("panel.js", "text/javascript; charset=utf-8"),
    "/elements.js": ("elements.js", "text/javascript; charset=utf-8"),
    "/phone.svg": ("phone.svg", "image/svg+xml"),
}
SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]


@dataclass(slots=True)
class ReceivedRequest:
    """A request of the portal, verbatim; header names are lower-case, `json` is None if the body is not JSON.

    `answered` is the status of the response and `answer` its body; None and empty while there is none.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    json: Any
    at: datetime
    answered: int | None = None
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_json(cls, status: int, document: Any, *headers: tuple[str, str]) -> Response:
        return cls(status, json.dumps(document).encode(), headers=headers)


class HttpError(Exception):
    """A request that is refused; the text is shown to the user of the phone."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def application(sandbox: Sandbox) -> WSGIApplication:
    """The WSGI application that serves this sandbox."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = _route(sandbox, environ)
        except HttpError as error:
            response = Response.of_json(error.status, {"error": str(error)})
        headers = [*SECURITY_HEADERS, *response.headers]
        if response.status != HTTPStatus.NO_CONTENT:
            headers += [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    return serve


def _route(sandbox: Sandbox, environ: WSGIEnvironment) -> Response:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path.startswith(f"{API}/"):
        return _api(sandbox, environ, path)
    if method == "POST" and (action := ACTIONS.get(path)):
        action(sandbox, environ)
        return Response(204)
    if method in ("GET", "HEAD"):
        if path in PAGE:
            name, content_type = PAGE[path]
            return Response(200, (STATIC / name).read_bytes(), content_type)
        if path == "/state":
            return _state(sandbox, _query(environ).get("since", ""))
        if path.startswith("/media/") and (file := sandbox.store.file(path.removeprefix("/media/"))):
            return Response(200, file[1], file[0])
        if path == "/provider.svg":
            return Response(200, sandbox.entry.logo or (STATIC / "phone.svg").read_bytes(), "image/svg+xml")
    raise HttpError(f"There is nothing here. The phone is at /, and the API below {API}/.", 404)


def _api(sandbox: Sandbox, environ: WSGIEnvironment, path: str) -> Response:
    received = _received(environ)
    if received.method == "GET" and (file := sandbox.store.file(path.rpartition("/")[2])):
        if not sandbox.provider.may_fetch(received.headers):
            raise HttpError("This file requires the provider's credentials.", 401)
        return Response(200, file[1], file[0])
    found = sandbox.respond(received, environ["waitress.client_disconnected"])
    headers = tuple((name.title(), value) for name, value in found.headers.items() if name != "content-type")
    return Response(found.status, found.body, found.headers.get("content-type", "text/plain"), headers)


def _state(sandbox: Sandbox, cursor: str) -> Response:
    news = sandbox.store.since(cursor)
    if news is None:
        return Response(204)
    return Response.of_json(
        200,
        news
        | {
            "provider": {
                "name": sandbox.name,
                "pictures": bool(sandbox.provider.writer.example_url),
                "reports": sandbox.provider.writer.reports("delivered"),
                "values": [{"label": label, "value": text(value)} for label, value in sandbox.values.items()],
            },
            "phone": sandbox.phone,
            "numbers": [{"number": number, "label": label} for number, label in sandbox.numbers],
            "reports": sandbox.reports,
            "next_answer": sandbox.next_answer,
            "last_request": _as_text(sandbox.received[-1]) if sandbox.received else None,
        },
    )


def _text(sandbox: Sandbox, environ: WSGIEnvironment) -> None:
    sent = _json_object(environ)
    sandbox.text(_given(sent, "contact"), _given(sent, "number"), _given(sent, "text"))


def _picture(sandbox: Sandbox, environ: WSGIEnvironment) -> None:
    sent = _query(environ)
    # A page of another site can post a form, but not a picture: the browser asks first, and is denied.
    if not environ.get("CONTENT_TYPE", "").startswith("image/"):
        raise HttpError("Only pictures can be sent.", 415)
    image = _body(environ)
    kind = filetype.guess(image)
    if kind is None or kind.mime not in PICTURES:
        raise HttpError("This file is not a JPEG, PNG, GIF or WebP picture. Choose another.", 415)
    sandbox.picture(_given(sent, "contact"), _given(sent, "number"), sent.get("text", ""), image, kind.mime)


def _again(sandbox: Sandbox, environ: WSGIEnvironment) -> None:
    message_id = _json_object(environ).get("id")
    message = sandbox.store.get(message_id) if isinstance(message_id, int) else None
    if message is None or not message.mine:
        raise HttpError("This message is no longer on the phone.", 404)
    sandbox.send(message)


def _settings(sandbox: Sandbox, environ: WSGIEnvironment) -> None:
    sent = _json_object(environ)
    reports, answer = sent.get("reports", sandbox.reports), sent.get("answer")
    if not isinstance(reports, bool):
        raise HttpError("reports must be true or false.")
    if answer is not None and answer not in PAGE_ANSWERS:
        raise HttpError(f"answer must be one of {', '.join(PAGE_ANSWERS)}.")
    sandbox.reports = reports
    sandbox.store.touch()
    if answer is not None:
        sandbox.answer_with(answer)


ACTIONS: dict[str, Callable[[Sandbox, WSGIEnvironment], None]] = {
    "/phone/text": _text,
    "/phone/picture": _picture,
    "/phone/again": _again,
    "/phone/settings": _settings,
}


def _received(environ: WSGIEnvironment) -> ReceivedRequest:
    body = _body(environ)
    headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    headers |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    query = environ.get("QUERY_STRING")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    return ReceivedRequest(
        method=environ["REQUEST_METHOD"],
        path=quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~")
        + (f"?{query}" if query else ""),
        headers={name.lower().replace("_", "-"): value for name, value in headers.items()},
        body=body,
        json=document,
        at=datetime.now(UTC),
    )


def _as_text(request: ReceivedRequest) -> dict[str, Any]:
    """A request and its response for people: one field per line, without the headers of every request."""
    path, _, query = request.path.partition("?")
    fields = [f"{'&' if index else '?'}{field}" for index, field in enumerate(_fields(query))]
    lines = [f"{request.method} {path}", *fields]
    lines += [
        f"{name.title()}: {value}"
        for name, value in sorted(request.headers.items())
        if name not in ALWAYS_SENT
    ]
    body = _readable(request.body, request.headers.get("content-type", ""))
    return {
        "text": "\n".join([*lines, *(["", body] if body else [])]),
        "answered": request.answered,
        "answer": _readable(request.answer, ""),
        "at": request.at.timestamp(),
    }


def _fields(source: str) -> list[str]:
    return [f"{name}={value}" for name, value in parse_qsl(source, keep_blank_values=True)]


def _readable(body: bytes, content_type: str) -> str:
    words = body[:10_000].decode(errors="replace")
    if is_form(content_type) and "boundary" not in content_type:
        return "\n".join(_fields(words))
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return words


def _body(environ: WSGIEnvironment) -> bytes:
    # waitress reads the whole body first, and sets its length even if the client did not.
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > BODY_BYTES:
        raise HttpError("The picture is larger than 5 MiB. Choose a smaller one.", 413)
    body: bytes = environ["wsgi.input"].read(length)
    return body


def _json_object(environ: WSGIEnvironment) -> dict[str, Any]:
    # As with pictures: what a page of another site can post without permission is never JSON.
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/json":
        raise HttpError("The content type must be application/json.", 415)
    try:
        document = json.loads(_body(environ))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise HttpError("The body must be a JSON object.")
    return document


def _query(environ: WSGIEnvironment) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}


def _given(sent: dict[str, Any], key: str) -> str:
    value = sent.get(key)
    if not isinstance(value, str) or not value.strip():
        raise HttpError(f"{key} is missing.")
    return value
