"""A notice by mail is answered by mail: by its reader only, in time, and once."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from messaging.errors import Refused
from messaging.models import Assignment, Message, NoticeChoices, Number
from messaging.notices import mails, replies
from portal.models import Account, User
from tests.messaging.rules import CONTACT, receive


@pytest.fixture(autouse=True)
def mail_server(settings: Any) -> None:
    settings.EMAIL_HOST, settings.REPLY_ADDRESS = "mail.example", "reply@sms.example.com"


@pytest.fixture
def notice(private: Number, alice: User) -> Any:
    """What Alice gets when a contact has written."""
    NoticeChoices.objects.create(user=alice, mail="at_once")
    receive(private, "Are you open?")
    NoticeChoices.objects.update(mail_due_at=timezone.now() - timedelta(seconds=1))
    mails.send_due()
    return mail.outbox[0]


def answer(notice: Any, text: str = "Yes, until six.", **headers: str) -> bytes:
    found = EmailMessage()
    given = {
        "From": "Alice <alice@acme.example>",
        "To": notice.reply_to[0],
        "Subject": "Re: 1 message",
        "Message-ID": "<one@mail.example>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in given.items():
        if value:
            found[name] = value
    quoted = "\n".join(f"> {line}" for line in notice.body.splitlines())
    found.set_content(
        f"{text}\n\nOn 3 May 2026 at 10:00, Patchbay <patchbay@sms.example.com> wrote:\n{quoted}\n"
    )
    return found.as_bytes()


def sent() -> list[tuple[str, str]]:
    found = Message.objects.filter(direction="out").select_related("conversation__contact")
    return [(message.conversation.contact.address, message.text) for message in found]


def test_an_answer_is_sent_once_as_its_author_wrote_it(notice: Any, alice: User) -> None:
    raw = answer(notice, "Yes,\nuntil six.")
    first = replies.receive(raw)
    assert replies.receive(raw) == first  # the mail server hands it over again
    assert sent() == [(CONTACT, "Yes,\nuntil six.")]
    assert first.author == alice
    replies.receive(answer(notice, "And on Sunday.", Message_ID="<two@mail.example>"))
    assert len(sent()) == 2


def test_the_address_survives_mail_servers(notice: Any) -> None:
    local, domain = notice.reply_to[0].split("@")
    assert len(local) <= 64
    assert local == local.lower()
    replies.receive(answer(notice, To=f"{local.upper()}@{domain.upper()}"))
    assert sent() == [(CONTACT, "Yes, until six.")]


def test_the_address_may_be_given_by_the_mail_server(notice: Any) -> None:
    replies.receive(answer(notice, To="undisclosed@x.example"), notice.reply_to[0])
    assert sent() == [(CONTACT, "Yes, until six.")]


def test_a_mail_to_no_address_of_ours_is_not_even_read(notice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "_read", None)
    with pytest.raises(Refused, match="not one that Patchbay has given out"):
        replies.receive(answer(notice), forged(notice.reply_to[0]))


def forged(address: str) -> str:
    local, domain = address.split("@")
    name, token = local.split("+")
    return f"{name}+{'b' if token[8] == 'a' else 'a'}{token[1:]}@{domain}"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"From": "mallory@evil.example"}, "Only the person who got the notice"),
        ({"From": ""}, "Only the person who got the notice"),
        ({"To": "reply@sms.example.com"}, "not one that Patchbay has given out"),
        ({"To": "reply+abc@sms.example.com"}, "not one that Patchbay has given out"),
        ({"To": "reply+ä@sms.example.com"}, "not one that Patchbay has given out"),
        ({"To": "forged"}, "not one that Patchbay has given out"),
        ({"To": "elsewhere"}, "not one that Patchbay has given out"),
    ],
)
def test_others_are_refused(notice: Any, headers: dict[str, str], said: str) -> None:
    given = notice.reply_to[0]
    places = {"forged": forged(given), "elsewhere": given.replace("sms.example.com", "evil.example")}
    headers = {name: places.get(value, value) for name, value in headers.items()}
    with pytest.raises(Refused, match=said):
        replies.receive(answer(notice, **headers))
    assert sent() == []


def test_who_may_not_write_any_more_is_refused(notice: Any, alice: User) -> None:
    raw = answer(notice)
    Assignment.objects.all().delete()
    with pytest.raises(Refused, match="do not take part"):
        replies.receive(raw)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(Refused):
        replies.receive(raw)
    assert sent() == []


def test_who_must_set_up_a_second_factor_first_is_refused(
    notice: Any, settings: Any, account: Account
) -> None:
    Account.objects.filter(pk=account.pk).update(second_factor="everybody")
    with pytest.raises(Refused, match="set up a second factor first"):
        replies.receive(answer(notice))
    assert sent() == []


def test_an_old_address_is_refused(notice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + (replies.DAYS * 24 + 2) * 3600)
    with pytest.raises(Refused, match="too old"):
        replies.receive(answer(notice))
    assert sent() == []


BROKEN = {
    "a sender without an end": (b"From: a@[", b"Yes."),
    "recipients within each other": (b"To: " + b"(" * 2000, b"Yes."),
    "a long list of senders": (b"From: " + b"a," * 20_000, b"Yes."),
    "a part with a long header": (
        b"Content-Type: multipart/mixed; boundary=x",
        b"--x\nContent-Disposition: attachment; " + b"a=b; " * 5_000 + b"\n\nYes.\n--x--\n",
    ),
    "many parts within each other": (
        b"Content-Type: multipart/mixed; boundary=b0",
        b"".join(b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1) for n in range(900)),
    ),
    "HTML that is none": (b"Content-Type: text/html", b"<![" * 1000),
    "parts without end": (b"Content-Type: multipart/mixed; boundary=x", b"--x\n\nYes.\n" * 20_000),
    "parts with long headers": (
        b"Content-Type: multipart/mixed; boundary=x",
        (b"--x\rContent-Type: text/plain; " + b"a; " * 2_000 + b"\r\rYes.\r") * 10,
    ),
    "headers without end": (b"X-A: b\n" * 5_000 + b"X-B: c", b"Yes."),
    "recipients without end": ((b"Cc: " + b"c@d.example, " * 400 + b"\n") * 8 + b"X-A: b", b"Yes."),
    "a text without end": (b"X-A: b", b"Yes.\n" * 1_000_000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mail_is_refused(notice: Any, name: str) -> None:
    header, body = BROKEN[name]
    with pytest.raises(Refused, match="cannot be read"):
        replies.receive(header + b"\n\n" + body, notice.reply_to[0])
    assert sent() == []


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        (b"a\x00b", "Yes."),
        (b"zlib", "Yes."),
        (b"raw_unicode_escape", "Yes.?"),
    ],
)
def test_odd_character_sets_are_read_as_far_as_they_can(notice: Any, charset: bytes, text: str) -> None:
    body = b"Yes.\\ud800" if charset == b"raw_unicode_escape" else b"Yes."
    head = b"From: alice@acme.example\nMessage-ID: <\xff\x00>\nContent-Type: text/plain; charset="
    replies.receive(head + charset + b"\n\n" + body, notice.reply_to[0])
    assert sent() == [(CONTACT, text)]


def test_a_long_paragraph_above_the_quotation_takes_no_time(notice: Any) -> None:
    assert len(replies.answer_of("1" * 200_000 + "\n> quoted")) == 200_000


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"List_Id": "<x.example>"},
        {"Precedence": "bulk"},
        {"Precedence": "auto_reply"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
    ],
)
def test_automatic_mail_is_ignored(notice: Any, headers: dict[str, str]) -> None:
    with pytest.raises(replies.NotForUs):
        replies.receive(answer(notice, **headers))
    assert sent() == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Yes", "Yes"),
        ("Yes\r\n\r\nOn 3 May 2026, Ann <a@x.example> wrote:\r\n> Hi", "Yes"),
        ("Yes\n\nOn 3 May 2026 at 10:00, Ann\n<a@x.example> wrote:\n\n> Hi", "Yes"),
        ("Ja\n\nAm 03.05.26 um 10:00 schrieb Ann:\n> Hi", "Ja"),
        ("Yes\n\n-----Original Message-----\nFrom: a@x.example\nHi", "Yes"),
        ("Yes\n\n________________________________\nFrom: Ann <a@x.example>\nHi", "Yes"),
        ("Yes\n\nFrom: Ann <a@x.example>\nSent: Monday", "Yes"),
        ("Yes\n\n#### Write above this line to answer by text message.\n\nHi", "Yes"),
        ("Yes\n\n-- \nAlice\nAcme", "Yes"),
        ("On Sunday we are open from:\n\n10 to 6", "On Sunday we are open from:\n\n10 to 6"),
        ("Two\n\nparagraphs -- with dashes", "Two\n\nparagraphs -- with dashes"),
        ("> Hi\nYes below", ""),
        ("", ""),
    ],
)
def test_what_stands_above_the_quote_is_the_answer(text: str, found: str) -> None:
    assert replies.answer_of(text) == found


def test_an_answer_in_html_is_read_without_its_quote(notice: Any) -> None:
    found = EmailMessage()
    found["From"], found["To"] = "alice@acme.example", notice.reply_to[0]
    found.set_content(
        "<style>p {}</style><p>Yes, <b>until</b> six.</p><blockquote>Are you open?</blockquote>", "html"
    )
    replies.receive(found.as_bytes())
    assert sent() == [(CONTACT, "Yes, until six.")]


def test_a_mail_without_text_is_refused(notice: Any) -> None:
    with pytest.raises(Refused, match="no text"):
        replies.receive(answer(notice, ""))
    assert sent() == []


@pytest.mark.parametrize(
    "raw", [b"", b"\0\xff\xfe", b"To: " + b"a," * 5000, b"From: =?x?q?=\nTo: <<>>\n\n\xff"]
)
def test_junk_is_refused(db: None, raw: bytes) -> None:
    with pytest.raises(Refused):
        replies.receive(raw)


class Input:
    def __init__(self, raw: bytes) -> None:
        self.buffer = io.BytesIO(raw)


def run(monkeypatch: pytest.MonkeyPatch, raw: bytes, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.stdin", Input(raw))
    said = io.StringIO()
    try:
        call_command("receive_mail", *arguments, stderr=said)
    except SystemExit as end:
        return int(str(end.code)), said.getvalue()
    return 0, said.getvalue()


def test_the_command_says_to_the_mail_server_what_became_of_it(
    notice: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    assert run(monkeypatch, answer(notice)) == (0, "")
    assert sent() == [(CONTACT, "Yes, until six.")]
    assert run(monkeypatch, answer(notice, Auto_Submitted="auto-replied")) == (0, "")
    code, said = run(monkeypatch, answer(notice, From="mallory@evil.example"))
    assert code == os.EX_NOPERM
    assert "Only the person" in said
    settings.REPLY_ADDRESS = ""
    assert run(monkeypatch, answer(notice))[0] == os.EX_CONFIG
    assert len(sent()) == 1


def test_without_an_address_for_answers_none_is_given(private: Number, alice: User, settings: Any) -> None:
    settings.REPLY_ADDRESS = ""
    NoticeChoices.objects.create(user=alice, mail="at_once")
    receive(private, "Hi")
    NoticeChoices.objects.update(mail_due_at=timezone.now() - timedelta(seconds=1))
    mails.send_due()
    assert mail.outbox[0].reply_to == []
    assert "above this line" not in mail.outbox[0].body


def test_who_cannot_be_answered_has_no_address(private: Number, alice: User) -> None:
    NoticeChoices.objects.create(user=alice, mail="at_once")
    receive(private, "Your code is 1234", sender="ACME-BANK")
    NoticeChoices.objects.update(mail_due_at=timezone.now() - timedelta(seconds=1))
    mails.send_due()
    assert mail.outbox[0].reply_to == []
