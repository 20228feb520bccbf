"""What our handler does that Django's does not: odd content types, bodies in chunks or cut off, lengths, HEAD."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.urls import resolve

from messaging.models import Message, Number, WebhookRequest
from portal.handlers import Handler, Request
from portal.models import PersonalToken, User

HELLO = b'{"from": "+61855555501", "to": "+61412345678", "text": "Hello"}'
INBOUND = b'{"method": "message", "params": {"from": "+61412345678", "to": "+61855555501", "content": "Hi"}}'
FORM = b'--x\r\nContent-Disposition: form-data; name="login"\r\n\r\nb\r\n--x--\r\n'


@pytest.mark.parametrize("query", ["", "next=/inbox/%E2%82%AC"])
@pytest.mark.parametrize(
    ("content_type", "body", "answer"),
    [
        ("text/plain; a*=nonsense'en'x", b"login=b", "403 Forbidden"),
        ("text/plain; a*0=x; a*=y", b"login=b", "403 Forbidden"),
        ("text/plain; charset=hex", b"login=b", "403 Forbidden"),
        ("application/x-www-form-urlencoded; charset=zlib", b"login=b", "403 Forbidden"),
        ("multipart/form-data; boundary=x; charset=undefined", FORM, "403 Forbidden"),
        ("multipart/form-data; boundary=x; charset=\xed\xa0\x80", FORM, "400 Bad Request"),
    ],
)
def test_a_content_type_that_is_nonsense_is_no_error(
    wsgi: Callable[..., str], content_type: str, body: bytes, answer: str, query: str
) -> None:
    token = f"csrftoken={'a' * 32}"  # so that the form is read
    path = "/account/login/"
    assert wsgi("POST", path, content_type, body, QUERY_STRING=query, HTTP_COOKIE=token) == answer


class Pieces(BytesIO):
    """A body that arrives in pieces of ten bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(10 if size is None or size < 0 else min(size, 10))


@pytest.mark.usefixtures("wsgi")
@pytest.mark.parametrize(("method", "body"), [("GET", b"ok\n"), ("HEAD", b"")])
def test_every_response_has_a_length_and_none_to_head_a_body(method: str, body: bytes) -> None:
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/healthz"}
    setup_testing_defaults(environ)
    sent: list[Any] = []
    parts = Handler()(environ, lambda status, headers: sent.append((status, dict(headers))))
    assert b"".join(parts) == body
    assert (sent[0][0], sent[0][1]["Content-Length"]) == ("200 OK", "3")


@pytest.mark.parametrize(
    ("path", "body", "taken"),
    [
        ("/api/v1/messages", HELLO, "202 Accepted"),
        ("/services/generic/a{account}", INBOUND, "200 OK"),
        ("/account/login/", FORM, "403 Forbidden"),
    ],
)
def test_a_body_that_is_cut_off_is_refused(
    wsgi: Callable[..., str], alice: User, private: Number, path: str, body: bytes, taken: str
) -> None:
    kind = "multipart/form-data; boundary=x" if body == FORM else "application/json"
    headers = {
        "HTTP_AUTHORIZATION": f"Bearer {PersonalToken.objects.issue(alice, 'Reminders')}",
        "HTTP_COOKIE": f"csrftoken={'a' * 32}",  # so that the form is read
    }

    def post(more: int) -> str:
        length = str(len(body) + more)
        url = path.format(account=private.account.accountid)
        return wsgi("POST", url, kind, body, **headers, CONTENT_LENGTH=length, **{"wsgi.input": Pieces(body)})

    assert post(1) == "400 Bad Request"
    assert (Message.objects.count(), WebhookRequest.objects.count()) == (0, 0)
    assert post(0) == taken


def test_a_body_in_chunks_is_read_by_the_api(alice: User, private: Number) -> None:
    token = PersonalToken.objects.issue(alice, "Reminders")
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/messages",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.input": BytesIO(HELLO),
        "wsgi.input_terminated": True,
    }
    setup_testing_defaults(environ)
    request = Request(environ)
    view = resolve("/api/v1/messages")
    assert view.func(request, **view.kwargs).status_code == 202
    assert Message.objects.get().text == "Hello"


class Broken:
    """Chunks whose sizes are none."""

    def read(self, size: int = -1) -> bytes:
        raise ValueError("invalid chunk size")


@pytest.mark.parametrize("path", ["/api/v1/messages", "/services/generic/a{account}", "/account/login/"])
def test_chunks_that_cannot_be_read_are_a_bad_request(
    wsgi: Callable[..., str], alice: User, private: Number, path: str
) -> None:
    answer = wsgi(
        "POST",
        path.format(account=private.account.accountid),
        "multipart/form-data; boundary=x" if "account/" in path else "application/json",
        b"",
        HTTP_AUTHORIZATION=f"Bearer {PersonalToken.objects.issue(alice, 'Reminders')}",
        HTTP_COOKIE=f"csrftoken={'a' * 32}",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": Broken(), "wsgi.input_terminated": True},
    )
    assert answer == "400 Bad Request"
    assert (Message.objects.count(), WebhookRequest.objects.count()) == (0, 0)
