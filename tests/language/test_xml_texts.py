"""A text as XML document: whatever the values are, it is the same document with these values in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.events import InboundRequest
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError
from integrations.language.xml import parse_xml
from integrations.requests import plan
from integrations.webhooks import read

SOURCE = (
    '<?xml version="1.0"?>\n<a x="<1>$from$" y=\'$content|escape$\'><b>$content$</b><c>$content|escape$</c>'
    "<d><![CDATA[$content$>]]></d><e><![CDATA[]$to$]x$content$]]></e></a>"
).replace("<1>", "-")


def rendered(source: Any, message: dict[str, Any], **document: Any) -> str:
    method = {
        "request_url": "https://a.example/",
        "request_content_type": "xml",
        "request_parameters": source,
    }
    made = compile_document({"id": "acme", "name": "Acme", "API": {"SendMessage": method}, **document})
    body = plan(made, {"Key": "k&1"}, message)[0].request.body
    assert body is not None
    return body.decode()


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff")
) | (st.text("]>&<'\"!-[CDAT \r\n\t", max_size=12))


@given(VALUES, VALUES)
@example("]]><x/>", "'\"/><x>")
@example("", "")
@example("&amp;", "\r\n\t]")
def test_values_neither_break_nor_extend_the_document(content: str, other: str) -> None:
    body = rendered(SOURCE, {"text": content, "from": other, "to": other})
    assert parse_xml(body.encode()) == {
        "a": {
            "@x": f"-{other}",
            "@y": content,
            "b": content,
            "c": content,
            "d": f"{content}>",
            "e": f"]{other}]x{content}",
        }
    }


@pytest.mark.parametrize(
    ("source", "message", "body"),
    [
        ("<a>$content$</a>", {"text": 'a "b" & <c>'}, '<a>a "b" &amp; &lt;c&gt;</a>'),
        ("<a>$content|escape$</a>", {"text": 'a "b" & <c>'}, "<a>a &quot;b&quot; &amp; &lt;c&gt;</a>"),
        ('<a b="$content$"/>', {"text": '"'}, '<a b="&quot;"/>'),
        ('<a b="$to|escape$"/>', {"to": ["1"]}, '<a b="[&quot;1&quot;]"/>'),
        ("<a>$content$</a>", {"text": "\x1b"}, "<a>\ufffd</a>"),
        ("<a><![CDATA[$content$]]></a>", {"text": "a & b"}, "<a><![CDATA[a & b]]></a>"),
        ({"$first": ["$userid$", "<a>$content$</a>"]}, {"text": "&"}, "<a>&amp;</a>"),
        ({"$when": {"$to$": True}, "$value": "<a>$content$</a>"}, {"text": "&", "to": "1"}, "<a>&amp;</a>"),
    ],
)
def test_a_text_as_xml(source: Any, message: dict[str, Any], body: str) -> None:
    assert rendered(source, message) == body


def test_a_secret_that_is_escaped_is_masked_where_it_is_shown() -> None:
    method = {
        "request_url": "https://a.example/",
        "request_content_type": "xml",
        "request_parameters": "<a>$Key$</a>",
    }
    document = {"id": "acme", "name": "Acme", "properties": ["Key"], "API": {"SendMessage": method}}
    [part] = plan(compile_document(document), {"Key": "k&'1"}, {"text": ""})
    assert part.request.body == b"<a>k&amp;'1</a>"
    assert part.shown.body == "<a>•••</a>".encode()


def test_an_answer_is_a_document_too() -> None:
    response = {"content_type": "text/xml", "body": "<Response><Message>$content$</Message></Response>"}
    event = {
        "event_type": "message",
        "request_parameters": {"f": "$from$", "t": "$content$"},
        "response": response,
    }
    made = compile_document({"id": "acme", "name": "Acme", "Webhook": event})
    request = InboundRequest("GET", query="f=%2B1&t=</Message>%26")
    answer = read(made, request, {}).answer
    assert answer.body == b"<Response><Message>&lt;/Message&gt;&amp;</Message></Response>"


def test_entities_are_refused() -> None:
    with pytest.raises(DocumentError, match="it declares entities or an unknown character set"):
        rendered('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;$content$</a>', {"text": ""})
