"""XML and multipart in both directions."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.bodies import parse, render
from integrations.language.errors import RenderError
from integrations.language.multipart import parse_multipart, render_multipart
from integrations.language.urls import decode_pairs
from integrations.language.xml import parse_xml, render_xml

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
TREE = st.recursive(
    TEXT,
    lambda inner: st.dictionaries(
        NAME, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=4
    ),
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a>x &amp; y</a>", {"a": "x & y"}),
        ("<a><b>1</b><b>2</b></a>", {"a": {"b": ["1", "2"]}}),
        ('<a id="7">x</a>', {"a": {"@id": "7", "#text": "x"}}),
        ('<s:a xmlns:s="urn:s"><s:b s:c="1"/></s:a>', {"a": {"b": {"@c": "1"}}}),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", {"a": "é"}),
        ("<a>\n  <b>1</b>\n</a>", {"a": {"b": "1"}}),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a>1</a>', {"a": "1"}),
    ],
)
def test_xml(source: str, value: object) -> None:
    assert parse_xml(source.encode("latin-1")) == value


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"<a><b></a>", "The XML cannot be read at line 1, column 9."),
        (
            b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
            "The XML declares entities, which are not supported.",
        ),
        (
            b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://x/"> %p;]><a/>',
            "The XML declares entities, which are not supported.",
        ),
        (b'<?xml version="1.0" encoding="nothing"?><a/>', "The XML uses an unknown character set."),
        (b"<a>" * 65 + b"</a>" * 65, "The XML is nested more than 64 levels deep."),
    ],
)
def test_xml_that_is_refused(source: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(source, "text/xml")
    assert str(caught.value) == reason


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-unheard-of"])
@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" \n", {}),
        (b"\x1c", "\x1c"),
        ("\u3000".encode(), "\u3000"),
        (b"\xef\xbb\xbf", ""),
        (b"\xef\xbb\xbfHello", "Hello"),
    ],
)
def test_a_text_of_white_space_alone(content_type: str, body: bytes, value: object) -> None:
    assert parse(body, content_type, strict=False) == value


@given(NAME, TREE)
def test_xml_there_and_back(name, tree):
    assert parse_xml(render_xml({name: tree}, "")) == {name: tree}


@pytest.mark.parametrize(
    "value", [{}, {"a": 1, "b": 2}, {"a": ["1", "2"]}, "text", {"a b": 1}, {"a": {"@": 1}}]
)
def test_what_is_no_xml_is_refused(value: object) -> None:
    with pytest.raises(RenderError):
        render_xml(value, "/place")


def test_multipart() -> None:
    body, content_type = render(
        {
            "to": ["+1", "+2"],
            "json": {"text": "ä"},
            "none": None,
            "files": [
                {"content": b"\x00\r\n--", "filename": 'a"\r\n.png', "content_type": "image/png", "url": "u"}
            ],
        },
        "multipart/form-data",
        "",
    )
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert (
        body
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="to"\r\n\r\n+1\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="to"\r\n\r\n+2\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\nContent-Type: application/json\r\n\r\n'
            '{"text":"ä"}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a%22%0D%0A.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + b"\x00\r\n--\r\n"
        + f"--{boundary}--\r\n".encode()
    )


@given(st.dictionaries(NAME, TEXT | st.lists(TEXT, min_size=2), min_size=1))
def test_multipart_there_and_back(fields):
    body, content_type = render_multipart(fields, "multipart/form-data", "")
    assert parse_multipart(body, content_type) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'--b\nContent-Disposition: form-data; name="a"\n\nx\ny\n--b--', {"a": "x\ny"}),
        (b"before\r\n--b\r\ncontent-disposition:form-data;\r\n NAME=a\r\n\r\n\r\n--b--\r\nafter", {"a": ""}),
        (b'--b\r\nContent-Disposition: form-data; name="a\\"b"\r\n\r\ncut off', {'a"b': "cut off"}),
        (
            b'--b\r\nContent-Disposition: form-data; name=f; filename="x.gif"\r\nContent-Type: image/gif; x=y\r\n\r\n\0\r\n--b--',
            {"f": {"filename": "x.gif", "content_type": "image/gif", "content": b"\0"}},
        ),
        (b"--b\r\n--b\r\n\r\n--b--", {"": ["", ""]}),
    ],
)
def test_multipart_as_services_write_it(body: bytes, fields: object) -> None:
    assert parse_multipart(body, 'multipart/form-data; charset=utf-8; boundary="b"') == fields


# Each took seconds to minutes with the parser for mail of the standard library, or all memory.
@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + b"A: b\r\n" * 160_000,
        b"--b\r\n\r\nx\r\n" * 90_000,
        b'--b\r\nContent-Disposition: form-data; name="a\r\n' + b" x\r\n" * 200_000,
        b"--b\r\nContent-Disposition: form-data" + b"; a=b" * 100_000,
        b"".join(b"--b\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % n for n in range(900)),
    ],
)
def test_multipart_takes_no_time(body: bytes) -> None:
    began = time.thread_time()
    with contextlib.suppress(ValueError):
        parse_multipart(body, "multipart/form-data; boundary=b")
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=other"])
def test_multipart_that_is_none(content_type: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        parse(b"text", content_type)


@given(st.text(st.sampled_from("ab=&+%C3A9;\0 é")))
def test_the_fields_of_a_form_are_those_that_python_reads(source: str) -> None:
    assert list(decode_pairs(source)) == parse_qsl(source, keep_blank_values=True)
