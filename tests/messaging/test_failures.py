"""Why a text has not arrived: plain words in the inbox, whatever a provider answered."""

from __future__ import annotations

import pytest

from messaging.inbox import failures
from messaging.models import Message, Number
from messaging.outbound.submit import submit
from messaging.statuses import Direction, QueueState, Status
from portal.models import User
from tests.messaging.test_inbox import CONTACT, signed_in

RAW = "The provider responded with status 400: "


@pytest.mark.parametrize(
    ("code", "text", "beginning"),
    [
        ("21610", "Attempt to send to unsubscribed recipient", "The contact does not want messages"),
        ("", "+61412345678 has opted out of messages from this number.", "The contact does not want"),
        ("", RAW + '{"error": "Recipient is on the stop list"}', "The contact does not want messages"),
        ("", "Not sent before it expired.", "It could not be sent in time"),
        (
            "",
            "Not sent before it expired. The last attempt: <html>502</html>",
            "It could not be sent in time",
        ),
        ("20003", "Authenticate", "The connection to the provider must be corrected"),
        ("", "The provider responded with status 401: no", "The connection to the provider must be"),
        ("", RAW + '{"detail":"insufficient balance"}', "Your organization’s account at the provider"),
        ("", RAW + "Message body exceeds maximum length of 1600", "It is too large for the provider."),
        ("", RAW + '{"message":"Invalid destination number"}', "Texts cannot be sent to this number."),
        ("", RAW + "The number +61400000000 is a landline.", "Texts cannot be sent to this number."),
        ("", "The carrier rejected the message as spam.", "The carrier rejected the message as spam."),
        ("", RAW + "The carrier rejected the message as spam.", "The carrier rejected the message as spam."),
        ("", RAW + '{"code": 17, "why": "carrier said no"}', "The provider refused it."),
        ("", RAW + "<html><body>Bad Request</body></html>", "The provider refused it."),
        ("", RAW + "See https://example.com/errors for more.", "The provider refused it."),
        ("", RAW + "error code=17 reason=9", "The provider refused it."),
        ("", RAW + "The field sender_id was rejected.", "The provider refused it."),
        ("", "The provider responded with status 400.", "The provider refused it."),
        ("", "E17", "The provider refused it."),
        ("", "It was rejected " + "again and " * 20 + "again.", "The provider refused it."),
        ("", "", "The provider refused it."),
    ],
)
def test_a_failure_in_plain_words(code: str, text: str, beginning: str) -> None:
    message = Message(
        direction=Direction.OUT,
        status=Status.FAILED,
        queue_state=QueueState.DONE,
        status_code=code,
        status_text=text,
    )
    assert failures.why(message).startswith(beginning)
    assert not set("{}<>_=") & set(failures.why(message))


@pytest.mark.parametrize(
    ("fields", "beginning"),
    [
        ({"status": Status.UNKNOWN, "queue_state": QueueState.DONE}, "The provider did not answer. Ask"),
        (
            {"status": Status.SENDING, "attempts": 1, "status_text": RAW + "busy"},
            "The provider could not take",
        ),
        (
            {"status": Status.SENDING, "attempts": 1, "status_text": "status 401"},
            "The connection to the prov",
        ),
        ({"status": Status.QUEUED}, ""),
        ({"status": Status.DELIVERED, "queue_state": QueueState.DONE, "status_text": "ok {}"}, ""),
        ({"direction": Direction.IN, "status": Status.FAILED, "status_text": "no"}, ""),
    ],
)
def test_what_is_said_of_other_states(fields: dict[str, object], beginning: str) -> None:
    said = failures.why(Message(**{"direction": Direction.OUT, **fields}))
    assert said.startswith(beginning) if beginning else said == ""


def test_the_thread_never_shows_a_raw_answer(shared: Number, alice: User, bob: User) -> None:
    message = submit(alice, shared, CONTACT, text="Hi")
    raw = 'The provider responded with status 500: {"api_key": "PATCHBAY_SETTING", "html": "<b>"}'
    Message.objects.filter(pk=message.pk).update(
        status=Status.FAILED, queue_state=QueueState.DONE, status_text=raw, status_code="E_1"
    )
    for user in (alice, bob):
        page = signed_in(user).get(f"/inbox/{message.conversation_id}/").content.decode()
        assert "PATCHBAY_SETTING" not in page and "E_1" not in page and "status 500" not in page
        assert "Send again" in page
