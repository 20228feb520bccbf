"""What values are taken for: the text above all, and nobody for somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.language.document import compile_document
from integrations.studio.example.by_example import by_example
from integrations.studio.example.guesses import guess
from integrations.studio.example.http_text import read_text
from integrations.studio.example.meanings import Meaning, SampleMessage
from integrations.studio.example.samples import Samples

URL = "https://api.koala.example/v1/sms"


def roles(request: str, known: str = "") -> dict[str, str]:
    samples = Samples(read_text(request, "request"))
    return {key: item.role for key, item in guess(samples, SampleMessage(text=known), {})["request"].items()}


@pytest.mark.parametrize("known", ["Hello", "hello", " Hello ", '"Hello"', "“Hello”"])
@pytest.mark.parametrize("name", ["body", "payload", "X"])
def test_the_text_that_a_person_used_is_the_text(name: str, known: str) -> None:
    assert roles(f"curl {URL} -d {name}=Hello -d type=text", known) == {
        "path/0": "constant", "path/1": "constant", f"form/{name}": "text", "form/type": "constant",
    }  # fmt: skip


def test_only_the_text_as_it_was_entered_is_the_text_if_it_is_there() -> None:
    found = roles(f"curl {URL} -d body=Test -d mode=test", "Test")
    assert (found["form/body"], found["form/mode"]) == ("text", "constant")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"body": "Hello"}, "body"),
        ({"message": "hi"}, "message"),
        ({"content": "Hello!"}, "content"),
        ({"sms": "Привет"}, "sms"),
        ({"text": "test"}, "text"),
        ({"text": "<text>"}, "text"),
        ({"message": {"text": "Hello"}}, "message/text"),
        ({"message": "text", "body": "Hello"}, "body"),
        ({"message": "sms", "text": "Hello you"}, "text"),
        ({"message": "Promo", "text": "Hello you"}, "text"),
        ({"text": "Hello", "body": "World"}, "text"),
        ({"message": "text"}, ""),
        ({"content": "PLAIN"}, ""),
        ({"sms": "premium"}, ""),
        ({"content": "UTF-8"}, ""),
        ({"content": "text/plain"}, ""),
        ({"content": "two_way"}, ""),
        ({"message": "1"}, ""),
        ({"message": 12}, ""),
        ({"message": True}, ""),
        ({"message": ""}, ""),
        ({"message": " "}, ""),
        ({"type": "Hello"}, ""),
    ],
)
def test_a_word_under_the_name_of_a_text_is_one_unless_it_says_what_kind(
    fields: dict[str, Any], text: str
) -> None:
    found = roles(f"POST {URL} HTTP/1.1\n\n{json.dumps(fields)}")
    assert [key for key, role in found.items() if role == "text"] == ([f"json/{text}"] if text else [])


def test_no_text_is_none_of_the_values() -> None:
    assert "text" not in roles(f"curl {URL} -d 'mark=\"' -d type=sms", " ").values()


def test_the_text_that_arrives_is_the_one_that_was_used() -> None:
    hook = '{"event": "mo", "from": "15005550001", "to": "15005550006", "title": "Hi", "data": "Hello"}'
    samples = Samples(webhooks=(read_text(hook, "webhook"),))
    found = guess(samples, SampleMessage(text="Hello"), {})["webhook-0"]
    assert (found["json/data"].role, found["json/title"].role) == ("text", "ignore")


def test_a_key_in_the_path_is_a_credential_if_it_is_one_elsewhere() -> None:
    samples = Samples(
        read_text(f"curl {URL}/hunter2-f00 -H 'X-Token: hunter2-f00' -d to=15005550001", "request")
    )
    found = guess(samples, SampleMessage(), {})["request"]
    assert {found[key].role for key in ("path/2", "header/X-Token")} == {"credential"}


US, ME, YOU = "+12025550122", "+12025550111", "+12025550133"


@pytest.mark.parametrize(
    "hook",
    [
        {"event": "mo", "id": "a-1", "from": ME, "to": [US, YOU], "text": "Dinner?"},
        {"event": "mo", "id": "a-1", "from": ME, "to": US, "cc": [YOU], "text": "Dinner?"},
        {"event": "mo", "id": "a-1", "from": ME[1:], "to": [US[1:], YOU[1:], ME], "text": "Dinner?"},
    ],
)
def test_the_members_of_a_group_are_different_people(hook: dict[str, Any]) -> None:
    draft = by_example(Samples(webhooks=(read_text(json.dumps(hook), "webhook"),)))
    (case,) = draft.cases
    made = json.dumps(case["request"])
    assert not [number for number in (US, ME, YOU) if number[1:] in made]
    sent = case["request"]["json"]
    to = sent["to"] if isinstance(sent["to"], list) else [sent["to"], *sent["cc"]]
    digits = [number.lstrip("+") for number in to]
    assert (sent["from"].lstrip("+"), digits[0]) == ("15005550001", "15005550006")
    assert len(set(digits)) == len(digits)
    assert ("15005550001" in digits) is (len(hook["to"]) == 3)  # as in the real one
    assert compile_document(draft.document)


@pytest.mark.parametrize(
    ("body", "place", "role"),
    [
        ({"token": {"value": "sesame-open"}}, "json/token/value", "credential"),
        ({"headers": [{"name": "api_key", "value": "sesame-open"}]}, "json/headers/0/value", "credential"),
        ({"auth": {"value": "basic"}}, "json/auth/value", "constant"),
        ({"headers": [{"name": "priority", "value": "high"}]}, "json/headers/0/value", "constant"),
        ({"credentials": {"scheme": "basic"}}, "json/credentials/scheme", "constant"),
    ],
)
def test_a_credential_is_known_by_a_name_further_up_or_beside_it(
    body: dict[str, Any], place: str, role: str
) -> None:
    found = roles(f"curl {URL} --json '{json.dumps({**body, 'to': '+15005550001'})}'")
    assert found[place] == role


SENT = "curl 'https://api.koala.example/send?key=sesame-open&to=447700900123&content=Hello'"


@pytest.mark.parametrize(
    ("answer", "hook", "found"),
    [
        (
            "To: 447700900123 ID: AB_12345",
            "GET /in?id=AB_12345&to=84433&from=447700900123&content=Hi HTTP/1.1",
            {"query/id": "messageid", "query/to": "to", "query/from": "from", "query/content": "text"},
        ),
        (
            '{"id": "s-70df", "created": "2026-07-13T13:57:23.741000"}',
            "POST /in HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n"
            "id=sf8425&from=%2B447700900123&to=%2B447700900124&message=Hi&created=2026-07-13T13:57:23.741000",
            {
                "form/id": "messageid", "form/from": "from", "form/to": "to", "form/message": "text",
                "form/created": "date",
            },
        ),
    ],
)  # fmt: skip
def test_a_text_that_arrives_may_share_an_id_or_a_date_with_the_answer(
    answer: str, hook: str, found: dict[str, str]
) -> None:
    samples = Samples(
        read_text(SENT, "request"),
        answer=read_text(answer, "answer"),
        webhooks=(read_text(hook, "webhook"),),
    )
    meanings = guess(samples, SampleMessage(), {})
    assert {key: meaning.role for key, meaning in meanings["webhook-0"].items() if key in found} == found
    (event,) = by_example(samples).document["Webhook"]["events"]
    assert event["event_type"] == "message"


def test_the_id_in_an_answer_is_not_the_number_of_the_recipient() -> None:
    samples = Samples(
        read_text(SENT, "request"),
        answer=read_text("To: 447700900123 ID: AB_12345", "answer"),
        webhooks=(read_text("GET /dlr?msg_id=AB_12345&status=DELIVRD&to=447700900123 HTTP/1.1", "webhook"),),
    )
    meanings = guess(samples, SampleMessage(), {})
    values = {leaf.key: leaf.text for leaf in samples.named()["answer"].leaves}
    assert [values[key] for key, each in meanings["answer"].items() if each.role == "messageid"] == [
        "AB_12345"
    ]


@pytest.mark.parametrize(
    ("refusal", "code", "rules", "told"),
    [
        (
            "To: zzz Error 10: Invalid 'To' Parameter",
            "10",
            [{"matches": r"\bError\b"}, r"$body|match:'\bError\W+(\w+)'$"],
            False,
        ),
        ("To: zzz Error 10: Invalid 'To' Parameter", "", [{"matches": r"\bError\b"}, None], False),
        ("ERR: 105, no funds", "105", [{"matches": r"^\s*ERR\b"}, r"$body|match:'\bERR\W+(\w+)'$"], False),
        ("To: zzz ID: none", "", [], True),
    ],
)
def test_a_refusal_in_plain_text_is_known_by_a_word(
    refusal: str, code: str, rules: list[Any], told: bool
) -> None:
    samples = Samples(
        read_text(SENT, "request"),
        answer=read_text("To: 447700900123 ID: AB_12345", "answer"),
        error=read_text(refusal, "answer"),
    )
    assert samples.error is not None
    chosen = {
        ("error", leaf.key): Meaning("error_code") for leaf in samples.error.leaves if leaf.text == code
    }
    draft = by_example(samples, choices=chosen)
    made = draft.document["API"]["SendMessage"].get("response_errors", [])
    assert [each for rule in made for each in (rule["when"]["$body$"], rule.get("code"))] == rules
    assert any("Nothing is read from the refusal" in note for note in draft.notes) is told
    refused = next(case for case in draft.cases if case["name"] == "A text is refused")
    assert refused["outcome"].get("code", "") == code
    assert compile_document(draft.document)
