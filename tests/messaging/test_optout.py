"""What STOP, START and HELP do, said by contacts or reported by services, in any order."""

from __future__ import annotations

import itertools
import json

import pytest

from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging import keywords
from messaging.inbound import file_events
from messaging.models import Message, Number, OptOut
from messaging.outbound import dispatch
from messaging.outbound.submit import Refused, submit
from messaging.rules import optout
from messaging.statuses import Status
from portal.models import User
from tests.messaging.rules import CONTACT, accept, answers, receive

STOPPED = "Acme: You have opted out of messages from this number. Reply START to opt in again."
HELPED = "Acme: Reply to this number and we will help you. Reply STOP to opt out of messages."


def opted_out() -> bool:
    return OptOut.objects.filter(address=CONTACT).exists()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        *((word, "optOut") for word in sorted(keywords.STOP)),
        *((word.upper(), "optOut") for word in sorted(keywords.STOP)),
        ("  Stop\n", "optOut"),
        ("STOP!", "optOut"),
        ("“Stop.”", "optOut"),
        ("*stop*", "optOut"),
        ("Arrêt", "optOut"),
        ("ＳＴＯＰ", "optOut"),
        ("Stop 🙏", "optOut"),
        ("STOP ALL", "optOut"),
        ("opt-out", "optOut"),
        ("Opt Out!", "optOut"),
        ("un-stop", "optIn"),
        ("no more", "optOut"),
        ("please stop calling me tomorrow", ""),
        ("alto", ""),
        ("basta", "optOut"),
        ("BASTA.", "optOut"),
        ("start", "optIn"),
        ("Unstop", "optIn"),
        ("YES!", "optIn"),
        ("Help?", "help"),
        ("INFO", "help"),
        ("stop it", ""),
        ("don't stop", ""),
        ("stopp", ""),
        ("bus stop", ""),
        ("", ""),
        ("!", ""),
        ("stop" + "!" * 60, ""),
    ],
)
def test_the_whole_text_is_the_word(text: str, means: str) -> None:
    assert optout.keyword_meaning(text, Number(opt_out_keyword="Basta, No more")) == means


@pytest.mark.parametrize(
    ("text", "country", "languages", "means"),
    [
        ("ARRÊT", "FR", "", "optOut"),
        ("Aide", "FR", "", "help"),
        ("aide", "FR", "es", ""),
        ("Baja", "MX", "", "optOut"),
        ("ayuda", "US", "es", "help"),
        ("STOPP", "DE", "", "optOut"),
        ("hilfe", "AT", "", "help"),
        ("avsluta", "SE", "", "optOut"),
        ("hjalp", "SE", "", "help"),
        ("SAIR", "BR", "", "optOut"),
        ("alta", "ES", "", "optIn"),
        ("stop", "DE", "es", "optOut"),
        ("Stopp", "US", "de sv", "optOut"),
        ("stopp", "AU", "", ""),
        ("stopp", "", "xx", ""),
    ],
)
def test_languages_are_those_of_the_country_or_chosen(
    text: str, country: str, languages: str, means: str
) -> None:
    assert optout.keyword_meaning(text, Number(country=country, keyword_languages=languages)) == means


def test_the_words_of_a_language_have_one_meaning() -> None:
    for language in keywords.LANGUAGES:
        words = keywords.words([language])
        assert not words.stop & words.start
        assert not words.stop & words.help
        assert not words.start & words.help
    assert set(keywords.spoken_in("CH")) == {"de", "fr", "it"}


@pytest.mark.parametrize("text", ["hello", "", "?"])
def test_a_number_without_a_keyword_of_its_own(text: str) -> None:
    assert optout.keyword_meaning(text, Number(opt_out_keyword="")) == ""


def test_a_stop_holds_from_the_answer_on(private: Number, alice: User) -> None:
    accept(private, "Stop")
    assert (opted_out(), Message.objects.count()) == (True, 0)
    with pytest.raises(Refused, match="has opted out"):
        submit(alice, private, CONTACT, text="wait")
    assert Message.objects.count() == 0


def test_a_stop_is_filed_and_confirmed_once(private: Number, sandbox: Sandbox) -> None:
    receive(private, "Stop")
    receive(private, "STOP!!")
    texts = Message.objects.filter(direction="in").order_by("pk").values_list("text", "automatic")
    assert list(texts) == [("Stop", "opt-out"), ("STOP!!", "opt-out")]
    assert answers() == [("opt-out", STOPPED)]
    dispatch.drain()
    assert Message.objects.get(direction="out").status == Status.SENT
    assert sent(sandbox) == [STOPPED]


def sent(sandbox: Sandbox) -> list[str]:
    return [request.json["content"] for request in sandbox.received]


def test_what_waited_when_the_contact_stopped_is_not_sent(private: Number, alice: User) -> None:
    before = submit(alice, private, CONTACT, text="offer")
    receive(private, "stop")
    dispatch.drain()
    before.refresh_from_db()
    assert (before.status, before.status_text) == (
        Status.FAILED,
        "The contact has opted out of messages from this number.",
    )


ORDERS = [order for size in (1, 2, 3, 4) for order in itertools.product("S+", repeat=size)]


@pytest.mark.parametrize("order", [*ORDERS, tuple("xS+x"), tuple("SxS+")], ids="".join)
@pytest.mark.parametrize("filed", ["each", "together"])
def test_any_order_of_stop_and_start(private: Number, order: tuple[str, ...], filed: str) -> None:
    """The last word holds; each change from in to out is confirmed; a START that lifts nothing is a text."""
    texts = {"S": "STOP", "+": "START", "x": "hello"}
    out, changes, labels = False, 0, []
    for place, step in enumerate(order):
        accept(private, texts[step], f"m{place}")
        if filed == "each":
            file_events.drain()
        labels.append("opt-out" if step == "S" else "opt-in" if step == "+" and out else "")
        changes += step == "S" and not out
        out = {"S": True, "+": False}.get(step, out)
    file_events.drain()
    assert opted_out() is out
    received = Message.objects.filter(direction="in").order_by("pk")
    assert list(received.values_list("automatic", flat=True)) == labels
    expected = changes if filed == "each" or out else 0
    assert answers() == [("opt-out", STOPPED)] * expected


def test_the_copy_of_an_old_stop_changes_nothing(private: Number) -> None:
    receive(private, "STOP", "m1")
    receive(private, "START", "m2")
    receive(private, "STOP", "m1")
    assert (opted_out(), len(answers())) == (False, 1)


def test_a_confirmation_that_comes_too_late_is_not_sent(private: Number, sandbox: Sandbox) -> None:
    receive(private, "STOP")
    receive(private, "START")
    dispatch.drain()
    assert Message.objects.get(direction="out").status_text == "The contact has opted in again."
    assert sent(sandbox) == []


def test_other_numbers_and_contacts_are_not_touched(private: Number, shared: Number, alice: User) -> None:
    receive(private, "STOP")
    assert submit(alice, shared, CONTACT, text="hi").pk
    assert submit(alice, private, "+61412345679", text="hi").pk


def test_the_numbers_own_words(private: Number) -> None:
    Number.objects.update(opt_out_keyword="Basta!", opt_out_answer="Gone.", help_answer="Call 101.")
    receive(private, "help")
    receive(private, "basta")
    assert answers() == [("help", "Call 101."), ("opt-out", "Gone.")]


def test_help_names_the_organization_and_is_given_once_in_five_minutes(private: Number) -> None:
    receive(private, "HELP")
    receive(private, "info?")
    assert answers() == [("help", HELPED)]


def test_help_is_answered_after_a_stop_too(private: Number, sandbox: Sandbox) -> None:
    receive(private, "STOP")
    receive(private, "HELP")
    dispatch.drain()
    assert sent(sandbox) == [STOPPED, HELPED]


def test_who_cannot_be_answered_is_blocked_without_a_word(private: Number) -> None:
    receive(private, "STOP", sender="12345")
    assert (OptOut.objects.get().address, answers()) == ("12345", [])


def test_what_the_service_refuses_for_an_opt_out_is_one_here_too(
    private: Number, alice: User, sandbox: Sandbox
) -> None:
    source = {
        "id": "own",
        "name": "Own",
        "API": {
            "SendMessage": {
                "request_url": sandbox.api_url,
                "response_errors": [{"when": {"$response.error$": True}, "result": "opted_out"}],
            }
        },
    }
    template = Template(account=private.account)
    template.revise(json.dumps(source))
    Number.objects.update(
        integration=Integration.objects.create(organization=private.organization, template=template)
    )
    message = submit(alice, private, CONTACT, text="hi")
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, opted_out()) == (Status.FAILED, True)
    with pytest.raises(Refused, match="has opted out"):
        submit(alice, private, CONTACT, text="again")
