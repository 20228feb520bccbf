"""Requests that Django's own handler would answer with a 500 before any view sees them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
