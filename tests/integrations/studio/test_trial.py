"""A provider is played from its document, in this process: with its cases, and with what is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integrations import http
from integrations.language.document import compile_document
from integrations.sandbox.catalog_entry import read_entry, services
from integrations.studio.trial.simulated import Answer, Trial
from integrations.studio.trial.trips import Step, Trip

URL = "https://portal.example/services/acme/a1"
WORDS = 'He said "hi" & left\n100% €5 😀'
FILE = {
    "url": "https://portal.example/media/trial/a.png",
    "content": b"\x89PNG",
    "content_type": "image/png",
    "filename": "a.png",
    "size": 4,
}
DOCUMENT: dict[str, Any] = {
    "id": "acme",
    "name": "Acme",
    "properties": ["API key", "Signing key"],
    "auth": {"type": "Header", "name": "X-Key", "value": "$API key$"},
    "API": {
        "SendMessage": {
            "request_url": "https://api.acme.example/v2/sms",
            "request_parameters": {"from": "$from$", "to": "$to|digits$", "text": "$content$"},
            "response_map": {"status": "accepted", "id": "$messageid$"},
        }
    },
    "Webhook": {
        "verify": {"type": "hmac", "key": "$Signing key$", "signature": "$headers.X-Signature$"},
        "events": [
            {
                "event_type": "message",
                "request_parameters": {
                    "event": "mo", "id": "$messageid$", "from": "$from|international$",
                    "to": "$to|international$", "text": "$content$",
                },
            },
            {
                "event_type": "messageStatus",
                "request_parameters": {"event": "dlr", "id": "$messageid$", "state": "$status$"},
                "status_map": {"DELIVRD": "delivered", "UNDELIV": "failed"},
            },
        ],
    },
}  # fmt: skip
FOLDERS = [pytest.param(folder, id=name) for name, folder in services().items()]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("A trial opens no connection.")

    for name in ("send", "send_all", "fetch"):
        monkeypatch.setattr(http, name, refuse)


def trial(document: dict[str, Any] = DOCUMENT, cases: Any = ()) -> Trial:
    return Trial(compile_document(document), cases, URL)


def lanes(trip: Trip) -> list[str]:
    return [step.lane for step in trip.steps]


def step(trip: Trip, lane: str) -> Step:
    return next(step for step in reversed(trip.steps) if step.lane == lane)


def understood(trip: Trip) -> dict[str, str]:
    return dict(next(step for step in reversed(trip.steps) if step.lane == "note").facts)


@pytest.mark.parametrize("shown", [True, False], ids=["with cases", "without cases"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_service_plays_a_round_trip(folder: Path, shown: bool) -> None:
    entry = read_entry(folder)
    played = Trial(entry.template, entry.cases if shown else (), URL)
    ours, contact = played.numbers

    sent = played.send(ours, contact, WORDS)
    assert [(bubble.text, bubble.number, bubble.contact) for bubble in sent.bubbles] == [
        (WORDS, ours, contact)
    ]
    # Kannel answers in words, which nothing in its document gives away.
    assert any(each.title == "The provider has accepted it." for each in sent.steps) or not shown
    if shown and played.reports("delivered"):
        assert understood(sent)["event"] == "A delivery report: delivered."

    written = played.reply(contact, ours, "Yes, please")
    found = understood(written)
    assert (found["text"], found["from"]) == ("Yes, please", contact)

    pictured = played.send(ours, contact, "Look", FILE)
    assert pictured.bubbles[0].text.partition("\n")[0] == "Look"
    assert (played.reply(contact, ours, "", files=True).steps[-1].tone == "bad") is not played.receives(
        files=True
    )


def test_a_draft_without_cases_is_played_from_what_is_invented() -> None:
    played = trial()
    trip = played.send(*played.numbers, "Hello")
    assert lanes(trip) == ["out", "answer", "phone", "in", "note", "reply"]
    assert [step.time for step in trip.steps] == ["0.0 s", "0.2 s", "1.0 s", "2.0 s", "2.1 s", "2.2 s"]
    request, answer = step(trip, "out").shown, step(trip, "answer")
    assert request.splitlines()[:2] == ["POST https://api.acme.example/v2/sms", "X-Key: •••"]
    assert json.loads(request.partition("\n\n")[2])["to"] == "15005550001"
    messageid = dict(answer.facts)["message id"]
    assert (answer.title, understood(trip)) == (
        "The provider has accepted it.",
        {
            "event": "A delivery report: delivered.",
            "message id": messageid,
            "is of": "the message that was sent",
        },
    )
    assert step(trip, "in").title == "The provider calls the webhook, signed"
    assert step(trip, "in").shown.startswith(f"POST {URL}\n")
    assert Trip.from_data(json.loads(json.dumps(trip.as_data()))) == trip


@pytest.mark.parametrize(
    ("answer", "title", "seconds", "arrives"),
    [
        ("429", "Too many requests: Patchbay slows down, and tries again by itself.", 0.2, False),
        ("500", "Not accepted now: Patchbay tries again later, by itself.", 0.2, False),
        ("slow", "The provider has accepted it.", 5.0, True),
        (
            "garbage",
            "Nobody knows whether the message was sent: Patchbay does not send it twice, a person decides.",
            0.2,
            True,
        ),
        (
            "lost",
            "Nobody knows whether the message was sent: Patchbay does not send it twice, a person decides.",
            30.0,
            True,
        ),
    ],
)
def test_what_goes_wrong_is_told(answer: Answer, title: str, seconds: float, arrives: bool) -> None:
    played = trial()
    trip = played.send(*played.numbers, "Hello", answer=answer)
    assert (step(trip, "answer").title, step(trip, "answer").at) == (title, seconds)
    assert [bubble.text for bubble in trip.bubbles] == (["Hello"] if arrives else [])
    assert [step.at for step in trip.steps] == sorted(step.at for step in trip.steps)


def test_a_slow_answer_is_lost_for_who_does_not_wait_that_long() -> None:
    hasty = json.loads(json.dumps(DOCUMENT))
    hasty["API"]["SendMessage"]["timeout"] = 3
    played = trial(hasty)
    answer = step(played.send(*played.numbers, "Hello", answer="slow"), "answer")
    assert (answer.at, answer.tone) == (3, "bad")
    assert "timed out after 3 seconds" in dict(answer.facts)["reason"]


def test_a_message_can_be_reported_as_failed_or_not_at_all() -> None:
    played = trial()
    assert (
        understood(played.send(*played.numbers, "Hello", report="failed"))["event"]
        == "A delivery report: failed."
    )
    assert lanes(played.send(*played.numbers, "Hello", report="")) == ["out", "answer", "phone"]


def test_an_answer_from_the_phone_is_signed_and_read() -> None:
    played = trial()
    ours, contact = played.numbers
    trip = played.reply(contact, ours, WORDS)
    assert lanes(trip) == ["phone", "in", "note", "reply"]
    found = understood(trip)
    assert (found["event"], found["from"], found["to"], found["text"]) == (
        "A text message.",
        contact,
        ours,
        WORDS,
    )
    assert "x-signature: " in step(trip, "in").shown
    assert [(bubble.mine, bubble.text) for bubble in trip.bubbles] == [(True, WORDS)]


def test_no_secret_is_shown() -> None:
    played = trial(cases=[{"kind": "send", "properties": {"API key": "planted-secret-1", "Signing key": "planted-2"},
                           "message": {"from": "+15005550006", "to": "+15005550001", "text": "x"}, "expect": []}])  # fmt: skip
    ours, contact = played.numbers
    trips = [played.send(ours, contact, "Hello"), played.reply(contact, ours, "Yes")]
    assert "planted" not in json.dumps([trip.as_data() for trip in trips])
    assert played.values["API key"] == "planted-secret-1"


def test_the_login_is_part_of_the_round_trip() -> None:
    entry = read_entry(services()["login"])
    played = Trial(entry.template, entry.cases, URL)
    trip = played.send(*played.numbers, "Hello")
    assert [step.title for step in trip.steps][:4] == [
        "Patchbay logs in",
        "The provider issues a token",
        "Patchbay sends a request",
        "The provider has accepted it.",
    ]


def test_what_arrives_is_asked_for_at_a_provider_that_is_polled() -> None:
    entry = read_entry(services()["polled"])
    played = Trial(entry.template, entry.cases, URL)
    ours, contact = played.numbers
    trip = played.reply(contact, ours, "Yes")
    assert [(step.lane, step.title) for step in trip.steps[1:3]] == [
        ("out", "Patchbay asks for new messages"),
        ("answer", "The provider answers with what has arrived"),
    ]
    assert understood(trip)["text"] == "Yes"


@pytest.mark.parametrize(
    "case",
    [
        7,
        {"kind": "send", "properties": None},
        {"kind": "send", "properties": {}, "message": {"from": "x", "to": "y"}, "responses": [{"form": "x"}]},
        {"kind": "receive", "request": {"form": {"a": {"b": "c"}}}, "expect": {"events": []}},
        {"kind": "receive", "method": "ReceiveMessages", "responses": [{}], "expect": {"events": []}},
        {"kind": "send", "method": "CheckCredentials", "expect": []},
    ],
)
def test_a_case_that_says_nothing_of_use_is_passed_over(case: Any) -> None:
    played = trial(cases=[case])
    assert played.send(*played.numbers, "Hello").bubbles[0].text == "Hello"


@pytest.mark.parametrize(
    ("section", "titles"),
    [
        (
            {"Webhook": DOCUMENT["Webhook"]},
            ["/API: Acme cannot send texts: its template has no SendMessage."],
        ),
        (
            {"API": DOCUMENT["API"]},
            [
                "Patchbay sends a request",
                "The provider has accepted it.",
                "It is on the phone",
                "The document describes no such delivery report, so the provider sends none.",
            ],
        ),
    ],
)
def test_half_a_document_is_half_a_round_trip(section: dict[str, Any], titles: list[str]) -> None:
    document = {
        key: DOCUMENT[key]
        for key in ("id", "name", "properties", "auth")
        if key != "auth" or "API" in section
    }
    played = trial(document | section)
    assert [step.title for step in played.send(*played.numbers, "Hello").steps] == titles
    assert played.receives() == ("Webhook" in section)
