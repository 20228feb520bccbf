"""Alerts: who is told of what, once when it begins and once when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations.models import Integration
from messaging import alerts, tasks
from messaging.alerts import changes
from messaging.alerts.review import review_integrations
from messaging.engine import sweep
from messaging.models import Alert, AlertChoice, AlertKind, Number, WebhookRequest
from messaging.wakeups import Task
from portal.audit.watching import covered
from portal.models import Membership, Organization, User
from tests import mailbox
from tests.messaging.queues import write_many

pytestmark = pytest.mark.django_db
PAGE = "/account/alerts/"


def trouble(service: Integration, **fields: Any) -> None:
    """Changes the integration as the circuit breaker does, and has it told."""
    Integration.objects.filter(pk=service.pk).update(tell_at=Now(), **fields)
    alerts.send_due()


def later(minutes: int) -> None:
    """Lets time pass, as far as alerts know."""
    past = timedelta(minutes=minutes)
    Alert.objects.update(
        tell_at=F("tell_at") - past, over_at=F("over_at") - past, began_at=F("began_at") - past
    )
    alerts.send_due()


def subjects() -> list[str]:
    """The subjects of the mails since the last call."""
    found = [item.subject for item in mail.outbox]
    mail.outbox.clear()
    return found


def quarantine(organization: Organization, number: int) -> None:
    service = Integration.objects.get(organization=organization)
    WebhookRequest.objects.bulk_create(
        WebhookRequest(
            account=organization.account,
            organization=organization,
            template=service.template,
            method="POST",
            query=b"",
            headers={},
            body=b"",
            answer_status=200,
            verdict="unmatched",
        )
        for _ in range(number)
    )


def test_trouble_that_comes_and_goes_is_told_once_and_its_end_when_it_stays_away(
    service: Integration, admin_of_acme: User
) -> None:
    name = service.template.name
    trouble(service, paused_until=Now(), trouble="Refused.")
    trouble(service, paused_until=Now(), trouble="Refused again.")
    assert subjects() == [f"{name} is paused for Acme"]
    trouble(service, paused_until=None, trouble="")
    assert subjects() == [f"{name} has recovered for Acme"]
    trouble(service, paused_until=Now(), trouble="Refused.")
    trouble(service, paused_until=None, trouble="")
    trouble(service, paused_until=Now(), trouble="Refused.")
    later(10)
    assert subjects() == []
    later(21)
    assert subjects() == [f"{name} is paused for Acme"]
    trouble(service, paused_until=None, trouble="")
    later(29)
    assert subjects() == []
    later(2)
    assert subjects() == [f"{name} has recovered for Acme"]
    later(31)
    assert subjects() == []
    trouble(service, paused_until=Now(), trouble="Refused.")
    assert subjects() == [f"{name} is paused for Acme"]
    assert Task.SEND_ALERTS not in sweep.due_tasks()[0]


def test_trouble_that_is_over_before_anybody_knew_is_not_told(
    service: Integration, admin_of_acme: User
) -> None:
    service.note_trouble("The access token could not be renewed.")
    assert Task.SEND_ALERTS not in sweep.due_tasks()[0]
    alerts.send_due()
    Integration.objects.filter(pk=service.pk).clear_trouble()
    alerts.send_due()
    assert subjects() == []
    service.note_trouble("The access token could not be renewed.")
    Integration.objects.update(tell_at=Now())  # five minutes later
    alerts.send_due()
    assert "The access token could not be renewed." in mail.outbox[0].body
    assert subjects() == [f"{service.template.name} is paused for Acme"]


def test_what_is_switched_off_is_in_no_trouble(service: Integration, admin_of_acme: User) -> None:
    trouble(service, enabled=False, paused_until=Now(), trouble="Refused.")
    assert (subjects(), Alert.objects.count()) == ([], 0)


def test_only_administrators_within_reach_who_want_it_are_told(
    service: Integration, alice: User, admin_of_acme: User, admin_of_globex: User, reseller: User
) -> None:
    AlertChoice.objects.create(user=reseller, unwanted=[AlertKind.SENDING])
    AlertChoice.objects.create(user=admin_of_acme, unwanted=[AlertKind.HELD])
    trouble(service, paused_until=Now(), trouble="Refused.")
    assert [item.to for item in mail.outbox] == [[admin_of_acme.email]]


def test_a_quarantine_that_grows_is_told_to_those_who_can_see_it(
    service: Integration, admin_of_acme: User, reseller: User
) -> None:
    quarantine(service.organization, 9)
    tasks.review_alerts()
    alerts.send_due()
    assert subjects() == []
    quarantine(service.organization, 1)
    tasks.review_alerts()
    alerts.send_due()
    assert "10 webhook requests could not be filed within the last hour." in mail.outbox[0].body
    assert sorted(item.to[0] for item in mail.outbox) == sorted([admin_of_acme.email, reseller.email])
    assert subjects() == ["Webhook requests of Acme go into quarantine"] * 2
    WebhookRequest.objects.update(received_at=Now() - timedelta(minutes=61))
    tasks.review_alerts()
    alerts.send_due()
    assert subjects() == ["The quarantine of Acme grows no more"] * 2


def test_requests_of_no_organization_are_told_to_the_account(
    service: Integration, admin_of_acme: User, reseller: User
) -> None:
    quarantine(service.organization, 10)
    WebhookRequest.objects.update(organization=None)
    tasks.review_alerts()
    alerts.send_due()
    assert [item.to for item in mail.outbox] == [[reseller.email]]


def test_an_organization_near_its_hourly_limit(
    private: Number, admin_of_acme: User, client: Client, settings: Any
) -> None:
    settings.ORGANIZATION_PER_HOUR = 10
    write_many(private, 7)
    tasks.review_alerts()
    assert Alert.objects.count() == 0
    write_many(private, 1)
    tasks.review_alerts()
    alerts.send_due()
    assert "Acme has sent more than 80 % of the 10 messages allowed per hour." in mail.outbox[0].body
    client.force_login(admin_of_acme)
    assert "Acme has sent more than 80 %" in client.get("/admin/").content.decode()
    settings.ORGANIZATION_PER_HOUR = 0
    tasks.review_alerts()
    assert Alert.objects.get().over_at is not None


def test_the_review_takes_no_more_queries_for_many(service: Integration) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            tasks.review_alerts()
        return len(captured)

    tasks.review_alerts()
    before = queries()
    WebhookRequest.objects.all().delete()
    quarantine(service.organization, 100)
    tasks.review_alerts()
    assert queries() <= before + 3  # the organizations in trouble, and whether they are known


def test_the_page_shows_what_is_in_reach_and_keeps_the_choice(
    service: Integration, admin_of_acme: User, admin_of_globex: User, client: Client
) -> None:
    trouble(service, paused_until=Now(), trouble="Refused.")
    title = f"{service.template.name} is paused for Acme"
    client.force_login(admin_of_globex)
    assert title not in client.get(PAGE).content.decode()
    client.force_login(admin_of_acme)
    assert title in client.get(PAGE).content.decode()
    assert client.post(PAGE, {"kinds": ["held", "quarantine"]}).status_code == 302
    assert AlertChoice.objects.get().unwanted == ["arriving", "limit", "receiver", "sending"]
    page = client.get(PAGE).content.decode()
    assert page.count(" checked") == 2
    assert client.post(PAGE, {"kinds": ["no such kind"]}).status_code == 422
    assert AlertChoice.objects.get().unwanted == ["arriving", "limit", "receiver", "sending"]


def test_a_texter_has_no_such_page(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert client.get(PAGE).status_code == 404
    assert client.post(PAGE, {"do": "test"}).status_code == 404
    assert (mail.outbox, AlertChoice.objects.count()) == ([], 0)


def test_a_test_mail_comes_from_a_named_sender(admin_of_acme: User, client: Client, settings: Any) -> None:
    client.force_login(admin_of_acme)
    settings.EMAIL_HOST = ""
    page = client.get(PAGE).content.decode()
    assert "No mail server is set up" in page and "Send a test mail" not in page
    page = client.post(PAGE, {"do": "test"}, follow=True).content.decode()
    assert "No mail server is set up, so no mail was sent." in page
    assert mail.outbox == []
    settings.EMAIL_HOST = "mail.example"
    page = client.post(PAGE, {"do": "test"}, follow=True).content.decode()
    assert f"A test mail to {admin_of_acme.email} is on its way." in page
    assert mail.outbox[0].from_email.startswith("Patchbay <patchbay@")
    assert mail.outbox[0].to == [admin_of_acme.email]


def test_an_address_that_is_refused_keeps_the_alert_from_nobody(
    service: Integration, admin_of_acme: User, reseller: User, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with mailbox.running() as letters:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        letters.refused.add(min(admin_of_acme, reseller, key=lambda user: user.pk).email)
        trouble(service, trouble="No credit.")
        later(60)
        assert [letter["To"] for letter in letters.letters] == [
            max(admin_of_acme, reseller, key=lambda user: user.pk).email
        ]
        assert Alert.objects.get().told


def test_a_mail_server_whose_name_no_domain_can_have_is_tried_again(
    service: Integration, admin_of_acme: User, settings: Any
) -> None:
    settings.EMAIL_BACKEND, works = "django.core.mail.backends.smtp.EmailBackend", settings.EMAIL_BACKEND
    settings.EMAIL_HOST = "ü" * 60 + ".example"
    trouble(service, trouble="No credit.")
    later(60)
    assert (subjects(), Alert.objects.get().told) == ([], False)
    settings.EMAIL_BACKEND = works
    later(6)
    assert len(subjects()) == 1
    assert Alert.objects.get().told


def test_another_number_in_the_reason_is_no_news(
    service: Integration, acme: Organization, admin_of_acme: User
) -> None:
    quarantine(acme, 10)
    alerts.review()
    row = Alert.objects.get(kind=AlertKind.QUARANTINE)
    quarantine(acme, 1)
    alerts.review()  # while the mails go out
    changes.told(row)
    alerts.send_due()
    assert subjects() == []


def many_in_trouble(service: Integration, number: int) -> list[int]:
    """So many integrations, each of an organization of its own with an administrator, all in trouble."""
    account, template = service.organization.account, service.template
    with covered():
        organizations = Organization.objects.bulk_create(
            Organization(account=account, name=f"Org {n}", domain=f"org{n}.example") for n in range(number)
        )
        people = User.objects.bulk_create(
            User(email=f"admin@{row.domain}", name=row.name, password="x") for row in organizations
        )
        Membership.objects.bulk_create(
            Membership(user=user, account=account, organization=row, role="organization_admin")
            for user, row in zip(people, organizations, strict=True)
        )
        rows = Integration.objects.bulk_create(
            Integration(organization=row, template=template, enabled=True, trouble="Refused.", tell_at=Now())
            for row in organizations
        )
    return [row.pk for row in rows]


@pytest.mark.parametrize("again", [False, True])
def test_noting_takes_no_more_queries_for_a_hundred(service: Integration, again: bool) -> None:
    def queries(keys: list[int]) -> int:
        with CaptureQueriesContext(connection) as captured:
            review_integrations(keys)
        return len(captured)

    one, *others = many_in_trouble(service, 101)
    if again:  # the others are over and come back
        review_integrations([one, *others])
        for trouble_ in ("", "Refused again."):
            Integration.objects.update(trouble=trouble_)
            counts = [queries([one]), queries(others)]
    else:
        counts = [queries([one]), queries(others)]
    assert counts[0] == counts[1] < 10
    assert Alert.objects.filter(over_at=None, kind="sending").count() == 101


def test_telling_reads_no_more_for_a_hundred(service: Integration, admin_of_acme: User) -> None:
    def reads() -> int:
        with CaptureQueriesContext(connection) as captured:
            alerts.send_due()
        return sum(query["sql"].startswith("SELECT") for query in captured)

    service.note_trouble("Refused.")
    Integration.objects.update(tell_at=Now())
    one = reads()
    many_in_trouble(service, 99)
    mail.outbox.clear()
    hundred = reads()
    assert len(mail.outbox) == 99
    assert hundred == one


def test_a_mail_server_that_breaks_off_sends_nobody_the_same_again(
    service: Integration, admin_of_acme: User, reseller: User, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    first, second = sorted([admin_of_acme, reseller], key=lambda user: user.pk)
    with mailbox.running() as letters:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        letters.most = 1
        trouble(service, trouble="No credit.")
        row = Alert.objects.get()
        assert (row.told, row.mailed) == (False, [first.pk])
        letters.most = None
        later(6)
        row.refresh_from_db()
        assert (row.told, row.mailed, row.tell_at) == (True, [], None)
        assert [letter["To"] for letter in letters.letters] == [first.email, second.email]


def test_a_mail_about_the_reason_before_is_none_about_the_next(
    service: Integration, admin_of_acme: User
) -> None:
    """The reason changes while the mails about the one before go out."""
    subject = changes.Subject(service)
    changes.note([changes.State(AlertKind.HELD, subject, "One.", again=True)])
    before = Alert.objects.get()
    changes.note([changes.State(AlertKind.HELD, subject, "Two.", again=True)])
    changes.mailed_to(before, admin_of_acme)
    row = Alert.objects.get()
    assert (row.reason, row.mailed) == ("Two.", [])


def test_who_knows_of_it_is_told_that_it_is_over(
    service: Integration, admin_of_acme: User, reseller: User, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with mailbox.running() as letters:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        letters.most = 1
        trouble(service, trouble="No credit.")
        letters.most = None
        trouble(service, trouble="")
        name = service.template.name
        assert [letter["Subject"] for letter in letters.letters] == [
            f"{name} is paused for Acme",
            f"{name} has recovered for Acme",
            f"{name} has recovered for Acme",
        ]
