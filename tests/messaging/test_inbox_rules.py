"""What the inbox says of opt-outs, automatic answers, headers and resent messages."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from messaging.models import AutoReply, Conversation, Message, Number, OptOut
from messaging.outbound.submit import submit
from messaging.statuses import QueueState, Status
from portal.models import User
from tests.messaging.rules import CONTACT, receive


def text_of(page: bytes) -> str:
    """The page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.decode()))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def opened(client: Client) -> str:
    url = reverse("conversation", args=[Conversation.objects.get().pk])
    return text_of(client.get(url).content)


def test_a_stop_is_noted_and_a_start_too(private: Number, alice: User) -> None:
    client = signed_in(alice)
    receive(private, "STOP", "m1")
    page = opened(client)
    assert "The contact has opted out of messages from this number." in page
    assert "has opted out: nothing is sent until they text START" in page
    assert "Auto-reply" in page
    receive(private, "START", "m2")
    page = opened(client)
    assert "The contact has opted in again." in page
    assert "has opted out: nothing is sent" not in page


def test_the_list_names_an_automatic_answer(private: Number, alice: User) -> None:
    AutoReply.objects.create(number=private, keyword="*", text="Welcome")
    receive(private, "hello")
    assert "Auto-reply: Welcome" in text_of(signed_in(alice).get(reverse("inbox")).content)


def test_what_is_added_is_shown_where_it_is_written(private: Number, alice: User) -> None:
    Number.objects.update(header='<b>"Acme"</b>', footer="Bye")
    submit(alice, private, CONTACT, text="hi")
    client = signed_in(alice)
    url = reverse("conversation", args=[Conversation.objects.get().pk])
    for page in (client.get(url).content.decode(), client.get(reverse("inbox_new")).content.decode()):
        assert 'data-header="&lt;b&gt;&quot;Acme&quot;&lt;/b&gt;" data-footer="Bye"' in page
        assert "“&lt;b&gt;&quot;Acme&quot;&lt;/b&gt;” above and “Bye” below" in page


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_pressing_send_again_twice_shows_the_copy(private: Number, alice: User, presses: int) -> None:
    message = submit(alice, private, CONTACT, text="once more")
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    client = signed_in(alice)
    assert "Send again" in opened(client)
    for _press in range(presses):
        answer = client.post(reverse("inbox_resend", args=[message.uuid]), headers={"HX-Request": "true"})
        assert answer.status_code == 200
    page = text_of(answer.content)
    assert (page.count("once more"), "sent again below" in page, "Send again" in page) == (2, True, False)
    assert Message.objects.count() == 2


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_why_it_is_not_sent_again_is_said(private: Number, alice: User, headers: dict[str, str]) -> None:
    message = submit(alice, private, CONTACT, text="once more")
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    OptOut.objects.create(organization=private.organization, number=private, address=CONTACT)
    answer = signed_in(alice).post(reverse("inbox_resend", args=[message.uuid]), headers=headers)
    assert (answer.status_code, "opted out" in text_of(answer.content)) == (422, True)
    assert Message.objects.count() == 1


def test_strangers_and_colleagues_resend_nothing(
    private: Number, alice: User, bob: User, charlie: User
) -> None:
    message = submit(alice, private, CONTACT, text="mine")
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    for user in (bob, charlie):
        answer = signed_in(user).post(reverse("inbox_resend", args=[message.uuid]))
        assert answer.status_code == 404
    assert Message.objects.count() == 1
