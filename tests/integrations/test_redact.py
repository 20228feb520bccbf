"""No spelling of a secret gets past the redactor, and nothing is shown when it cannot work."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from integrations.redact import NOT_SHOWN, Redactor

SECRET = 'pä/ss wörd+"&é~1?'


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (SECRET, "•••"),
        (f"a {SECRET} b {SECRET}", "a ••• b •••"),
        ("key=" + quote(SECRET), "key=•••"),
        ("key=" + quote(SECRET, safe=""), "key=•••"),
        ("key=" + quote_plus(SECRET), "key=•••"),
        ("key=p%c3%a4%2fss+w%c3%b6rd%2b%22%26%c3%a9~1%3f", "key=•••"),
        ('{"a":' + json.dumps(SECRET) + "}", '{"a":"•••"}'),
        ('{"a":' + json.dumps(SECRET, ensure_ascii=False) + "}", '{"a":"•••"}'),
        ('{"a":"p\\u00E4\\/ss w\\u00F6rd+\\"&\\u00E9~1?"}', '{"a":"•••"}'),
        ('<a b="pä/ss wörd+&quot;&amp;é~1?"/>', '<a b="•••"/>'),
        ("k=" + base64.b64encode(SECRET.encode()).decode(), "k=•••"),
        ("k=" + base64.urlsafe_b64encode(SECRET.encode()).decode(), "k=•••"),
        ("pä/ss wörd", "pä/ss wörd"),
        ("", ""),
    ],
)
def test_text(written: str, shown: str) -> None:
    assert Redactor([SECRET]).text(written) == shown


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_base64_of_a_text_around_the_secret_is_found_at_every_alignment(before: str, after: str) -> None:
    written = base64.b64encode(f"{before}s3cr3t!{after}".encode()).decode()
    shown = Redactor(["s3cr3t!"]).text(written)
    assert "•••" in shown
    assert len(shown.replace("•••", "")) <= 4 * len(before + after) // 3 + 6


def test_the_longest_secret_wins() -> None:
    assert Redactor(["abcd", "abcdefgh", ""]).text("abcdefgh abcd") == "••• •••"


def test_headers() -> None:
    basic = "Basic " + base64.b64encode(b"user:hunter2").decode()
    other = "Basic " + base64.b64encode(b"user:harmless").decode()
    shown = Redactor(["hunter2", "abc"]).headers(
        {
            "authorization": basic,
            "proxy-authorization": other,
            "x-key": "abc",
            "x-word": "abcissa",
            "x-token": "Bearer hunter2",
            "accept": "text/plain",
        }
    )
    assert shown == {
        "authorization": "•••",
        "proxy-authorization": other,
        "x-key": "•••",
        "x-word": "abcissa",
        "x-token": "Bearer •••",
        "accept": "text/plain",
    }


def test_basic_credentials_with_a_short_password_go_whole() -> None:
    basic = "Basic " + base64.b64encode(b"user:abc").decode()
    assert Redactor(["abc"]).headers({"authorization": basic}) == {"authorization": "•••"}


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (None, ""),
        (b"", ""),
        (b'{"key":"hunter2"}', '{"key":"•••"}'),
        ("clé=hunter2".encode("latin-1"), "clé=•••"),
        ("hunter2".encode("utf-16-le"), "[14 bytes that are not text]"),
        ("grüße".encode(), "grüße"),
    ],
)
def test_body(body: bytes | None, shown: str) -> None:
    assert Redactor(["hunter2"]).body(body) == shown


def test_a_latin1_body_with_a_secret_outside_ascii() -> None:
    assert Redactor(["schlüssel"]).body("k=schlüssel".encode("latin-1")) == "k=•••"


def broken() -> Iterator[str]:
    yield "hunter2"
    raise RuntimeError("the key is gone")


@pytest.mark.parametrize("secrets", [broken(), ["lone \ud800 surrogate"], [None]])
def test_without_all_its_secrets_it_shows_nothing(secrets: list[str]) -> None:
    redactor = Redactor(secrets)
    assert redactor.text("harmless") == NOT_SHOWN
    assert redactor.body(b"harmless") == NOT_SHOWN
    assert "harmless" not in str(redactor.headers({"a": "harmless"}))


def test_what_is_no_text_is_not_shown() -> None:
    assert Redactor(["hunter2"]).text(7) == NOT_SHOWN  # type: ignore[arg-type]
    assert Redactor(["hunter2"]).headers({"a": 7}) == {"headers": NOT_SHOWN}  # type: ignore[dict-item]


def test_headers_that_were_seen_before_are_shown_alike() -> None:
    hide = Redactor(["sandbox-key", "abc"])
    headers = {"Authorization": "Bearer sandbox-key", "X-Short": "abc", "X-Plain": "abcd"}
    shown = {"Authorization": "Bearer •••", "X-Short": "•••", "X-Plain": "abcd"}
    assert [hide.headers(headers) for _ in range(2)] == [shown] * 2
    for number in range(200):
        assert hide.headers({"X-Id": f"{number} sandbox-key"}) == {"X-Id": f"{number} •••"}
    assert hide.headers(headers) == shown
