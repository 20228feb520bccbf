"""A message becomes exactly the requests that the template describes."""

from __future__ import annotations

import json

import pytest

from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, RenderError
from integrations.requests import plan

FIELDS = {"from": "$from$", "to": "$to$", "extension": "$extension$", "domain": "$domain$"}
URL = "https://api.example.com/webhook"
SEED = {
    "id": "acme",
    "name": "Acme",
    "API": {
        name: {
            "request_method": "POST",
            "request_url": URL,
            "request_content_type": "application/json",
            "request_parameters": {**FIELDS, key: "$content$"},
            "response_map": {"data": {"id": "$messageid$"}},
        }
        for name, key in (("SendMessage", "content"), ("SendFile", "media_url"))
    },
}
MESSAGE = {"from": "+61855555555", "to": "+61412345678", "extension": "101", "domain": "acme"}


def one(method, message=None, values=None, **document):
    template = compile_document({"id": "acme", "name": "Acme", "API": {"SendMessage": method}, **document})
    return plan(template, values or {}, {**MESSAGE, "text": "Hi", **(message or {})})[0].request


def test_the_published_documents():
    template = compile_document(SEED)
    message = {
        **MESSAGE,
        "text": "Hello",
        "media": [{"url": "https://f.example/1"}, {"url": "https://f.example/2"}],
    }
    parts = plan(template, {}, message)
    assert [(part.number, part.method, part.request.method, part.request.url) for part in parts] == [
        (1, "SendMessage", "POST", URL),
        (2, "SendFile", "POST", URL),
        (3, "SendFile", "POST", URL),
    ]
    assert [dict(part.request.headers) for part in parts] == [{"Content-Type": "application/json"}] * 3
    assert [json.loads(part.request.body) for part in parts] == [
        {**MESSAGE, "content": "Hello"},
        {**MESSAGE, "media_url": "https://f.example/1"},
        {**MESSAGE, "media_url": "https://f.example/2"},
    ]


def test_a_file_falls_back_to_a_text_with_its_url():
    request = one(
        {"request_url": URL, "request_parameters": "$content$"}, {"media": [{"url": "https://f.example/1"}]}
    )
    assert request.body == b'"Hi\\nhttps://f.example/1"'


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        (
            {
                "request_method": "GET",
                "request_url": URL + "?k=1",
                "request_parameters": {"t": "$text$", "l": ["1", "2"]},
            },
            URL + "?k=1&t=a%20%26%C3%A9&l=1&l=2",
            None,
        ),
        (
            {"request_url": URL + "/$text$", "request_query": {"q": "$to$"}},
            URL + "/a%20%26%C3%A9?q=%2B61412345678",
            None,
        ),
        (
            {
                "request_url": "$Base$/send",
                "request_parameters": {"t": "$text$"},
                "request_content_type": "form",
            },
            "https://h.example/v1/send?key=1",
            b"t=a+%26%C3%A9",
        ),
        ({"variables": {"h": "$Base|or:'x'$"}, "request_url": "$h$"}, "https://h.example/v1/?key=1", None),
    ],
)
def test_values_are_encoded_by_position(method, url, body):
    properties = [{"name": "Base", "type": "url", "secret": False}]
    request = one(method, {"text": "a &é"}, {"Base": "https://h.example/v1/?key=1"}, properties=properties)
    assert (request.url, request.body) == (url, body)


@pytest.mark.parametrize(
    ("auth", "value"),
    [
        ({"type": "Bearer", "token": "$Key$"}, {"Authorization": "Bearer k:1"}),
        ({"type": "Basic", "username": "u", "password": "$Key$"}, {"Authorization": "Basic dTprOjE="}),
        ({"type": "Header", "name": "X-Key", "value": "$Key$"}, {"X-Key": "k:1"}),
        (
            [{"type": "Bearer", "token": "a", "when": {"$Key$": "x"}}, {"type": "Bearer", "token": "b"}],
            {"Authorization": "Bearer b"},
        ),
    ],
)
def test_auth(auth, value):
    assert one({"request_url": URL}, None, {"Key": "k:1"}, properties=["Key"], auth=auth).headers == value


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (
            {"request_headers": {"X-T": "$text$"}},
            "/API/SendMessage/request_headers/X-T: The header 'X-T' must not contain line breaks or other control characters.",
        ),
        (
            {"variables": {"o": {"a": 1}}, "request_query": {"t": "$o$"}},
            "/API/SendMessage/request_query: 't' is an object; a query or form can hold only texts and lists of texts.",
        ),
        (
            {"request_url": URL + "/$username$/x"},
            "/API/SendMessage/request_url: A path must not contain the segments . or .. .",
        ),
        ({"request_parameters": "$domain$"}, "/API/SendMessage: The request is larger than 1 MiB."),
        (
            {"when": {"$to$": "1"}},
            "/API/SendMessage/when: The provider does not accept this message: 'when' does not hold.",
        ),
    ],
)
def test_refusals(method, reason):
    with pytest.raises(RenderError) as caught:
        one({"request_url": URL, **method}, {"text": "a\r\nb", "username": "..", "domain": "x" * 2**20})
    assert str(caught.value) == reason


def test_nul_and_broken_surrogates_become_replacement_characters():
    request = one({"request_url": URL, "request_parameters": "$text$"}, {"text": "a\0b\ud800"})
    assert request.body == '"a\ufffdb\ufffd"'.encode()


def steps(document, message, values=None):
    """The method and the body of each request."""
    template = compile_document({"id": "acme", "name": "Acme", "API": document})
    parts = plan(template, values or {}, {**MESSAGE, **message})
    return [(part.method, json.loads(part.request.body)) for part in parts]


FILES = [{"url": "https://f.example/1", "content_type": "image/png"}, {"url": "https://f.example/2"}]
CONTENT = {"request_url": URL, "request_parameters": {"c": "$content$", "t": "$text$"}}


@pytest.mark.parametrize(
    ("document", "message", "expected"),
    [
        # Without SendFile, or where its `when` does not hold, the text is followed by the URLs.
        ({"SendMessage": CONTENT}, {"text": "Hi", "media": FILES}, [("SendMessage", {"c": "Hi\nhttps://f.example/1\nhttps://f.example/2", "t": "Hi"})]),
        ({"SendMessage": CONTENT, "SendFile": {**CONTENT, "when": {"$media[0].content_type$": "video/mp4"}}}, {"text": "", "media": FILES[:1]}, [("SendMessage", {"c": "https://f.example/1", "t": ""})]),
        # A condition on files does not send them: still one request for each.
        ({"SendFile": {**CONTENT, "when": {"$media|length$": {"gt": 0}}}}, {"text": "Hi", "media": FILES}, [("SendFile", {"c": "https://f.example/1", "t": "Hi"}), ("SendFile", {"c": "https://f.example/2", "t": ""})]),
        ({"SendFile": {"request_url": URL, "request_parameters": ["$urls$", "$text$"]}}, {"text": "Hi", "media": FILES}, [("SendFile", [["https://f.example/1", "https://f.example/2"], "Hi"])]),
        ({"SendFile": {"request_url": URL, "for_each": "media", "request_parameters": ["$urls$", "$part_no$", "$first_part$", "$last_part$"]}}, {"media": FILES}, [("SendFile", [["https://f.example/1"], 1, True, False]), ("SendFile", [["https://f.example/2"], 2, False, True])]),
        ({"SendMessage": {**CONTENT, "for_each": "media"}}, {"text": "Hi", "media": FILES}, [("SendMessage", {"c": "Hi\nhttps://f.example/1", "t": "Hi"}), ("SendMessage", {"c": "https://f.example/2", "t": ""})]),
        ({"SendMessage": {"request_url": URL, "split": {"max": 3}, "request_parameters": ["$content$", "$text$", "$part_no$", "$parts$"]}}, {"text": "abc def"}, [("SendMessage", ["abc", "abc", 1, ["abc", "def"]]), ("SendMessage", ["def", "def", 2, ["abc", "def"]])]),
        ({"SendMessage": {"request_url": URL, "split": {"max": 3, "into": "list"}, "request_parameters": ["$content$", "$parts$"]}}, {"text": "abc def"}, [("SendMessage", ["abc def", ["abc", "def"]])]),
        ({"SendMessage": {"request_url": URL, "request_parameters": "$parts$"}}, {"text": "abc"}, [("SendMessage", ["abc"])]),
        # Bytes of files are base64 outside multipart, however the shape comes to them.
        ({"SendFile": {"request_url": URL, "request_parameters": [{"$each": "$media$", "$as": "m", "$value": "$m.content$"}]}}, {"media": [{"url": "u", "content": b"\xff\0"}]}, [("SendFile", ["/wA="])]),
        ({"SendFile": {"request_url": URL, "request_parameters": "$media|pluck:'content'$"}}, {"media": [{"url": "u", "content": b"\xff\0"}]}, [("SendFile", ["/wA="])]),
        ({"SendMessage": {"request_url": URL, "variables": {"base string": "$from$;$text$", "text": "$base string|upper$"}, "request_parameters": ["$base string$", "$text$", "$content$"]}}, {"text": "a"}, [("SendMessage", ["+61855555555;a", "+61855555555;A", "a"])]),
    ],
)  # fmt: skip
def test_a_message_is_sent_in_these_steps(document, message, expected):
    assert steps(document, message) == expected


THREE = [{"url": f"https://f.example/{number}"} for number in (1, 2, 3)]
TOGETHER = {
    "request_url": URL,
    "request_parameters": ["$urls$", "$text$", "$text_with_media$", "$part_no$", "$parts$"],
}


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        # The text is in the first request; what does not fit into a message of its own follows the files.
        ({"SendFile": TOGETHER}, "Hi", [("SendFile", [["https://f.example/1", "https://f.example/2"], "Hi", "Hi\nhttps://f.example/1\nhttps://f.example/2", 1, ["Hi"]]), ("SendFile", [["https://f.example/3"], "", "https://f.example/3", 2, [""]])]),
        ({"SendFile": {**TOGETHER, "split": {"max": 3}}, "SendMessage": CONTENT}, "abc def", [("SendFile", [["https://f.example/1", "https://f.example/2"], "abc", "abc\nhttps://f.example/1\nhttps://f.example/2", 1, ["abc", "def"]]), ("SendFile", [["https://f.example/3"], "", "https://f.example/3", 2, [""]]), ("SendMessage", {"c": "def", "t": "def"})]),
        ({"SendMessage": TOGETHER}, "Hi", [("SendMessage", [["https://f.example/1", "https://f.example/2"], "Hi", "Hi\nhttps://f.example/1\nhttps://f.example/2", 1, ["Hi\nhttps://f.example/1\nhttps://f.example/2"]]), ("SendMessage", [["https://f.example/3"], "", "https://f.example/3", 2, ["https://f.example/3"]])]),
        # Links in a text are not counted; a method for one file takes one.
        ({"SendMessage": CONTENT}, "Hi", [("SendMessage", {"c": "Hi\nhttps://f.example/1\nhttps://f.example/2\nhttps://f.example/3", "t": "Hi"})]),
        ({"SendFile": CONTENT}, "", [("SendFile", {"c": f"https://f.example/{number}", "t": ""}) for number in (1, 2, 3)]),
    ],
)  # fmt: skip
def test_a_request_has_at_most_media_count_files(document, text, expected):
    template = compile_document({"id": "acme", "name": "Acme", "limits": {"media_count": 2}, "API": document})
    parts = plan(template, {}, {**MESSAGE, "text": text, "media": THREE})
    assert [(part.method, json.loads(part.request.body)) for part in parts] == expected


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (0, "'media_count' must be a number greater than 0."),
        (1.5, "'media_count' must be a whole number."),
        ("2", "'media_count' must be a number greater than 0."),
    ],
)
def test_media_count_is_a_whole_number(count, reason):
    with pytest.raises(DocumentError) as caught:
        compile_document({"id": "acme", "name": "Acme", "limits": {"media_count": count}, "API": {}})
    assert [(item.pointer, item.reason) for item in caught.value.problems] == [
        ("/limits/media_count", reason)
    ]


UPLOADS = {
    "UploadFile": {
        "request_url": URL,
        "when": {"$media[0].content_type$": {"not": "text/plain"}},
        "request_parameters": ["$url$", "$part_no$", "$last_part$"],
        "response_map": {"id": "$media_id$", "more": [{"name": "$name?$"}]},
    },
    "SendFile": {
        "request_url": URL,
        "request_parameters": ["$media|pluck:'media_id'$", "$text$", "$part_no$"],
    },
    "SendMessage": CONTENT,
}


def test_files_are_uploaded_first_and_their_results_are_sent():
    template = compile_document({"id": "acme", "name": "Acme", "API": UPLOADS})
    assert template.methods["UploadFile"].response.binds == {"media_id", "name"}
    files = [THREE[0], {**THREE[1], "content_type": "text/plain"}, THREE[2]]
    message = {**MESSAGE, "text": "Hi", "media": files}

    def shown(uploaded):
        parts = plan(template, {}, message, uploaded)
        return [
            (part.number, part.total, part.file, part.is_last, json.loads(part.request.body))
            for part in parts
        ]

    first, third = THREE[0]["url"], THREE[2]["url"]
    assert shown({}) == [(2, 1, 0, False, [first, 1, False]), (4, 1, 2, False, [third, 3, True])]
    assert shown({0: {"media_id": "a"}}) == [(4, 1, 2, False, [third, 3, True])]
    assert shown({0: {"media_id": "a"}, 2: {"media_id": "c"}}) == [(1, 1, None, True, [["a", "c"], "Hi", 1])]


def test_what_is_sent_without_files_uploads_none():
    """A text, and links that follow a text where no method reads `$media$`."""
    template = compile_document({"id": "acme", "name": "Acme", "API": UPLOADS})
    assert [part.method for part in plan(template, {}, {**MESSAGE, "text": "Hi"})] == ["SendMessage"]
    without = compile_document(
        {"id": "acme", "name": "Acme", "API": {**UPLOADS, "SendFile": {**CONTENT, "when": {"$text$": "x"}}}}
    )
    parts = plan(without, {}, {**MESSAGE, "text": "Hi", "media": THREE})
    assert [part.method for part in parts] == ["SendMessage"]


def test_a_text_that_send_message_does_not_take_is_not_sent_before_a_file():
    document = {
        "SendMessage": {**CONTENT, "when": {"$text$": "x"}},
        "SendFile": {"request_url": URL, "request_parameters": "$content$"},
    }
    with pytest.raises(RenderError, match="'when' does not hold"):
        steps(document, {"text": "Hi", "media": FILES})


def test_headers_of_the_method_go_before_the_common_ones_and_these_before_auth():
    request = one(
        {"request_url": URL, "request_headers": {"x-a": "method", "X-C": "$country$"}},
        request_headers={"X-A": "common", "X-B": "common", "X-C": "common", "authorization": "common"},
        auth={"type": "Bearer", "token": "t"},
    )
    assert request.headers == {"x-a": "method", "X-B": "common", "X-C": "common", "authorization": "common"}


def test_a_whole_shape_that_is_unset_gives_no_body():
    request = one({"request_url": URL, "request_parameters": "$country$"})
    assert (request.body, request.headers) == (None, {})


def test_queries_take_bytes_and_leave_out_what_is_unset():
    method = {"request_url": URL, "request_method": "GET"}
    method["request_parameters"] = {"a": "$text|encode:'latin-1'$", "b": "$country$", "c": [None, 1, True]}
    assert one(method, {"text": "é+"}).url == URL + "?a=%E9%2B&c=1&c=true"


def test_uploads_that_nobody_would_send_are_told():
    alone = {"UploadFile": UPLOADS["UploadFile"], "SendFile": CONTENT, "SendMessage": CONTENT}
    warnings = compile_document({"id": "acme", "name": "Acme", "API": alone}).warnings
    assert [(item.pointer, item.reason) for item in warnings] == [
        (
            "/API/UploadFile",
            "Nothing is uploaded: no method that sends reads $media$, which has the results.",
        )
    ]
    assert compile_document({"id": "acme", "name": "Acme", "API": UPLOADS}).warnings == ()


def test_an_upload_binds_no_part_of_the_response_and_no_secret():
    upload = {**UPLOADS["UploadFile"], "response_map": {"id": "$status$", "key": "$API key$"}}
    with pytest.raises(DocumentError) as caught:
        compile_document(
            {
                "id": "acme",
                "name": "Acme",
                "properties": ["API key"],
                "API": {**UPLOADS, "UploadFile": upload},
            }
        )
    assert [(item.pointer, item.reason) for item in caught.value.problems] == [
        (
            "/API/UploadFile/response_map/id",
            "$status$ is part of the request or response and cannot be bound.",
        ),
        (
            "/API/UploadFile",
            "'API key' is secret and may not be read here, because people see what a response means.",
        ),
    ]
