"""What documentation shows as curl or HTTP is read as what it means, and anything else is told in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.studio.example.http_text import read_curl, read_http, read_text
from integrations.studio.example.sample_limits import UnreadableText
from integrations.studio.example.samples import Part

URL = "https://api.example.com/sms"


@pytest.mark.parametrize(
    ("command", "method", "url"),
    [
        (f"curl {URL}", "GET", URL),
        (f"$ curl -s {URL}", "GET", URL),
        (f"curl -sXPUT {URL}", "PUT", URL),
        (f"curl -sX PUT {URL}", "PUT", URL),
        (f"curl --request=PATCH {URL}", "PATCH", URL),
        (f"curl --request DELETE --url '{URL}'", "DELETE", URL),
        (f"curl -X 'POST' \\\n  '{URL}'", "POST", URL),
        (f"curl -X POST ^\n  \"{URL}\"", "POST", URL),
        (f'curl ^"{URL}^" ^\n  -X POST', "POST", URL),
        (f"curl `\n  -X POST {URL}", "POST", URL),
        (f"curl {URL}\n  -X POST", "POST", URL),
        ("curl api.example.com/sms", "GET", URL),
        ("curl https://api.example.com/a/../sms#top", "GET", URL),
        (f"Send it with curl like this:\n\n    curl --location -k {URL} | jq .\n\nThen wait.", "GET", URL),
        (f"curl --compressed -m 5 -o /dev/null --unknown-option x {URL}", "GET", URL),
        ("curl -G https://api.example.com/sms -d a=1 --data-urlencode 'b=x y'", "GET", f"{URL}?a=1&b=x%20y"),
        ("curl -G 'https://api.example.com/sms?v=2' -d to=+15005550001", "GET", f"{URL}?v=2&to=%2B15005550001"),
        ("curl $BASE_URL/sms", "GET", "$BASE_URL/sms"),
        ("curl 'https://{{host}}/sms/<account id>'", "GET", "https://{{host}}/sms/<account%20id>"),
    ],
)  # fmt: skip
def test_a_command_names_method_and_url(command, method, url):
    sample = read_curl(command)
    assert (sample.method, sample.url) == (method, url)


@pytest.mark.parametrize(
    ("options", "form", "tree"),
    [
        ("-d a=1 --data b=2", "form", {"a": "1", "b": "2"}),
        ("-d to=+15005550001", "form", {"to": "+15005550001"}),
        ("--data-raw '@a=1'", "form", {"@a": "1"}),
        ("--data-urlencode 'text=a & b' --data-urlencode '=c d' --data-urlencode 'e'", "form", {"text": "a & b", "c d": "", "e": ""}),
        ("--data-binary '{\"a\": [1, true]}'", "json", {"a": ["1", True]}),
        ("--json '{\"a\": 1}'", "json", {"a": "1"}),
        ("-H 'Content-Type: application/json' -d \"{\\\"a\\\": \\\"b\\\"}\"", "json", {"a": "b"}),
        ("-H 'content-type: application/json' -d $'{\"a\": \"it\\'s \\u00e9\\n\"}'".replace("\\n", "\\\\n"), "json", {"a": "it's é\n"}),
        ("-H 'Content-Type: application/json' -d '{\"a\": 1, // one\n}'", "json", {"a": "1"}),
        ("-H 'Content-Type: text/xml' -d '<a><b>1</b></a>'", "xml", {"a": {"b": "1"}}),
        ("-d '{\"to\": \"'\"$TO\"'\"}'", "json", {"to": "$TO"}),
    ],
)  # fmt: skip
def test_the_data_of_a_command_is_its_body(options, form, tree):
    sample = read_curl(f"curl {URL} {options}")
    assert (sample.method, sample.form, sample.tree) == ("POST", form, tree)


def test_a_form_with_files_has_parts():
    options = (
        "-F to=1 -F 'a=x;type=text/plain' -F 'file=@/tmp/b.png;type=image/png;filename=c.png' -F 'd=\"e;f\"'"
    )
    sample = read_curl(f"curl {URL} {options} --form-string 'g=@h'")
    assert sample.parts == (
        Part("to", "1"),
        Part("a", "x", "", "text/plain"),
        Part("file", "", "c.png", "image/png"),
        Part("d", "e;f"),
        Part("g", "@h"),
    )


def test_credentials_and_headers_are_headers():
    sample = read_curl(
        f"curl -u 'ann:se:cret' -A me -e https://x.example -b 'a=b' -H 'X-Empty:' -H 'X-A:  b ' {URL}"
    )
    assert sample.headers == (
        ("User-Agent", "me"),
        ("Referer", "https://x.example"),
        ("Cookie", "a=b"),
        ("X-A", "b"),
        ("Authorization", "Basic YW5uOnNlOmNyZXQ="),
    )
    assert sample.basic == ("ann", "se:cret")
    assert read_curl("curl https://ann:secret@api.example.com/sms").basic == ("ann", "secret")
    assert read_curl(f"curl --oauth2-bearer t-1 {URL}").header("authorization") == "Bearer t-1"


def test_what_is_not_known_is_noted():
    sample = read_curl(f"curl --frobnicate {URL} -d @body.json")
    assert sample.notes == (
        "The option --frobnicate is not known and was passed over.",
        "What is in the file body.json is not in the command. Paste it in its place.",
    )


@pytest.mark.parametrize(
    ("text", "kind", "method", "url", "status", "form", "tree"),
    [
        ("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{\"a\": 1}", None, "", "", 201, "json", {"a": "1"}),
        ("HTTP/2 204", None, "", "", 204, "", {}),
        ("POST /in?x=1 HTTP/1.1\nHost: sms.example.com\n\na=1&b=%2B2", "webhook", "POST", "https://sms.example.com/in?x=1", 0, "form", {"a": "1", "b": "+2"}),
        ("POST https://api.example.com/sms\nContent-Type: application/xml\n\n<a>1</a>", "request", "POST", URL, 0, "xml", {"a": "1"}),
        ("https://x.example/in?a=1&a=2", "webhook", "GET", "https://x.example/in?a=1&a=2", 0, "", {}),
        ("?a=1", "webhook", "GET", "?a=1", 0, "", {}),
        ("{\"id\": 7}", "response", "", "", 0, "json", {"id": "7"}),
        ("```json\n{\"id\": 7,}\n```", "webhook", "POST", "", 0, "json", {"id": "7"}),
        ("a=1&\nb=2", "webhook", "POST", "", 0, "form", {"a": "1", "b": "2"}),
        ("a=1\nb=2", "webhook", "POST", "", 0, "form", {"a": "1", "b": "2"}),
        ("<a b='1'>x</a>", "webhook", "POST", "", 0, "xml", {"a": {"@b": "1", "#text": "x"}}),
        ("ID: 12345", "response", "", "", 0, "text", "ID: 12345"),
        ("Content-Type: text/plain\n\nOK 1", "response", "", "", 0, "text", "OK 1"),
        ("POST /in HTTP/1.1\nContent-Type: multipart/form-data; boundary=b\n\n--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b--", "webhook", "POST", "/in", 0, "multipart", {}),
    ],
)  # fmt: skip
def test_http_is_read_as_it_is_written(text, kind, method, url, status, form, tree):
    sample = read_http(text, kind)
    found = (sample.method, sample.url, sample.status, sample.form, sample.tree)
    assert found == (method, url, status, form, tree)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("", "response", "Nothing is pasted. Paste what the documentation shows."),
        ("{\"a\": ", "response", "The JSON cannot be read: Expecting value in line 1, column 6. Paste it as a whole, without “…”."),
        ("<a>", "webhook", "The XML cannot be read at line 1, column 4. Paste the whole document, from its first < to its last >."),
        ("HTTP/1.1 200 OK", "webhook", "This is an answer. Paste a request: with GET or POST, a URL, or a body."),
        ("POST /x HTTP/1.1\n\na=1", "response", "This is a request. Paste the answer to it: its status line or body."),
        ("https://x.example", "response", "This is a URL. Paste the answer to it: its status line or body."),
        ("{\"a\": 1}", "request", "The request has no URL. Paste a curl command, or begin with POST and the URL."),
        ("POST /sms HTTP/1.1", "request", "The request has no URL that begins with https:// and a host. Paste the whole request."),
        ("curl -X HEAD https://x.example", "request", "HEAD requests cannot be sent. Paste one of GET, POST, PUT, PATCH or DELETE."),
        ("curl -d 'a", "request", "A quote has no end: 'a… Paste the whole command."),
        ("curl -d a", "request", "The curl command names no URL. Paste the whole command, to its last line."),
        ("x" * 300_000, "response", "The text is longer than 256 KiB. Paste one request or answer only."),
        ("x" * 50_000, "response", "The sample is larger than 48 KiB. Paste a shorter one."),
        ("[" * 13 + "]" * 13, "response", "The sample has more than 300 values, or more than 12 levels. Paste a shorter one."),
        ("[" + "1," * 300 + "1]", "response", "The sample has more than 300 values, or more than 12 levels. Paste a shorter one."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_a_sentence(text, kind, says):
    with pytest.raises(UnreadableText) as error:
        read_text(text, kind)
    assert str(error.value) == says


def test_a_text_without_a_command_is_told():
    with pytest.raises(UnreadableText) as error:
        read_curl("wget https://x.example")
    assert str(error.value) == "There is no curl command. Paste one that begins with curl and names a URL."


def test_each_leaf_has_a_place_and_a_label():
    sample = read_curl(
        'curl \'https://api.example.com/v1/accounts/A1/sms?v=2\' -u ann:pw --json \'{"m": [{"to": "1"}]}\''
    )
    assert [(leaf.key, leaf.label, leaf.text) for leaf in sample.leaves] == [
        ("path/0", "/…", "v1"),
        ("path/1", "/v1/…", "accounts"),
        ("path/2", "/accounts/…", "A1"),
        ("path/3", "/A1/…", "sms"),
        ("query/v", "v", "2"),
        ("header/Accept", "Accept", "application/json"),
        ("user", "", "ann"),
        ("password", "", "pw"),
        ("json/m/0/to", "m › 1 › to", "1"),
    ]


PIECES = st.sampled_from(
    [
        "curl ", "-X", "-d ", "--data-urlencode ", "-F ", "-u ", "-H ", "--json ", "-G ", "'", '"', "$'", "\\", "\\\n", "^\n", "^\"",
        "https://x.example/", "https://", "{", "}", "[", "]", "<a>", "</a>", "a=1", "&", "\n", "\r\n", " ", ":", "@", "=",
        "HTTP/1.1 200 OK", "POST /x", "Content-Type: application/json", "Content-Type: multipart/form-data; boundary=b", "\n\n", "--b", "\x00", "\ud800", "é",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=25).map("".join)


@given(TEXTS, st.sampled_from(["request", "response", "webhook"]))
@example("--data-urlencode \ud800", "request")
def test_any_text_is_a_sample_or_a_sentence(text, kind):
    for read in (
        lambda: read_text(text, kind),
        lambda: read_curl("curl " + text),
        lambda: read_http(text, kind),
    ):
        try:
            sample = read()
        except UnreadableText as error:
            assert str(error)
        else:
            assert all(leaf.key and isinstance(leaf.label, str) for leaf in sample.leaves)
