"""Programs send with a token: what is taken, what is refused and how, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from messaging.api import messages, problems
from messaging.models import Assignment, Contact, Conversation, Message, Number, OptOut
from messaging.outbound import submit
from messaging.outbound.submit import MAX_TEXT
from messaging.statuses import Direction, Status
from portal import memory, tokens
from portal.middleware import STRICT
from portal.models import Membership, Organization, PersonalToken, User
from tests.messaging.schemas import check, resolved
from tests.messaging.test_door import call

URL = "/api/v1/messages"
CONTACT = "+61412345678"
HELLO = {"from": "+61855555501", "to": CONTACT, "text": "Hello"}


@pytest.fixture
def token(alice: User, private: Number) -> str:
    """Alice's, who has a number of her own."""
    return tokens.make(alice, "Reminders")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def send(token: str, body: Any = HELLO, key: str | None = None, client: Client | None = None) -> Any:
    headers = bearer(token) | ({} if key is None else {"Idempotency-Key": key})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return described((client or Client()).post(URL, content, "application/json", headers=headers))


def see(token: str, uuid: Any) -> Any:
    return described(Client().get(f"{URL}/{uuid}", headers=bearer(token)))


def described(answer: Any) -> Any:
    """The answer, which is as the description says."""
    description = Client().get("/api/v1/openapi.json").json()
    method, path = answer.request["REQUEST_METHOD"].lower(), answer.request["PATH_INFO"]
    where = "/messages" if path == URL else "/messages/{id}"
    said = description["paths"][where][method]["responses"][str(answer.status_code)]
    said = resolved(said["$ref"], description) if "$ref" in said else said
    (kind,) = said["content"]
    assert answer["Content-Type"] == kind
    check(answer.json(), said["content"][kind]["schema"], description)
    return answer


def stored() -> list[int]:
    return [model.objects.count() for model in (Message, Contact, Conversation)]


def refusal(answer: Any) -> tuple[int, str, str | None]:
    """Status, type and pointer of a problem."""
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, body["type"].rpartition(":")[2], body.get("pointer")


def test_a_message_is_sent_and_seen(token: str, alice: User, private: Number) -> None:
    answer = send(token, {**HELLO, "to": "0412 345 678", "text": "one\r\n🙂 \0 \ud83d"})
    message = Message.objects.get()
    text = "one\n🙂 � �"
    assert (answer.status_code, answer.json()) == (
        202,
        {"id": str(message.uuid), "status": "queued", "from": "+61855555501", "to": CONTACT, "text": text},
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
        theirs = tokens.make(user, "Looks")
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


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        (_revoked, 401, "not valid"),
        (_deactivated, 401, "not valid"),
        (_blocked, 422, "You do not send through this number"),
        (_unassigned, 422, "You do not send through this number"),
        (_inactive, 422, "You do not send through this number"),
    ],
)
def test_a_token_may_what_its_user_may(
    token: str, alice: User, change: Callable[[User], None], status: int, detail: str, warm: bool
) -> None:
    """Also when token and number are remembered from a moment ago."""
    assert send(token).status_code == 202
    change(alice)
    if not warm:
        memory.forget()
    before = stored()
    answer = send(token, {**HELLO, "to": "+61412345679"})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert stored() == before


def test_others_do_not_send_through_a_number(private: Number, bob: User, charlie: User) -> None:
    for user in (bob, charlie):
        answer = send(tokens.make(user, "Mine"))
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
        (b" ", (400, "malformed", None)),
        (b"{", (400, "malformed", None)),
        (b"\xff", (400, "malformed", None)),
        (json.dumps(HELLO).encode("utf-16"), (400, "malformed", None)),
        (b"\xef\xbb\xbf{}", (400, "malformed", None)),
        (b"[" * 60_000, (400, "malformed", None)),
        (DEEP, (400, "malformed", None)),
        (b"NaN", (400, "malformed", None)),
        (b"9" * 60_000, (400, "malformed", None)),
        (b'{"text": ' + b"9" * 60_000 + b"}", (400, "malformed", None)),
        (b'{"text": 1e999}', (400, "malformed", "/from")),
        (b'{"to": "+61412345678", "to": "+61412345679"}', (400, "malformed", None)),
        ([HELLO], (400, "malformed", None)),
        ("text", (400, "malformed", None)),
        (None, (400, "malformed", None)),
        ({}, (400, "malformed", "/from")),
        ({**HELLO, "to": None}, (400, "malformed", "/to")),
        ({**HELLO, "to": [CONTACT]}, (400, "malformed", "/to")),
        ({**HELLO, "text": 12}, (400, "malformed", "/text")),
        ({**HELLO, "a/b~\ud800": 1}, (400, "malformed", "/a~1b~0\ud800")),
        ({**HELLO, "\0" * 99: 1}, (400, "malformed", "/" + "\0" * 40)),
        ({**HELLO, "from": ""}, (422, "refused", "/from")),
        ({**HELLO, "from": "\ud800\0"}, (422, "refused", "/from")),
        ({**HELLO, "from": "+61855555599"}, (422, "refused", "/from")),
        ({**HELLO, "from": "9" * 50_000}, (422, "refused", "/from")),
        ({**HELLO, "to": ""}, (422, "refused", "/to")),
        ({**HELLO, "to": "\ud800"}, (422, "refused", "/to")),
        ({**HELLO, "to": "you there, over the hill"}, (422, "refused", "/to")),
        ({**HELLO, "to": "+61855555501"}, (422, "refused", None)),
        ({**HELLO, "text": " \n"}, (422, "refused", None)),
        ({**HELLO, "text": "x" * (MAX_TEXT + 1)}, (422, "refused", None)),
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


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", f"{URL}/", f"{URL}/1", "/api/v1/nothing", "/api/v1/%00"]
)
def test_nothing_else_is_there(token: str, path: str) -> None:
    for method in ("get", "post", "delete"):
        answer = getattr(Client(), method)(path, headers=bearer(token))
        assert refusal(answer) == (404, "not-found", None)


def test_other_methods(token: str) -> None:
    for method, url, allowed in (
        ("get", URL, "POST"),
        ("put", URL, "POST"),
        ("delete", f"{URL}/{uuid4()}", "GET, HEAD"),
    ):
        answer = getattr(Client(), method)(url, headers=bearer(token))
        assert refusal(answer) == (405, "method-not-allowed", None)
        assert answer["Allow"] == allowed


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
    theirs = send(
        tokens.make(bob, "Also"), {**HELLO, "from": "+61855555502", "to": "+61412345679"}, key="order 7"
    )
    assert (theirs.status_code, "Idempotency-Replayed" in theirs) == (202, False)
    assert send(token, key="order 8", body={**HELLO, "to": "+61412345670"}).status_code == 202
    assert Message.objects.count() == 3


@pytest.mark.parametrize(("key", "status"), [("", 400), ("x" * 201, 400), ("x" * 200, 202), ('ü\x7f "', 202)])
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


def test_a_database_that_is_away(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(messages, "submit_soon", away)
    answer = send(token)
    assert refusal(answer) == (503, "unavailable", None)
    assert answer["Retry-After"] == "5"
    monkeypatch.setattr(tokens, "_look_up", away)
    memory.forget()
    assert refusal(send(token)) == (503, "unavailable", None)
    assert stored() == [0, 0, 0]


def test_what_a_submission_asks_the_database(token: str, alice: User, private: Number) -> None:
    """Not more than `submit`, which reads the message as well, while token and number are remembered."""

    def queries(function: Callable[[], Any]) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            function()
        return len(captured)

    def submitted() -> None:
        submit.submit(alice, private, CONTACT, text="Hello")

    submitted()
    alone = queries(submitted)
    client = Client()
    assert queries(lambda: _post(client, token)) == alone + 2  # the token, that it was used, and the number
    assert queries(lambda: _post(client, token)) == alone - 1
    assert queries(lambda: _post(client, token, {"Idempotency-Key": "1"})) == alone - 1
    uuid = Message.objects.latest("pk").uuid
    assert queries(lambda: client.get(f"{URL}/{uuid}", headers=bearer(token))) == 1


def _post(client: Client, token: str, headers: dict[str, str] | None = None) -> None:
    answer = client.post(URL, json.dumps(HELLO), "application/json", headers=bearer(token) | (headers or {}))
    assert answer.status_code == 202


def test_past_django(token: str) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    answer = call(URL, json.dumps(HELLO).encode(), headers=headers)
    uuid = Message.objects.get().uuid
    assert (answer.status, json.loads(answer.body)["id"]) == (202, str(uuid))
    assert answer.headers == {
        "content-type": "application/json",
        "content-security-policy": STRICT,
        "x-content-type-options": "nosniff",
        "location": f"{URL}/{uuid}",
    }
    for allowed, status in ((headers, 200), ({}, 401)):
        head = call(f"{URL}/{uuid}", method="HEAD", headers=allowed)
        assert (head.status, head.body) == (status, b"")
    assert call(URL, None, headers=headers).status == 413
    assert Message.objects.count() == 1


def test_the_description_names_what_there_is() -> None:
    description = Client().get("/api/v1/openapi.json").json()
    schemas = description["components"]["schemas"]
    assert schemas["Problem"]["properties"]["type"]["enum"] == [kind.type for kind in problems.KINDS]
    assert sorted(schemas["Status"]["enum"]) == sorted(status.name.lower() for status in Status)
    assert tuple(schemas["NewMessage"]["properties"]) == messages.FIELDS
    assert schemas["NewMessage"]["properties"]["text"]["maxLength"] == MAX_TEXT
