"""The REST API: what is taken, what is refused and how, and that a refusal leaves nothing behind."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from messaging.api.exceptions import KINDS
from messaging.engine import claim
from messaging.models import Assignment, Contact, Conversation, Message, Number, OptOut
from messaging.outbound import submit
from messaging.outbound.submit import MAX_TEXT
from messaging.rules import schedule
from messaging.statuses import Direction, QueueState, Status
from portal.middleware import STRICT
from portal.models import Membership, Organization, PersonalToken, User

URL = "/api/v1/messages"
BATCH = f"{URL}/batch"
NUMBERS = "/api/v1/numbers"
CONTACT = "+61412345678"
HELLO = {"from": "+61855555501", "to": CONTACT, "text": "Hello"}

formats = FormatChecker(())
formats.checks("uuid", raises=ValueError)(lambda value: UUID(str(value)))
formats.checks("date-time", raises=ValueError)(
    lambda value: value is None or datetime.fromisoformat(str(value))
)


@pytest.fixture
def token(alice: User, private: Number) -> str:
    """Alice's, who has a number of her own."""
    return issue(alice)


def issue(user: User, name: str = "Reminders") -> str:
    return PersonalToken.objects.issue(user, name)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def post(url: str, token: str, body: Any, key: str | None = None) -> Any:
    headers = bearer(token) | ({} if key is None else {"Idempotency-Key": key})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return described(Client().post(url, content, "application/json", headers=headers))


def get(url: str, token: str) -> Any:
    return described(Client().get(url, headers=bearer(token)))


def send(token: str, body: Any = HELLO, key: str | None = None) -> Any:
    return post(URL, token, body, key)


def send_batch(token: str, messages: Any, key: str | None = None) -> Any:
    return post(BATCH, token, {"messages": messages}, key)


def see(token: str, uuid: Any) -> Any:
    return get(f"{URL}/{uuid}", token)


@functools.cache
def description() -> Any:
    """The OpenAPI document."""
    return Client().get("/api/v1/openapi.json").json()


def described(answer: Any) -> Any:
    """The answer, which is as the OpenAPI document says."""
    document = description()
    method, path = answer.request["REQUEST_METHOD"].lower(), answer.request["PATH_INFO"]
    place = path.removeprefix("/api/v1")
    template = "/messages/{id}/cancel" if place.endswith("/cancel") else "/messages/{id}"
    said = document["paths"].get(place) or document["paths"][template]
    response = said[method]["responses"][str(answer.status_code)]
    ((kind, content),) = response["content"].items()
    assert answer["Content-Type"] == kind
    schema = {**content["schema"], "components": document["components"]}
    Draft202012Validator(schema, format_checker=formats).validate(answer.json())
    always = {"Location"} if answer.status_code == 202 else {"Retry-After"} & set(response.get("headers", {}))
    assert all(name in answer for name in always)
    return answer


class Failing:
    """Raises an error for every statement that has these words, as a database might."""

    def __init__(self, error: Exception, words: str = "") -> None:
        self.error, self.words = error, words

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.words in f"{sql} {params}":
            raise self.error
        return execute(sql, params, many, context)


def stored() -> list[int]:
    return [model.objects.count() for model in (Message, Contact, Conversation)]


def refusal(answer: Any) -> tuple[int, str, str | None]:
    """Status, type and pointer of a problem."""
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return told(answer.json())


def told(problem: Any) -> tuple[int, str, str | None]:
    return problem["status"], problem["type"].rpartition(":")[2], problem.get("pointer")


def test_a_message_is_sent_and_seen(token: str, alice: User, private: Number) -> None:
    answer = send(token, {**HELLO, "to": "0412 345 678", "text": "one\r\n🙂 \0 \ud83d"})
    message = Message.objects.get()
    text = "one\n🙂 � �"
    assert (answer.status_code, answer.json()) == (
        202,
        {
            "id": str(message.uuid),
            "status": "queued",
            "from": "+61855555501",
            "to": CONTACT,
            "text": text,
            "send_at": None,
        },
    )
    assert (message.author, message.text, message.conversation.number) == (alice, text, private)
    assert answer["Location"] == f"{URL}/{message.uuid}"
    assert "Idempotency-Replayed" not in answer
    seen = see(token, message.uuid).json()
    assert seen == {
        **answer.json(),
        "status_code": None,
        "status_text": None,
        "created_at": seen["created_at"],
        "changed_at": seen["changed_at"],
    }
    assert seen["created_at"].endswith("Z")


@pytest.mark.parametrize("spelled", ["+61855555501", " +61 8 5555 5501", "61855555501", "Front desk"])
def test_a_number_is_found_however_spelled(token: str, private: Number, alice: User, spelled: str) -> None:
    name = Number.objects.create(
        organization=private.organization, integration=private.integration, number="Front desk"
    )
    Assignment.objects.create(number=name, user=alice)
    answer = send(token, {**HELLO, "from": spelled})
    sender = "Front desk" if spelled == "Front desk" else "+61855555501"
    assert (answer.status_code, answer.json()["from"]) == (202, sender)


@pytest.mark.parametrize("status", Status)
def test_statuses_in_words(token: str, private: Number, status: Status) -> None:
    uuid = send(token).json()["id"]
    Message.objects.update(status=status, status_code="21610", status_text="The contact has opted out.")
    seen = see(token, uuid).json()
    assert (seen["status"], seen["status_code"], seen["status_text"]) == (
        status.name.lower(),
        "21610",
        "The contact has opted out.",
    )


def test_who_sees_a_message(token: str, alice: User, bob: User, charlie: User, shared: Number) -> None:
    own, common = send(token).json()["id"], send(token, {**HELLO, "from": "+61855555502"}).json()["id"]
    for user, seen in ((alice, [200, 200]), (bob, [404, 200]), (charlie, [404, 404])):
        theirs = issue(user, "Looks")
        assert [see(theirs, uuid).status_code for uuid in (own, common)] == seen
        assert see(theirs, uuid4()).status_code == 404
    Message.objects.update(direction=Direction.IN)
    assert see(token, own).status_code == 404


def _revoked(alice: User) -> None:
    PersonalToken.objects.get().delete()


def _deactivated(alice: User) -> None:
    alice.is_active = False
    alice.save()


def _blocked(alice: User) -> None:
    Membership.objects.filter(user=alice).update(status=Membership.Status.BLOCKED)


def _unassigned(alice: User) -> None:
    Assignment.objects.all().delete()


def _inactive(alice: User) -> None:
    Number.objects.update(active=False)


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        (_revoked, 401, "invalid or has been revoked"),
        (_deactivated, 401, "invalid or has been revoked"),
        (_blocked, 422, "You cannot send through this number"),
        (_unassigned, 422, "You cannot send through this number"),
        (_inactive, 422, "You cannot send through this number"),
    ],
)
def test_a_token_may_what_its_user_may(
    token: str, alice: User, change: Callable[[User], None], status: int, detail: str
) -> None:
    assert send(token).status_code == 202
    change(alice)
    before = stored()
    answer = send(token, {**HELLO, "to": "+61412345679"})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert stored() == before


def test_others_do_not_send_through_a_number(private: Number, bob: User, charlie: User) -> None:
    for user in (bob, charlie):
        answer = send(issue(user, "Mine"))
        assert refusal(answer) == (422, "refused", "/from")
    assert stored() == [0, 0, 0]


def test_a_sender_of_two_organizations(
    token: str, private: Number, globex: Organization, alice: User
) -> None:
    Membership.objects.create(user=alice, organization=globex, extension="105")
    for organization in (private.organization, globex):
        number = Number.objects.create(organization=organization, number="Reminder")
        Assignment.objects.create(number=number, user=alice)
    answer = send(token, {**HELLO, "from": "Reminder"})
    assert refusal(answer) == (422, "refused", "/from")
    assert "several of your organizations" in answer.json()["detail"]
    assert stored() == [0, 0, 0]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "pb_x",
        "Bearer pb_" + "x" * 43,
        "Bearer \xff\0",
        "Bearer " * 9,
    ],
)
def test_without_a_good_token(token: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for answer in (
        Client().post(URL, json.dumps(HELLO), "application/json", headers=headers),
        Client().get(f"{URL}/{uuid4()}", headers=headers),
    ):
        assert refusal(described(answer)) == (401, "unauthorized", None)
        assert answer["WWW-Authenticate"].startswith('Bearer realm="Patchbay"')
    assert stored() == [0, 0, 0]


DEEP = b'{"text":' * 4000 + b"1" + b"}" * 4000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "malformed", "/from")),
        (b" ", (400, "malformed", None)),
        (b"{", (400, "malformed", None)),
        (b"\xff", (400, "malformed", None)),
        (json.dumps(HELLO).encode("utf-16"), (400, "malformed", None)),
        (b"\xef\xbb\xbf{}", (400, "malformed", None)),
        (b"[" * 60_000, (400, "malformed", None)),
        (DEEP, (400, "malformed", None)),
        (b"NaN", (400, "malformed", None)),
        (b'{"text": -Infinity}', (400, "malformed", None)),
        (b"9" * 60_000, (400, "malformed", None)),
        (b'{"text": ' + b"9" * 60_000 + b"}", (400, "malformed", None)),
        (b'{"text": 1e999}', (400, "malformed", "/from")),
        (b'{"to": "+61412345678", "to": "+61412345679"}', (400, "malformed", None)),
        (b'{"x": {"\\u0000": 1, "\\ud800": 1}}', (400, "malformed", None)),
        ([HELLO], (400, "malformed", None)),
        ("text", (400, "malformed", None)),
        (None, (400, "malformed", None)),
        (12, (400, "malformed", None)),
        ({}, (400, "malformed", "/from")),
        ({**HELLO, "to": None}, (400, "malformed", "/to")),
        ({**HELLO, "to": [[CONTACT]]}, (400, "malformed", "/to")),
        ({**HELLO, "text": 12}, (400, "malformed", "/text")),
        ({**HELLO, "a/b~\ud800": 1}, (400, "malformed", "/a~1b~0\ufffd")),
        ({**HELLO, "\0" * 99: 1}, (400, "malformed", "/" + "\ufffd" * 40)),
        ({**HELLO, "from": ""}, (422, "refused", "/from")),
        ({**HELLO, "from": "\ud800\0"}, (422, "refused", "/from")),
        ({**HELLO, "from": "+61855555599"}, (422, "refused", "/from")),
        ({**HELLO, "from": "9" * 50_000}, (422, "refused", "/from")),
        ({**HELLO, "to": ""}, (422, "refused", "/to")),
        ({**HELLO, "to": "\ud800"}, (422, "refused", "/to")),
        ({**HELLO, "to": "you there, over the hill"}, (422, "refused", "/to")),
        ({**HELLO, "to": "+61855555501"}, (422, "refused", "/to")),
        ({**HELLO, "text": " \n"}, (422, "refused", "/text")),
        ({**HELLO, "text": "x" * (MAX_TEXT + 1)}, (422, "refused", "/text")),
        (b" " * (64 * 1024 + 1), (413, "too-large", None)),
    ],
)
def test_bad_bodies(token: str, body: Any, expected: tuple[int, str, str | None]) -> None:
    assert refusal(send(token, body)) == expected
    assert stored() == [0, 0, 0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_bodies_that_are_not_said_to_be_json(token: str, headers: dict[str, str]) -> None:
    content_type = headers.pop("Content-Type")
    answer = Client().post(URL, json.dumps(HELLO), content_type, headers=bearer(token) | headers)
    assert refusal(described(answer)) == (415, "unsupported-media-type", None)
    assert stored() == [0, 0, 0]


def test_the_charset_is_no_matter(token: str) -> None:
    answer = Client().generic(
        "POST", URL, json.dumps(HELLO), "Application/JSON; charset=nonsense", headers=bearer(token)
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", f"{URL}/", f"{URL}/1", f"{BATCH}/", "/api/v1/nothing"])
@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
def test_nothing_else_is_there(path: str, method: str) -> None:
    answer = getattr(Client(), method)(path)
    assert refusal(answer) == (404, "not-found", None)
    assert "/api/v1/openapi.json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{URL}/%00", (404, "not-found", None)),
        ("/api/v1/%00", (404, "not-found", None)),
        (f"{URL}?cursor=%00", (400, "malformed", None)),
    ],
)
def test_urls_with_a_nul(token: str, path: str, expected: tuple[int, str, None]) -> None:
    assert refusal(Client().get(path, headers=bearer(token))) == expected


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("put", URL, "GET, HEAD, POST"),
        ("options", URL, "GET, HEAD, POST"),
        ("get", BATCH, "POST"),
        ("delete", f"{URL}/{UUID(int=1)}", "GET, HEAD"),
        ("delete", f"{URL}/{UUID(int=1)}/cancel", "POST"),
        ("post", NUMBERS, "GET, HEAD"),
        ("post", "/api/v1/openapi.json", "GET, HEAD, OPTIONS"),
        ("post", "/api/v1/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods(token: str, method: str, url: str, allowed: str) -> None:
    answer = getattr(Client(), method)(url, headers=bearer(token))
    assert refusal(answer) == (405, "method-not-allowed", None)
    assert answer["Allow"] == allowed


def test_the_head_of_what_is_seen(token: str) -> None:
    for url in (URL, f"{URL}/{send(token).json()['id']}", NUMBERS):
        for headers, status in ((bearer(token), 200), ({}, 401)):
            answer = Client().head(url, headers=headers)
            assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml;q=1, */*;q=0", "nonsense", "application/json; indent=8"]
)
def test_answers_are_json_whatever_is_accepted(token: str, accept: str) -> None:
    headers = {**bearer(token), "Accept": accept}
    for answer in (
        Client().post(f"{URL}?format=xml", json.dumps(HELLO), "application/json", headers=headers),
        Client().get(f"{URL}?format=xml", headers=headers),
    ):
        assert answer["Content-Type"] == "application/json"
        assert b"\n" not in answer.content


def test_what_answers_carry(token: str) -> None:
    answer = send(token)
    assert answer["Content-Security-Policy"] == STRICT
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies


odd = st.text(st.characters(exclude_categories=[]), max_size=20)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(min_size=1, max_size=60)
    | st.dictionaries(
        st.sampled_from(["from", "to", "text"]) | odd,
        odd
        | st.sampled_from(list(HELLO.values()))
        | st.none()
        | st.integers()
        | st.floats()
        | st.lists(odd, max_size=2),
        max_size=5,
    ),
    st.none() | st.text(st.characters(max_codepoint=255), max_size=250),
)
def test_anything_at_all(token: str, body: Any, key: str | None) -> None:
    before = Message.objects.count()
    answer = send(token, body, key)
    assert answer.status_code in (202, 400, 422)
    assert Message.objects.count() == before + (
        answer.status_code == 202 and "Idempotency-Replayed" not in answer
    )


def test_a_key_sends_once(token: str, alice: User, bob: User, shared: Number) -> None:
    first = send(token, key="order 7")
    # However it is spelled, and whatever became of it since.
    Message.objects.update(status=Status.FAILED)
    OptOut.objects.create(
        organization=shared.organization, number=Number.objects.get(number=HELLO["from"]), address=CONTACT
    )
    again = send(token, {**HELLO, "to": "0412345678"}, key="order 7")
    assert (again.status_code, again.json(), again["Location"]) == (202, first.json(), first["Location"])
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Message.objects.count() == 1
    for change in ({"text": "Other"}, {"to": "+61412345679"}, {"from": "+61855555502"}):
        assert refusal(send(token, {**HELLO, **change}, key="order 7")) == (
            422,
            "idempotency-key-reused",
            None,
        )
    assert stored() == [1, 1, 1]
    # Keys are each user's own.
    theirs = send(issue(bob), {**HELLO, "from": "+61855555502", "to": "+61412345679"}, key="order 7")
    assert (theirs.status_code, "Idempotency-Replayed" in theirs) == (202, False)
    assert send(token, key="order 8", body={**HELLO, "to": "+61412345670"}).status_code == 202
    assert Message.objects.count() == 3


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 400), ("x" * 201, 400), ("x" * 200, 202), ('~ "', 202), ("ü", 400), ("a\x7f", 400)],
)
def test_keys(token: str, key: str, status: int) -> None:
    assert send(token, key=key).status_code == status
    assert Message.objects.count() == (status == 202)


def test_a_refused_message_can_be_sent_with_the_same_key(token: str) -> None:
    assert send(token, {**HELLO, "text": ""}, key="order 7").status_code == 422
    assert send(token, key="order 7").status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same", [True, False])
def test_equal_requests_at_one_moment(token: str, same: bool) -> None:
    def one(number: int) -> tuple[int, str]:
        try:
            answer = send(token, HELLO if same else {**HELLO, "to": f"+614123456{number:02d}"}, "order 7")
            return answer.status_code, answer.json().get("id", "")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    uuid = str(Message.objects.get().uuid)
    assert sorted(answers) == ([(202, uuid)] * 20 if same else [(202, uuid)] + [(422, "")] * 19)
    assert stored() == [1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_keeps_nobody_waiting(token: str) -> None:
    assert refusal(send(token, {**HELLO, "text": ""})) == (422, "refused", "/text")
    assert send_batch(token, ["nothing"]).json()["results"][0]["status"] == 400
    assert [send(token).status_code, send_batch(token, [HELLO]).status_code] == [202, 200]
    assert Message.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_crowd_is_answered_each_with_its_own(token: str) -> None:
    def one(number: int) -> Any:
        try:
            if number % 10:
                return [send(token, {**HELLO, "text": f"{number}"}).json()]
            batch = [{**HELLO, "text": f"{number} {place}"} for place in range(30)]
            return [result["message"] for result in send_batch(token, batch).json()["results"]]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        answers = [message for messages in pool.map(one, range(40)) for message in messages]
    assert {message["id"]: message["text"] for message in answers} == {
        str(uuid): text for uuid, text in Message.objects.values_list("uuid", "text")
    }
    assert Message.objects.count() == 36 + 4 * 30


@pytest.mark.parametrize("setting", ["USER_PER_MINUTE", "NUMBER_PER_MINUTE", "ORGANIZATION_PER_HOUR"])
def test_limits_against_mass_sending(token: str, settings: Any, setting: str) -> None:
    setattr(settings, setting, 1)
    assert send(token, key="order 7").status_code == 202
    answer = send(token)
    assert refusal(answer) == (429, "limit-reached", None)
    assert "within" in answer.json()["detail"]
    assert answer["Retry-After"] == "60"
    assert send(token, key="order 7")["Idempotency-Replayed"] == "true"
    assert stored() == [1, 1, 1]


@pytest.mark.parametrize(
    "words", ["portal_personaltoken", "messaging_number", "INSERT INTO messaging_message"]
)
def test_a_database_that_is_away(token: str, words: str) -> None:
    with connection.execute_wrapper(Failing(OperationalError("the database is away"), words)):
        for answer in (send(token), send_batch(token, [HELLO, HELLO])):
            assert refusal(answer) == (503, "unavailable", None)
            assert answer["Retry-After"] == "5"
    assert stored() == [0, 0, 0]


def test_an_error_that_nobody_expects(token: str, caplog: pytest.LogCaptureFixture) -> None:
    with connection.execute_wrapper(Failing(ProgrammingError("a secret"), "messaging_message")):
        answer = send(token)
    assert refusal(answer) == (500, "internal-error", None)
    assert "secret" not in answer.content.decode()
    assert "The API answers 500." in caplog.text
    assert stored() == [0, 0, 0]


def queries(function: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        function()
    return len(captured)


def test_what_a_submission_asks_the_database(token: str, alice: User, private: Number) -> None:
    """As much as `submit`, which reads the message as well, and the token with its user and the number."""
    send(token)
    client, body = Client(), json.dumps(HELLO)

    def posted(**headers: str) -> None:
        answer = client.post(URL, body, "application/json", headers=bearer(token) | headers)
        assert answer.status_code == 202

    most = queries(lambda: submit.submit(alice, private, CONTACT, text="Hello")) + 1
    assert queries(posted) <= most
    assert queries(lambda: posted(**{"Idempotency-Key": "1"})) <= most


@pytest.mark.parametrize("contacts", ["new", "known"])
def test_a_hundred_messages_take_the_statements_of_one(
    token: str, alice: User, private: Number, shared: Number, contacts: str
) -> None:
    def batch(count: int, first: int) -> None:
        numbers = (private.number, shared.number)
        wanted = [
            {**HELLO, "from": numbers[place % 2], "to": f"+61412{first + place:06}"} for place in range(count)
        ]
        answer = Client().post(
            BATCH, json.dumps({"messages": wanted}), "application/json", headers=bearer(token)
        )
        assert {result["status"] for result in answer.json()["results"]} == {202}

    batch(100, 0)  # the token's use is noted, too
    one, many = (0, 0) if contacts == "known" else (200_000, 300_000)
    assert queries(lambda: batch(100, many)) == queries(lambda: batch(1, one))


# --- Later, and not at all ---------------------------------------------------------------------------------

TOMORROW = timedelta(days=1)


def later(after: timedelta = TOMORROW) -> str:
    """A time from now on, in a zone with an odd offset, to the millisecond."""
    at = timezone.now() + after
    return at.astimezone(ZoneInfo("Australia/Darwin")).isoformat(timespec="milliseconds")


def cancel(token: str, uuid: Any) -> Any:
    return described(Client().post(f"{URL}/{uuid}/cancel", headers=bearer(token)))


def test_a_message_waits_for_its_time(token: str) -> None:
    at = later()
    answer = send(token, {**HELLO, "send_at": at})
    message = Message.objects.get()
    assert (answer.status_code, message.send_at) == (202, datetime.fromisoformat(at))
    assert (message.next_attempt_at, message.is_scheduled) == (message.send_at, True)
    assert claim.claim(8).claims == []
    said = answer.json()["send_at"]
    assert (said[-1], datetime.fromisoformat(said)) == ("Z", message.send_at)
    assert see(token, message.uuid).json()["send_at"] == said
    assert send(token, {**HELLO, "send_at": None}).json()["send_at"] is None
    assert len(claim.claim(8).claims) == 1


@pytest.mark.parametrize(
    ("send_at", "expected"),
    [
        (12, (400, "malformed", "/send_at")),
        ("", (400, "malformed", "/send_at")),
        ("tomorrow", (400, "malformed", "/send_at")),
        ("2030-01-01", (400, "malformed", "/send_at")),
        ("2030-01-01T09:30:00", (400, "malformed", "/send_at")),
        ("0001-01-01T00:00:00+10:00", (400, "malformed", "/send_at")),
        ("9999-12-31T23:59:59-10:00", (400, "malformed", "/send_at")),
        (["2030-01-01T09:30:00Z"], (400, "malformed", "/send_at")),
        ("2001-01-01T09:30:00Z", (422, "refused", "/send_at")),
        ("9999-12-31T23:59:59Z", (422, "refused", "/send_at")),
        (timedelta(days=367), (422, "refused", "/send_at")),
        (-timedelta(minutes=1), (422, "refused", "/send_at")),
    ],
)
def test_times_for_which_nothing_can_wait(token: str, send_at: Any, expected: Any) -> None:
    if isinstance(send_at, timedelta):
        send_at = later(send_at)
    assert refusal(send(token, {**HELLO, "send_at": send_at})) == expected
    result = send_batch(token, [HELLO, {**HELLO, "send_at": send_at}]).json()["results"]
    assert result[0]["status"] == 202
    assert told(result[1]["problem"]) == (*expected[:2], f"/messages/1{expected[2]}")
    assert Message.objects.count() == 1


def test_a_key_is_answered_with_the_time_that_the_message_has(token: str, alice: User) -> None:
    body = {**HELLO, "send_at": later(timedelta(hours=1))}
    first = send(token, body, "order 7")
    with time_machine.travel(timezone.now() + timedelta(hours=2)):  # its time is past
        again = send(token, body, "order 7")
        assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
        result = send_batch(token, [{**HELLO, "send_at": body["send_at"]}], "order 7").json()["results"]
        assert told(result[0]["problem"]) == (422, "refused", "/messages/0/send_at")
    again = send(token, {**HELLO, "send_at": later()}, "order 7")
    assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
    schedule.reschedule(Message.objects.get(), datetime.fromisoformat(later(timedelta(hours=3))))
    moved = send(token, body, "order 7").json()
    assert datetime.fromisoformat(moved["send_at"]) == Message.objects.get().send_at
    assert Message.objects.count() == 1
    other = send_batch(token, [body], "order 8")
    again = send_batch(token, [body], "order 8")
    assert (again.json(), again["Idempotency-Replayed"]) == (other.json(), "true")


def test_author_and_colleague_cancel_and_strangers_do_not(
    alice: User, bob: User, charlie: User, shared: Number
) -> None:
    tokens = {user: issue(user) for user in (alice, bob, charlie)}
    for user in (alice, bob):
        uuid = send(tokens[alice], {**HELLO, "from": shared.number, "send_at": later()}).json()["id"]
        for url in (uuid, uuid4()):
            assert refusal(cancel(tokens[charlie], url)) == (404, "not-found", None)
        assert see(tokens[alice], uuid).json()["status"] == "queued"
        answer = cancel(tokens[user], uuid)
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["status_text"]) == ("canceled", f"Canceled by {user}.")
        assert answer.json() == see(tokens[alice], uuid).json() == cancel(tokens[bob], uuid).json()
    assert claim.claim(8).claims == []
    assert described(Client().post(f"{URL}/{uuid}/cancel")).status_code == 401


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.DELIVERED])
def test_what_was_sent_cannot_be_canceled(token: str, status: Status) -> None:
    uuid = send(token).json()["id"]
    Message.objects.update(status=status, queue_state=QueueState.DONE, attempts=1)
    answer = cancel(token, uuid)
    assert refusal(answer) == (409, "too-late", None)
    assert "too late to cancel" in answer.json()["detail"]
    assert Message.objects.get().status == status


def test_times_cost_no_further_statements(token: str) -> None:
    def cost(count: int, send_at: str | None, key: str | None = None) -> int:
        wanted = [{**HELLO, "send_at": send_at}] * count
        return queries(lambda: send_batch(token, wanted, key))

    past = "2001-01-01T09:30:00Z"
    cost(40, None, "order 7")  # the contact is new
    assert cost(40, later()) == cost(1, later()) == cost(1, None)
    assert cost(40, past, "order 7") == cost(1, past, "order 7")
    assert cost(40, past) == cost(1, past)


def test_lists_take_the_same_queries_for_many(token: str, alice: User, private: Number) -> None:
    def listed() -> int:
        return queries(lambda: [Client().get(url, headers=bearer(token)) for url in (URL, NUMBERS)])

    send(token)
    few = listed()
    send_batch(token, [{**HELLO, "to": f"+6141234567{place}"} for place in range(9)])
    for place in range(9):
        number = Number.objects.create(organization=private.organization, number=f"name {place}")
        Assignment.objects.create(number=number, user=alice)
    assert listed() == few


def test_a_batch_accepts_and_refuses_each_by_itself(
    token: str, alice: User, bob: User, private: Number, shared: Number
) -> None:
    OptOut.objects.create(organization=shared.organization, number=shared, address=CONTACT)
    answer = send_batch(
        token,
        [
            {**HELLO, "to": "0412 345 678", "text": "one\r\n\0"},
            {**HELLO, "from": shared.number},
            {**HELLO, "from": "+61855555599"},
            {**HELLO, "from": "nobody's own number"},
            {**HELLO, "to": "the dentist next door"},
            {**HELLO, "text": ""},
            {"to": CONTACT, "text": "Hello"},
            {**HELLO, "text": 1},
            {**HELLO, "txt": "Hello"},
            "Hello",
            {**HELLO, "from": " 61855555502", "to": "+61412345679"},
        ],
    )
    results = answer.json()["results"]
    assert (answer.status_code, "Idempotency-Replayed" in answer) == (200, False)
    assert [told(result["problem"]) if "problem" in result else result["status"] for result in results] == [
        202,
        (422, "refused", "/messages/1/to"),
        (422, "refused", "/messages/2/from"),
        (422, "refused", "/messages/3/from"),
        (422, "refused", "/messages/4/to"),
        (422, "refused", "/messages/5/text"),
        (400, "malformed", "/messages/6/from"),
        (400, "malformed", "/messages/7/text"),
        (400, "malformed", "/messages/8/txt"),
        (400, "malformed", "/messages/9"),
        202,
    ]
    assert all(result["status"] == result["problem"]["status"] for result in results if "problem" in result)
    first, last = Message.objects.order_by("pk")
    assert results[0]["message"] == {
        "id": str(first.uuid), "status": "queued", "from": private.number, "to": CONTACT, "text": "one\n\ufffd",
        "send_at": None,
    }  # fmt: skip
    assert results[10]["message"]["id"] == str(last.uuid)
    assert (first.author, last.conversation.number) == (alice, shared)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/messages"),
        ([HELLO], None),
        ({"messages": None}, "/messages"),
        ({"messages": {"0": HELLO}}, "/messages"),
        ({"messages": []}, "/messages"),
        ({"messages": [HELLO] * 1001}, "/messages"),
        ({"messages": [HELLO], "from": "+61855555501"}, "/from"),
        (b'{"messages": [{"to": "a", "to": "b"}]}', None),
    ],
)
def test_bad_batches(token: str, body: Any, pointer: str | None) -> None:
    assert refusal(post(BATCH, token, body)) == (400, "malformed", pointer)
    assert stored() == [0, 0, 0]


def test_a_batch_has_its_limits(token: str, settings: Any) -> None:
    settings.USER_PER_HOUR = 0
    texts = [{**HELLO, "text": f"{place} {'é' * 300}"} for place in range(1000)]
    assert len(json.dumps({"messages": texts})) > 1_500_000
    assert {result["status"] for result in send_batch(token, texts).json()["results"]} == {202}
    assert list(Message.objects.order_by("pk").values_list("text", flat=True)) == [
        wanted["text"] for wanted in texts
    ]
    large = send_batch(token, [{**HELLO, "text": "x" * MAX_TEXT}] * 220)
    assert refusal(large) == (413, "too-large", None)
    assert refusal(send_batch(token, [HELLO], key="x" * 201)) == (400, "malformed", None)
    assert Message.objects.count() == 1000


def test_a_key_sends_a_batch_once(token: str, bob: User, shared: Number) -> None:
    wanted = [{**HELLO, "text": "one"}, {**HELLO, "text": ""}, {**HELLO, "text": "three"}]
    first = send_batch(token, wanted, "order 7")
    Message.objects.update(status=Status.FAILED)
    again = send_batch(token, wanted, "order 7")
    assert again.json() == first.json()
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert Message.objects.count() == 2
    changed = send_batch(
        token, [wanted[0], {**HELLO, "text": "two"}, {**HELLO, "text": "3"}, HELLO], "order 7"
    )
    results = changed.json()["results"]
    assert [result["status"] for result in results] == [202, 202, 422, 202]
    assert told(results[2]["problem"]) == (422, "idempotency-key-reused", "/messages/2")
    assert "Idempotency-Replayed" not in changed
    assert sorted(Message.objects.values_list("text", flat=True)) == ["Hello", "one", "three", "two"]
    # The same key names another message by itself, with other users, and in the middle of other keys.
    assert "Idempotency-Replayed" not in send(token, {**HELLO, "text": "one"}, "order 7")
    theirs = send_batch(issue(bob), [{**HELLO, "from": shared.number, "text": "one"}], "order 7")
    assert (theirs.json()["results"][0]["status"], "Idempotency-Replayed" in theirs) == (202, False)
    assert "Idempotency-Replayed" not in send(token, {**HELLO, "text": "one"}, "0 order 7")
    assert Message.objects.count() == 7


def test_equal_messages_of_a_batch_are_sent_each(token: str) -> None:
    ids = {result["message"]["id"] for result in send_batch(token, [HELLO] * 3).json()["results"]}
    assert ids == {str(uuid) for uuid in Message.objects.values_list("uuid", flat=True)}
    assert len(ids) == 3


def test_a_batch_meets_the_limits_in_its_middle(token: str, settings: Any) -> None:
    settings.USER_PER_MINUTE = 2
    results = send_batch(token, [HELLO] * 3, "order 7").json()["results"]
    assert [result["status"] for result in results] == [202, 202, 429]
    assert told(results[2]["problem"]) == (429, "limit-reached", "/messages/2")
    settings.USER_PER_MINUTE = 3
    assert [result["status"] for result in send_batch(token, [HELLO] * 3, "order 7").json()["results"]] == [
        202
    ] * 3
    assert Message.objects.count() == 3


def test_one_message_that_cannot_be_stored_does_not_hold_up_the_others(token: str) -> None:
    with connection.execute_wrapper(Failing(ProgrammingError("poisoned"), "poison")):
        answer = send_batch(
            token, [{**HELLO, "text": text} for text in ("one", "poison", "three")], "order 7"
        )
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 500, 202]
    assert told(results[1]["problem"]) == (500, "internal-error", "/messages/1")
    assert sorted(Message.objects.values_list("text", flat=True)) == ["one", "three"]


@pytest.mark.django_db(transaction=True)
def test_equal_batches_at_one_moment(token: str) -> None:
    def one(_: int) -> Any:
        try:
            wanted = [{**HELLO, "to": f"+61412{place:06}"} for place in range(300)]
            return send_batch(token, wanted, "order 7").json()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(one, range(4))
    assert all(other == first for other in others)
    assert [result["status"] for result in first["results"]] == [202] * 300
    assert stored() == [300, 300, 300]


def test_the_list_has_what_the_user_sent(
    token: str, alice: User, bob: User, private: Number, shared: Number
) -> None:
    sent = [send(token, {**HELLO, "text": text}).json()["id"] for text in ("one", "two")]
    sent += [result["message"]["id"] for result in send_batch(token, [HELLO] * 5).json()["results"]]
    sent.append(str(submit.submit(alice, shared, CONTACT, text="from the inbox").uuid))
    others = submit.submit(bob, shared, CONTACT, text="a colleague's")
    incoming = submit.submit(alice, private, CONTACT, text="incoming")
    Message.objects.filter(pk=incoming.pk).update(direction=Direction.IN)
    newest = [*reversed(sent)]

    def pages(url: str | None) -> list[list[str]]:
        found = []
        while url is not None:
            page = get(url, token).json()
            found.append([item["id"] for item in page["results"]])
            url = page["next"]
        return found

    assert pages(URL) == [newest]
    assert get(URL, token).json()["results"][0] == see(token, newest[0]).json()
    assert pages(f"{URL}?limit=3") == [newest[:3], newest[3:6], newest[6:]]
    assert pages(f"{URL}?limit=4") == [newest[:4], newest[4:]]
    assert pages(f"{URL}?cursor={newest[6]}") == [newest[7:]]
    for unknown in (uuid4(), incoming.uuid, others.uuid):
        assert pages(f"{URL}?cursor={unknown}") == [[]]
    Assignment.objects.filter(number=shared, user=alice).delete()
    assert [item["id"] for item in get(URL, token).json()["results"]] == newest[1:]


@pytest.mark.parametrize(
    "query",
    ["cursor=1", "cursor=%FF", "limit=0", "limit=501", "limit=x", "limit=" + "9" * 99],
)
def test_bad_pages(token: str, query: str) -> None:
    answer = get(f"{URL}?{query}", token)
    assert refusal(answer) == (400, "malformed", None)
    assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_the_numbers_are_those_that_the_user_sends_from(
    token: str, bob: User, charlie: User, private: Number, shared: Number
) -> None:
    Number.objects.filter(pk=private.pk).update(display_name="Front desk")
    front = {
        "number": private.number,
        "kind": "e164",
        "name": "Front desk",
        "country": "AU",
        "organization": "acme.example",
    }
    both = {**front, "number": shared.number, "name": None}
    assert get(NUMBERS, token).json() == {"results": [front, both]}
    assert get(NUMBERS, issue(bob)).json()["results"] == [both]
    assert get(NUMBERS, issue(charlie)).json()["results"] == []
    Number.objects.update(active=False)
    assert get(NUMBERS, token).json()["results"] == []


def test_too_many_requests_of_a_user(token: str, alice: User, bob: User, settings: Any) -> None:
    settings.API_PER_MINUTE = 3
    with time_machine.travel("2026-11-24 09:30:20+00:00", tick=False) as clock:
        assert [send(token).status_code, see(token, uuid4()).status_code] == [202, 404]
        assert get(NUMBERS, issue(alice, "Another")).status_code == 200
        for answer in (send(token), get(NUMBERS, token), send_batch(token, [HELLO])):
            assert refusal(answer) == (429, "too-many-requests", None)
            assert answer["Retry-After"] == "40"
        assert get(NUMBERS, issue(bob)).status_code == 200
        assert Client().get("/api/v1/openapi.json").status_code == 200
        clock.shift(40)
        assert send(token).status_code == 202
    settings.API_PER_MINUTE = 0
    assert [send(token).status_code for _ in range(5)] == [202] * 5
    assert Message.objects.count() == 7


@pytest.mark.parametrize(
    "guess", ["Bearer pb_x", f"Bearer pb_{'x' * 43}", "Bearer", "Basic YTpi", "Token x", "Bearer pb_\xff"]
)
def test_too_many_wrong_credentials_from_one_address(token: str, settings: Any, guess: str) -> None:
    settings.API_PER_MINUTE = 0  # this limit is another
    with time_machine.travel("2026-11-24 09:30:20+00:00", tick=False):
        for status in [401] * 30 + [429] * 2:
            answer = Client().get(NUMBERS, headers={"Authorization": guess})
            assert answer.status_code == status
        assert (answer["Retry-After"], "WWW-Authenticate" in answer) == ("40", False)
        other = Client(REMOTE_ADDR="192.0.2.7").get(NUMBERS, headers=bearer("pb_"))
        assert other.status_code == 401
        assert get(NUMBERS, token).status_code == 200


@pytest.mark.parametrize(
    ("header", "error"), [("Basic YTpi", ""), ("Bearer pb_x", ', error="invalid_token"')]
)
def test_what_a_challenge_says(db: None, header: str, error: str) -> None:
    answer = Client().get(NUMBERS, headers={"Authorization": header})
    assert answer["WWW-Authenticate"] == f'Bearer realm="Patchbay"{error}'


def test_the_description_names_what_there_is() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer["Content-Type"] == "application/json"
    document = answer.json()
    schemas = document["components"]["schemas"]
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api/v1"}]
    assert {path: [*methods] for path, methods in document["paths"].items()} == {
        "/messages": ["get", "post"],
        "/messages/batch": ["post"],
        "/messages/{id}": ["get"],
        "/messages/{id}/cancel": ["post"],
        "/numbers": ["get"],
    }
    assert schemas["ProblemType"]["enum"] == [kind.type for kind in KINDS]
    assert schemas["Status"]["enum"] == [status.name.lower() for status in Status]
    assert sorted(schemas["NewMessage"]["properties"]) == ["from", "send_at", "text", "to"]
    assert schemas["NewMessage"]["properties"]["text"]["maxLength"] == MAX_TEXT
    assert Client().head("/api/v1/openapi.json").status_code == 200


def test_the_description_is_made_for_many_at_one_moment() -> None:
    program = """
import django
django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.test import Client
with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(lambda _: Client().get("/api/v1/openapi.json", SERVER_NAME="localhost"), range(8)))
print({(answer.status_code, len(answer.content)) for answer in answers})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == str({(200, len(Client().get("/api/v1/openapi.json").content))}) + "\n", done.stderr


def test_the_description_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert capsys.readouterr().out.startswith("openapi: 3.1.0\n")


def test_examples_of_the_description_are_as_it_says() -> None:
    document, tried = description(), 0
    for operation in (item for methods in document["paths"].values() for item in methods.values()):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in part.get("content", {}).values():
                schema = {**content["schema"], "components": document["components"]}
                for example in content.get("examples", {}).values():
                    Draft202012Validator(schema, format_checker=formats).validate(example["value"])
                    tried += 1
    assert tried > 20


def test_the_page_to_try_it_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/v1/docs")
    html = page.content.decode()
    assert page["Content-Security-Policy"] == STRICT
    assert "//" not in html.replace("<!DOCTYPE html>", "")
    assert "<style" not in html and "<script>" not in html
    assert b"/api/v1/openapi.json" in Client().get("/api/v1/docs?script=").content


def test_a_key_sends_once_although_the_secret_key_was_rotated(token: str, settings: Any) -> None:
    first = send(token, key="order-1")
    batch = send_batch(token, [HELLO | {"text": "One"}, HELLO | {"text": "Two"}], key="orders")
    old, settings.SECRET_KEY = settings.SECRET_KEY, "a-new-secret-key-that-is-long-enough-0123456789abcdef"
    settings.SECRET_KEY_FALLBACKS = [old]
    again = send(token, key="order-1")
    assert (again.json()["id"], again["Idempotency-Replayed"]) == (first.json()["id"], "true")
    longer = [HELLO | {"text": text} for text in ("One", "Two", "Three")]
    results = send_batch(token, longer, key="orders").json()["results"]
    assert [item["message"]["id"] for item in results[:2]] == [
        item["message"]["id"] for item in batch.json()["results"]
    ]
    assert Message.objects.count() == 4
    # What is sent anew is found by the new key alone, once the old one is gone.
    settings.SECRET_KEY_FALLBACKS = []
    assert send_batch(token, longer, key="orders").json()["results"][2] == results[2]


@pytest.fixture
def grouping(token: str, private: Number, monkeypatch: pytest.MonkeyPatch) -> Number:
    """Alice's number, as if its provider could send to groups."""
    monkeypatch.setattr(Number, "sends_to_groups", True)
    return private


def test_a_list_is_a_group(token: str, grouping: Number) -> None:
    both = "+61412345678, +61498765432"
    wanted = {**HELLO, "to": ["0498 765 432", CONTACT, "+61 412 345 678"]}
    first = send(token, wanted, key="one")
    assert (first.status_code, first.json()["to"]) == (202, both)
    again = send(token, {**wanted, "to": [CONTACT, "+61498765432"]}, key="one")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert send(token, {**wanted, "to": [CONTACT]}, key="one").status_code == 422
    assert send(token, {**wanted, "to": [CONTACT]}).json()["to"] == CONTACT
    assert Message.objects.filter(conversation__contact__is_group=True).count() == 1


@pytest.mark.parametrize(
    ("to", "status", "said"),
    [
        ([], 400, "A list has 1 to 50 recipients."),
        ([CONTACT] * 51, 400, "A list has 1 to 50 recipients."),
        ([CONTACT, 1], 400, "This is neither a text nor a list of texts."),
        ([[CONTACT]], 400, "This is neither a text nor a list of texts."),
        ({"a": CONTACT}, 400, "This is neither a text nor a list of texts."),
        ([CONTACT, "the dentist"], 422, "“the dentist” is not a phone number"),
        ([CONTACT, "+61855555501"], 422, "+61855555501 is your own number."),
        ([CONTACT, "+61498765432"], 422, "has opted out of messages from this number."),
    ],
)
def test_lists_that_are_no_group(token: str, grouping: Number, to: Any, status: int, said: str) -> None:
    OptOut.objects.create(organization=grouping.organization, number=grouping, address="+61498765432")
    answer = send(token, {**HELLO, "to": to})
    assert (answer.status_code, answer.json()["pointer"]) == (status, "/to") and said in answer.json()[
        "detail"
    ]
    assert (Message.objects.count(), Contact.objects.count()) == (0, 0)


def test_a_provider_without_groups_gets_no_list(token: str) -> None:
    answer = send(token, {**HELLO, "to": [CONTACT, "+61498765432"]})
    assert answer.status_code == 422 and "cannot send to groups" in answer.json()["detail"]
    assert Message.objects.count() == 0
