"""Providers that call nobody are polled: what they say is filed once, whatever happens in between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from django.db import OperationalError, transaction
from django.utils import timezone

from integrations import calls, holds, media_access, properties
from integrations.events import to_json
from integrations.models import AccessToken, Integration, Poll, Template
from messaging import alerts
from messaging.engine import circuit_breaker
from messaging.engine.sweep import due_tasks
from messaging.inbound import file_events, poll, reprocess
from messaging.models import Message, Number, WebhookEvent, WebhookRequest
from messaging.statuses import Verdict
from messaging.wakeups import Task
from messaging.webhooks import rows, store
from portal.models import Account, Organization, User
from tests.local_server import LocalServer

pytestmark = pytest.mark.django_db(transaction=True)

CONTACT, OURS = "+61412345678", "+61855555501"
MESSAGE = {"id": "$messageid$", "from": "$from$", "to": "$to$", "text": "$content$"}
EVENTS: list[dict[str, Any]] = [
    {"event_type": "message", "request_parameters": {"next": "$cursor?$", "messages": [MESSAGE]}}
]

Answer = Callable[[dict[str, str]], tuple[int, dict[str, str], Any]]


class Provider(LocalServer):
    """A provider with an inbox, of which each answer shows two messages after the cursor."""

    def __init__(self) -> None:
        self.inbox: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.keys: list[str] = []
        self.answer: Answer = self.page
        super().__init__()

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(query)
        self.keys.append(headers.get("Authorization", ""))
        status, more, said = self.answer(query)
        return status, more, said if isinstance(said, bytes) else json.dumps(said).encode()

    def page(self, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        begin = int(query.get("since", 0))
        found = self.inbox[begin : begin + 2]
        return 200, {}, {"messages": found, **({"next": begin + len(found)} if found else {})}

    def text(self, words: str, **more: Any) -> None:
        """A contact writes to our number."""
        self.inbox.append({"id": f"m{len(self.inbox)}", "from": CONTACT, "to": OURS, "text": words} | more)


def document(origin: str, events: list[dict[str, Any]], **method: Any) -> str:
    receive = {
        "request_method": "GET",
        "request_url": f"{origin}/inbox",
        "request_query": {"since": "$cursor$"},
        "events": events,
        **method,
    }
    made = {
        "id": "polled",
        "name": "Polled SMS",
        "properties": ["API key"],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {"ReceiveMessages": receive},
    }
    return json.dumps(made)


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    settings.WEBHOOK_CACHE_SECONDS = 0
    made = Provider()
    settings.PATCHBAY_ALLOWED_ORIGINS = [made.origin]
    yield made
    made.stop()


@pytest.fixture
def polled(provider: Provider, account: Account, acme: Organization) -> Integration:
    template = Template(account=account)
    template.revise(document(provider.origin, EVENTS))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API key": "secret-key-1"})
    Number.objects.create(organization=acme, integration=integration, number=OURS, country="AU")
    return integration


def revise(polled: Integration, provider: Provider, events: list[dict[str, Any]], **method: Any) -> None:
    polled.template.revise(document(provider.origin, events, **method))


def later() -> None:
    """The time of the next poll has come."""
    Poll.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    poll.drain()
    file_events.drain()


def texts() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("text", flat=True))


def row() -> Poll:
    return Poll.objects.get()


def test_what_has_arrived_is_filed_page_by_page(provider: Provider, polled: Integration) -> None:
    for number in range(5):
        provider.text(f"text {number}")
    assert Task.POLL_SERVICES in due_tasks()[0]
    poll.drain()
    file_events.drain()
    assert texts() == [f"text {number}" for number in range(5)]
    assert provider.asked == [{}, {"since": "2"}, {"since": "4"}, {"since": "5"}]
    assert set(provider.keys) == {"Bearer secret-key-1"}
    assert row().cursor == "5" and row().polled_at is not None and row().failures == 0
    assert 55 < (row().due_at - timezone.now()).total_seconds() < 61  # type: ignore[operator]
    assert Task.POLL_SERVICES not in due_tasks()[0]
    # The empty answer is kept nowhere; each of the others is shown like a webhook's request.
    requests = list(WebhookRequest.objects.order_by("pk"))
    assert [(item.verdict, item.polled, item.method, item.place) for item in requests] == [
        ("accepted", True, "GET", f"{provider.origin}/inbox")
    ] * 3
    assert requests[0].organization == polled.organization


def test_what_a_provider_repeats_is_filed_once(provider: Provider, polled: Integration) -> None:
    provider.answer = lambda query: (200, {}, {"messages": provider.inbox})
    provider.text("one")
    provider.text("two")
    later()
    later()
    WebhookRequest.objects.all().delete()  # retention
    later()
    assert texts() == ["one", "two"]
    provider.text("three")
    later()
    assert texts() == ["one", "two", "three"]
    assert WebhookRequest.objects.count() == 1


def test_texts_without_an_id_are_told_apart_by_content_and_cursor(
    provider: Provider, polled: Integration
) -> None:
    shape = {key: value for key, value in MESSAGE.items() if key != "id"}
    events = [{"event_type": "message", "request_parameters": {"next": "$cursor?$", "messages": [shape]}}]
    revise(polled, provider, events)
    provider.text("yes")
    provider.text("yes")
    later()
    assert texts() == ["yes", "yes"]
    provider.text("yes")
    later()
    assert texts() == ["yes", "yes", "yes"]
    provider.answer = lambda query: (200, {}, {"messages": provider.inbox})
    later()
    seen = len(texts())
    later()
    assert len(texts()) == seen


@pytest.mark.parametrize(
    "written",
    [
        lambda event: {"kind": "message", **dataclasses.asdict(event)},  # what has its default, too
        lambda event: {**to_json(event), "new_in_a_later_version": "said"},
    ],
)
def test_a_text_without_an_id_is_known_to_a_version_that_stores_events_in_another_way(
    provider: Provider,
    polled: Integration,
    monkeypatch: pytest.MonkeyPatch,
    written: Callable[[Any], dict[str, Any]],
) -> None:
    shape = {key: value for key, value in MESSAGE.items() if key != "id"}
    revise(polled, provider, [{"event_type": "message", "request_parameters": {"messages": [shape]}}])
    provider.answer = lambda query: (200, {}, {"messages": provider.inbox})
    provider.text("yes")
    later()
    monkeypatch.setattr(rows, "to_json", written)
    later()
    assert texts() == ["yes"]
    assert WebhookEvent.objects.count() == 1
    provider.text("no")
    Poll.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    poll.drain()
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
def test_a_cursor_that_no_database_takes_loses_no_message(
    provider: Provider, polled: Integration, odd: str
) -> None:
    provider.text("one")
    provider.answer = lambda query: (200, {}, {"messages": provider.inbox, "next": f"a{odd}"})
    later()
    assert (texts(), row().cursor, row().failures) == (["one"], "a\ufffd", 0)


def test_nothing_is_lost_or_doubled_between_answer_and_commit(
    provider: Provider, polled: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.text("one")
    provider.text("two")

    def dies(*args: Any) -> Any:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "insert_events", dies)
        with pytest.raises(OperationalError):
            poll.drain()
    assert (texts(), row().cursor, row().seen, WebhookRequest.objects.count()) == ([], "", [], 0)
    poll.drain()
    assert len(provider.asked) == 1  # as long as the lease may be that of a process which lives
    Poll.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    later()
    assert texts() == ["one", "two"]
    assert provider.asked[:2] == [{}, {}]
    later()
    assert texts() == ["one", "two"]


def test_an_answer_that_comes_after_the_lease_is_stored_but_moves_no_cursor(
    provider: Provider, polled: Integration
) -> None:
    provider.text("one")

    def late(query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        Poll.objects.update(fence=99, cursor="elsewhere")
        provider.answer = provider.page
        return provider.page(query)

    provider.answer = late
    poll.drain()
    file_events.drain()
    assert (texts(), row().cursor, row().fence) == (["one"], "elsewhere", 99)


@pytest.mark.parametrize("state", [{"enabled": False}, {"holds_messages": True}, {"paused_until": "later"}])
def test_an_integration_that_is_off_held_or_paused_is_not_polled(
    provider: Provider, polled: Integration, state: dict[str, Any]
) -> None:
    if "paused_until" in state:
        state = {"paused_until": timezone.now() + timedelta(seconds=60)}
    Integration.objects.update(**state)
    later()
    assert provider.asked == [] and Task.POLL_SERVICES not in due_tasks()[0]


def test_refused_credentials_pause_the_integration_until_a_poll_succeeds(
    provider: Provider, polled: Integration
) -> None:
    provider.answer = lambda query: (401, {}, {"error": "wrong key"})
    later()
    polled.refresh_from_db()
    assert polled.paused_until is not None and "401" in polled.problem
    later()
    assert len(provider.asked) == 1
    provider.answer = provider.page
    provider.text("at last")
    Integration.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    later()
    polled.refresh_from_db()
    assert (texts(), polled.paused_until, polled.problem) == (["at last"], None, "")


def test_many_are_not_polled_at_once_when_they_are_loaded(
    provider: Provider, polled: Integration, account: Account
) -> None:
    revise(polled, provider, EVENTS, interval=100)
    for number in range(9):
        organization = Organization.objects.create(account=account, name="O", domain=f"o{number}.example")
        Integration.objects.create(organization=organization, template=polled.template)
    Poll.objects.update(due_at=timezone.now() - timedelta(hours=1), failures=3)
    began = timezone.now()
    calls.plan(Integration.objects.all())
    due = sorted((at - began).total_seconds() for at in Poll.objects.values_list("due_at", flat=True))  # type: ignore[operator]
    fifths = [int(seconds // 20) for seconds in due]
    assert sorted(set(fifths)) == [0, 1, 2, 3, 4] and max(map(fifths.count, fifths)) <= 3
    assert due[0] < 5 and set(Poll.objects.values_list("failures", flat=True)) == {0}


def refuse(provider: Provider) -> None:
    provider.answer = lambda query: (401, {}, {"error": "wrong key"})


def message_outcome(polled: Integration, result: str, *, probing: bool = False) -> None:
    tally = circuit_breaker.Tally()
    tally.add(
        result,
        'The provider responded with status 401: {"error": "wrong key"}',
        probing=probing,
        renewing=False,
    )
    with transaction.atomic():
        circuit_breaker.record({polled.pk: tally})


def end_the_pause() -> None:
    Integration.objects.update(paused_until=timezone.now() - timedelta(seconds=1))


def test_a_message_that_is_sent_does_not_hide_that_polls_are_refused(
    provider: Provider, polled: Integration
) -> None:
    refuse(provider)
    later()
    message_outcome(polled, "sent")
    polled.refresh_from_db()
    assert (polled.paused_until, polled.trouble) == (None, "")
    assert "401" in polled.problem and polled.trouble_since is not None
    later()
    polled.refresh_from_db()
    assert (len(provider.asked), polled.paused_until) == (2, None)
    provider.answer = provider.page
    later()
    polled.refresh_from_db()
    assert (polled.problem, polled.trouble_since) == ("", None)


def test_a_poll_that_succeeds_does_not_hide_that_messages_are_refused(
    provider: Provider, polled: Integration
) -> None:
    refuse(provider)
    later()
    end_the_pause()
    message_outcome(polled, "unauthorized", probing=True)
    provider.answer = provider.page
    provider.text("meanwhile")
    later()
    assert texts() == []
    end_the_pause()
    later()
    polled.refresh_from_db()
    assert (texts(), polled.arrival_trouble) == (["meanwhile"], "")
    assert polled.paused_until is not None and polled.trouble_since is not None
    assert "401" in polled.trouble
    provider.text("it goes on")
    later()
    assert texts() == ["meanwhile", "it goes on"]


def test_whoever_is_told_that_messages_are_sent_again_hears_that_nothing_arrives(
    provider: Provider, polled: Integration, admin_of_acme: User
) -> None:
    refuse(provider)
    later()
    message_outcome(polled, "sent")
    alerts.send_due()
    (told,) = mail.outbox
    assert told.subject == "Nothing arrives from Polled SMS for Acme"
    assert "status 401" in str(told.body)


def test_a_template_that_polls_no_more_is_in_no_trouble(provider: Provider, polled: Integration) -> None:
    refuse(provider)
    later()
    made = json.loads(document(provider.origin, EVENTS))
    made["API"] = {"SendMessage": {"request_url": f"{provider.origin}/send", "request_parameters": "$text$"}}
    polled.template.revise(json.dumps(made))
    end_the_pause()
    later()
    polled.refresh_from_db()
    assert (polled.problem, row().problem, len(provider.asked)) == ("", "", 1)


def test_a_provider_that_asks_to_wait_is_left_alone_for_so_long(
    provider: Provider, polled: Integration
) -> None:
    provider.answer = lambda query: (429, {"Retry-After": "600"}, {})
    later()
    assert 590 < (row().due_at - timezone.now()).total_seconds() < 601  # type: ignore[operator]
    assert (row().failures, texts()) == (1, [])


def test_failures_are_retried_ever_later_and_shown_until_they_end(
    provider: Provider, polled: Integration
) -> None:
    provider.answer = lambda query: (503, {}, b"busy")
    waits = []
    for _ in range(8):
        later()
        waits.append((row().due_at - timezone.now()).total_seconds())  # type: ignore[operator]
    assert 45 < waits[0] < 73 and 90 < waits[1] < 145 and waits[-1] < 3600 * 1.2
    polled.refresh_from_db()
    assert "503" in polled.problem and polled.paused_until is None
    provider.answer = provider.page
    later()
    polled.refresh_from_db()
    assert (polled.problem, row().failures, row().problem) == ("", 0, "")


def test_an_answer_that_the_template_cannot_read_waits_in_quarantine(
    provider: Provider, polled: Integration
) -> None:
    provider.answer = lambda query: (
        200,
        {},
        {"items": [{"nr": 1, "who": CONTACT, "to": OURS, "body": "hi"}]},
    )
    later()
    later()
    kept = WebhookRequest.objects.get()
    assert (kept.verdict, kept.more, texts()) == (Verdict.UNMATCHED, 1, [])
    polled.refresh_from_db()
    assert polled.problem == "No event of the template matches the request."
    shape = {"nr": "$messageid$", "who": "$from$", "to": "$to$", "body": "$content$"}
    revise(polled, provider, [{"event_type": "message", "request_parameters": {"items": [shape]}}])
    assert reprocess.reprocess(kept)
    file_events.drain()
    assert texts() == ["hi"]
    later()
    assert texts() == ["hi"]
    polled.refresh_from_db()
    assert polled.problem == ""


def test_a_text_for_an_unknown_number_waits_in_quarantine(provider: Provider, polled: Integration) -> None:
    provider.text("lost?", to="+61855555599")
    later()
    later()
    kept = WebhookRequest.objects.get()
    assert (kept.verdict, kept.polled, row().cursor) == (Verdict.UNKNOWN_NUMBER, True, "1")
    Number.objects.create(
        organization=polled.organization, integration=polled, number="+61855555599", country="AU"
    )
    assert reprocess.reprocess(kept)
    file_events.drain()
    assert texts() == ["lost?"]


def test_nobody_can_post_what_only_a_poll_may_bring(
    provider: Provider, polled: Integration, client: Any
) -> None:
    body = {"messages": [{"id": "x1", "from": CONTACT, "to": OURS, "text": "forged"}]}
    answer = client.post(
        f"/services/polled/a{polled.organization.orgid}", json.dumps(body), content_type="application/json"
    )
    file_events.drain()
    assert answer.status_code == 400 and texts() == [] and WebhookEvent.objects.count() == 0


def test_a_secret_is_not_sent_where_nobody_has_confirmed(
    provider: Provider, polled: Integration, settings: Any
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin, "http://127.0.0.1:9"]
    polled.template.revise(document("http://127.0.0.1:9", EVENTS))
    later()
    polled.refresh_from_db()
    assert provider.asked == [] and "http://127.0.0.1:9" in polled.held_reason
    assert row().failures == 1


def test_a_template_without_the_method_is_polled_no_more(provider: Provider, polled: Integration) -> None:
    made = json.loads(document(provider.origin, EVENTS))
    made["API"] = {"CheckCredentials": {"request_url": f"{provider.origin}/me"}}
    polled.template.revise(json.dumps(made))
    later()
    assert provider.asked == [] and row().due_at is None


def test_a_poll_that_cannot_be_made_holds_up_no_other(
    provider: Provider, polled: Integration, globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Integration.objects.create(organization=globex, template=polled.template)
    holds.enter(other, {"API key": "secret-key-2"})
    build = calls.build

    def fails(template: Any, method: str, properties: Any, variables: Any) -> Any:
        if properties["API key"] == "secret-key-1":
            raise ZeroDivisionError
        return build(template, method, properties, variables)

    monkeypatch.setattr(calls, "build", fails)
    later()
    assert provider.keys == ["Bearer secret-key-2"]
    mine = Poll.objects.get(integration=polled)
    assert (mine.failures, mine.lease_until) == (1, None)
    assert mine.problem == "The request could not be rendered. The server's log says why."
    assert Poll.objects.get(integration=other).failures == 0 and WebhookRequest.objects.count() == 0


def test_files_are_fetched_with_the_token_of_a_login(account: Account, acme: Organization) -> None:
    event = {
        "event_type": "mms",
        "media_auth": True,
        "request_parameters": {"from": "$from$", "file": "$url$"},
    }
    made = json.loads(document("https://sms.example", [event]))
    made["auth"] = {"type": "Bearer", "token": "$access_token$"}
    made["API"]["Login"] = {
        "request_url": "https://sms.example/login",
        "request_parameters": {"key": "$API key$"},
        "response_map": {"token": "$access_token$"},
    }
    template = Template(account=account)
    template.revise(json.dumps(made))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API key": "secret-key-1"})
    token = {"secrets": {"access_token": "token-1"}, "granted_at": timezone.now()}
    AccessToken.objects.update_or_create(integration=integration, defaults=token)
    integration = Integration.objects.ready().get()
    credentials = properties.credentials_of([integration])[integration.pk]
    for url, sent in [
        ("https://sms.example/file", {"Authorization": "Bearer token-1"}),
        ("https://other.example/file", {}),
    ]:
        assert media_access.request_for(integration, credentials, url).headers == sent
