"""A draft changes nothing; publishing shows what changes, has it confirmed, and there is a way back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations import holds, setup
from integrations.models import Integration, PropertyValues, Template, TemplateCase, TemplateRevision
from integrations.sandbox import Sandbox
from integrations.studio.publish import publishing
from messaging.models import DeliveryAttempt, Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import QueueState
from portal.models import AuditEntry, Organization, User

KEY = "planted-secret-1"
WRONG = {"name": "Wrong", "kind": "send", "message": {"from": "+1", "to": "+2", "text": "x"}, "expect": []}


@dataclass
class Studio:
    """A template that Acme uses with a key of its own; `other` is another provider, at another origin."""

    template: Template
    integration: Integration
    sandbox: Sandbox
    other: Sandbox
    client: Client

    @property
    def url(self) -> str:
        return f"/admin/integrations/template/{self.template.pk}/studio/"

    def document(self, **changes: Any) -> str:
        return json.dumps({**document(self.sandbox), **changes})

    def moved(self) -> str:
        """The document, with the other provider's address."""
        return json.dumps(document(self.other))

    def save(self, source: str) -> None:
        assert self.client.post(self.url, {"source": source}).status_code == 302

    def publish(self, **answers: Any) -> int:
        self.template.refresh_from_db()
        form = {"revision": self.template.revisions.latest("number").number, "for": "all", **answers}
        return self.client.post(f"{self.url}publish/", form).status_code

    def page(self, query: str = "") -> str:
        return self.client.get(f"{self.url}publish/{query}").content.decode()

    def number_in_use(self) -> int:
        self.integration.refresh_from_db()
        integration = Integration.objects.ready().get(pk=self.integration.pk)
        used = integration.revision or integration.template.published
        assert used is not None
        return used.number


def document(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "id": "acme-sms",
        "name": "Acme SMS",
        "properties": ["API key"],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {
            "SendMessage": {
                "request_url": sandbox.api_url,
                "request_parameters": {"from": "$from$", "to": "$to$", "content": "$content$"},
            }
        },
    }


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def studio(
    acme: Organization, alice: User, reseller: User, sandbox: Sandbox, settings: Any
) -> Iterator[Studio]:
    other = Sandbox(delay_delivered=0.05)
    other.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, other.origin]
    template = Template(account=acme.account)
    template.revise(json.dumps(document(sandbox)))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API key": KEY})
    number = Number.objects.create(
        organization=acme, integration=integration, number="+61855555501", country="AU"
    )
    number.assignments.create(user=alice)
    yield Studio(template, integration, sandbox, other, signed_in(reseller))
    other.stop()


def send(alice: User) -> Message:
    message = submit(alice, Number.objects.get(), "+61412345678", text="Hello")
    dispatch.drain()
    message.refresh_from_db()
    return message


def test_a_draft_is_used_by_nobody(studio: Studio, alice: User) -> None:
    studio.save(studio.moved())
    assert studio.number_in_use() == 1
    send(alice)
    assert (len(studio.sandbox.received), studio.other.received) == (1, [])
    studio.template.refresh_from_db()
    assert studio.template.draft is not None and studio.template.draft.number == 2


def test_a_secret_goes_to_no_new_origin_unasked(studio: Studio, alice: User) -> None:
    """The old hole: publish a revision with another request_url, and watch the header arrive."""
    studio.save(studio.moved())
    assert f"<strong>{studio.other.origin}</strong>" in studio.page()
    assert studio.publish() == 302
    assert send(alice).queue_state == QueueState.WAITING
    assert (studio.sandbox.received, studio.other.received, DeliveryAttempt.objects.count()) == ([], [], 0)
    assert studio.other.origin in Integration.objects.get().held_reason


def test_what_is_confirmed_by_name_is_sent(studio: Studio, alice: User) -> None:
    studio.save(studio.moved())
    assert studio.publish(answer=f"API key {studio.other.origin}") == 302
    send(alice)
    assert [request.headers["authorization"] for request in studio.other.received] == [f"Bearer {KEY}"]
    assert studio.sandbox.received == []


@pytest.mark.parametrize(
    "answer", ["API key https://elsewhere.example", "API key ", "other {}", "access_token {}"]
)
def test_only_what_the_page_asks_can_be_confirmed(studio: Studio, alice: User, answer: str) -> None:
    studio.save(studio.moved())
    assert studio.publish(answer=answer.format(studio.other.origin)) == 302
    assert send(alice).queue_state == QueueState.WAITING
    assert studio.other.received == []


@pytest.mark.parametrize("whose", ["organization", "account"])
def test_the_accounts_key_and_those_of_organizations_are_confirmed_one_by_one(
    studio: Studio, globex: Organization, whose: str
) -> None:
    """Acme has a key of its own; Globex, of the same account, uses the account's."""
    assert studio.template.account is not None
    values = setup.Entered({"API key": "planted-secret-2"}, {"API key": [studio.sandbox.origin]})
    setup.save_for_account(studio.template.account, studio.template, values)
    Integration.objects.create(organization=globex, template=studio.template)
    studio.save(studio.moved())
    origin, page = studio.other.origin, studio.page()
    assert f"The API key of one organization will be sent to <strong>{origin}</strong>." in page
    assert f"The account's API key will be sent to <strong>{origin}</strong>, for one organization." in page
    given = sorted(re.findall(r'name="answer" value="(.*?)"', page))
    answers = dict(zip(("organization", "account"), given, strict=True))
    assert studio.publish(answer=answers[whose]) == 302
    confirmed = {
        "account" if row.account_id else "organization": origin in row.origins_of("API key")
        for row in PropertyValues.objects.exclude(blank=True)
    }
    assert confirmed == {"organization": whose == "organization", "account": whose == "account"}


def test_some_organizations_try_it_first(studio: Studio, globex: Organization) -> None:
    neighbor = Integration.objects.create(organization=globex, template=studio.template)
    studio.save(studio.document(name="Acme Text"))
    assert studio.publish(**{"for": "some", "organization": globex.pk}) == 302
    neighbor.refresh_from_db()
    studio.template.refresh_from_db()
    assert (studio.number_in_use(), neighbor.revision.number) == (1, 2)  # type: ignore[union-attr]
    assert studio.template.name == "Acme SMS"
    assert studio.publish() == 302
    neighbor.refresh_from_db()
    studio.template.refresh_from_db()
    assert (studio.number_in_use(), neighbor.revision, studio.template.draft) == (2, None, None)
    assert studio.template.name == "Acme Text"


def test_some_means_some(studio: Studio, globex: Organization, acme: Organization) -> None:
    studio.save(studio.document(name="Acme Text"))
    for nobody in ({}, {"organization": globex.pk}, {"organization": "x"}):
        assert studio.publish(**{"for": "some", **nobody}) == 422
    assert (studio.number_in_use(), Integration.objects.get().revision) == (1, None)


def test_who_ticks_some_and_says_all_is_asked(
    studio: Studio, acme: Organization, globex: Organization
) -> None:
    Integration.objects.create(organization=globex, template=studio.template)
    studio.save(studio.document(name="Acme Text"))
    form = {"revision": "2", "for": "all", "organization": acme.pk}
    answer = studio.client.post(f"{studio.url}publish/", form)
    page = answer.content.decode()
    assert answer.status_code == 422 and "You have chosen all organizations, but ticked some of them." in page
    assert f'value="{acme.pk}" checked>' in page and f'value="{globex.pk}">' in page
    assert studio.number_in_use() == 1 and not Integration.objects.exclude(revision=None)


def test_it_is_said_who_uses_what_some_try(studio: Studio, acme: Organization, globex: Organization) -> None:
    Integration.objects.create(organization=globex, template=studio.template)
    studio.save(studio.document(name="Acme Text"))
    form = {"revision": "2", "for": "some", "organization": acme.pk}
    page = studio.client.post(f"{studio.url}publish/", form, follow=True).content.decode()
    assert "One organization now uses revision 2." in page and "used by one organization" in page
    page = studio.page("?revision=2")
    assert "What revision 2 changes" in page and "Go back" not in page
    assert "All that use the published revision, also the one that does not use this one yet" in page


def test_it_is_said_whose_messages_wait(studio: Studio) -> None:
    studio.save(studio.moved())
    form = {"revision": "2", "for": "all"}
    said = "The messages of one organization wait for an answer: the overview says for which."
    assert said in studio.client.post(f"{studio.url}publish/", form, follow=True).content.decode()
    back = {"revision": "1", "for": "all"}
    assert said not in studio.client.post(f"{studio.url}publish/", back, follow=True).content.decode()


def test_one_goes_back_to_an_older_revision(studio: Studio, alice: User) -> None:
    studio.save(studio.moved())
    studio.publish(answer=f"API key {studio.other.origin}")
    assert "Go back to revision 1" in studio.page("?revision=1")
    assert studio.publish(revision=1) == 302
    assert studio.number_in_use() == 1
    assert "What revision 2 changes" in studio.page("?revision=2")
    send(alice)
    assert (len(studio.sandbox.received), studio.other.received) == (1, [])


def test_a_new_required_value_is_waited_for(studio: Studio, alice: User, admin_of_acme: User) -> None:
    studio.save(studio.document(properties=["API key", "API secret"]))
    page = studio.page()
    assert "API secret is new, and required" in page and "One organization has no API secret" in page
    assert studio.publish() == 302
    held = Integration.objects.get()
    assert held.held_reason == "Acme SMS needs API secret. Enter it." and held.tell_at is not None
    assert send(alice).queue_state == QueueState.WAITING
    assert studio.sandbox.received == []
    url = f"/admin/integrations/integration/organization/{held.organization_id}/{held.template_id}/"
    client = signed_in(admin_of_acme)
    assert "Acme SMS needs API secret. Enter it." in client.get(url).content.decode()
    assert client.post(url, {"property-0": "", "property-1": "s3cret-value"}).status_code == 302
    dispatch.drain()
    assert len(studio.sandbox.received) == 1
    assert Integration.objects.get().held_reason == ""


def test_nothing_is_published_while_a_case_fails(studio: Studio) -> None:
    TemplateCase.objects.create(template=studio.template, name="Wrong", source=json.dumps(WRONG))
    studio.save(studio.document(name="Acme Text"))
    assert "One case fails" in studio.page()
    assert (studio.publish(), studio.number_in_use()) == (422, 1)
    assert (studio.publish(anyway="on"), studio.number_in_use()) == (302, 2)


def test_cases_of_a_later_document_may_fail_on_the_way_back(studio: Studio) -> None:
    studio.save(studio.document(name="Acme Text"))
    assert studio.publish() == 302
    TemplateCase.objects.create(template=studio.template, name="Wrong", source=json.dumps(WRONG))
    assert "The cases belong to the later document" in studio.page("?revision=1")
    studio.save(studio.document(name="Acme Chat"))
    assert "The cases belong to the later document" not in studio.page()


def test_a_document_is_saved_once(studio: Studio, reseller: User) -> None:
    studio.save(studio.document(name="Acme Text"))
    studio.save(studio.document(name="Acme Text"))
    assert list(studio.template.revisions.values_list("number", "author")) == [(2, reseller.pk), (1, None)]


def test_a_snippet_is_saved_as_it_was_written_and_shown_mended(studio: Studio) -> None:
    source = f"// model\n{studio.document()}"
    studio.save(source)
    assert studio.template.revisions.get(number=2).source == source
    page = studio.client.get(studio.url).content.decode()
    assert "It was read without its comments:" in page
    assert '<pre class="document" tabindex="0">{' in page


@pytest.mark.parametrize(
    "source",
    ["", "no json", "[]", "[" * 100_000, '{"id": "x"}', '{"id": "generic", "name": "x", "API": {}}'],
)
def test_wrong_documents_are_refused(studio: Studio, generic: Template, source: str) -> None:
    answer = studio.client.post(studio.url, {"source": source})
    assert (answer.status_code, studio.template.revisions.count()) == (422, 1)


def test_another_webhook_url_must_be_wanted(studio: Studio) -> None:
    studio.save(studio.document(id="acme-text"))
    studio.template.refresh_from_db()
    assert studio.template.service_id == "acme-sms"
    owner = studio.template.account
    assert owner is not None
    page = studio.page()
    assert re.search(r'<input type="checkbox" name="moves"[^>]*>', page)
    assert "checked" not in page.partition('name="moves"')[2].partition(">")[0]
    assert f"/services/acme-sms/a{owner.accountid}" in page
    assert f"/services/acme-text/a{owner.accountid}" in page
    assert (studio.publish(), studio.number_in_use()) == (422, 1)
    assert (studio.publish(moves="on"), studio.number_in_use()) == (302, 2)
    studio.template.refresh_from_db()
    assert studio.template.service_id == "acme-text"
    assert Client().get(f"/services/acme-sms/a{owner.accountid}").status_code == 404


def test_an_id_that_is_taken_is_neither_saved_nor_published(studio: Studio, acme: Organization) -> None:
    taken = Template(account=acme.account)
    taken.save_draft(studio.document(id="taken"))
    answer = studio.client.post(studio.url, {"source": studio.document(id="taken")})
    assert (answer.status_code, "already has the id" in answer.content.decode()) == (422, True)
    assert studio.template.revisions.count() == 1


def test_what_changes_is_said_in_words_and_as_text(studio: Studio) -> None:
    changed = json.loads(studio.document(properties=[{"name": "API key", "required": False}]))
    changed["API"]["CheckCredentials"] = {"request_url": studio.sandbox.api_url}
    changed["limits"] = {"per_second": 5}
    studio.save(json.dumps(changed, indent=2))
    page = studio.page()
    for sentence in (
        "API key is now optional.",
        "The method CheckCredentials is new.",
        "The limits have changed.",
        "&quot;per_second&quot;: 5",
    ):
        assert sentence in page


def test_a_document_that_is_wrong_is_not_saved_and_shown_with_its_mend(studio: Studio) -> None:
    wrong = studio.document().replace("request_url", "request_uri")
    answer = studio.client.post(studio.url, {"source": wrong})
    assert answer.status_code == 422
    assert "Did you mean &#x27;request_url&#x27;?" in answer.content.decode()
    found = studio.client.post(f"{studio.url}check/", {"source": wrong}).json()["problems"]
    mend = next(item for item in found if item.get("mend") == "request_url")
    assert wrong[mend["column"] - 1 : mend["end"]["column"] - 1] == "request_uri"
    assert studio.template.revisions.count() == 1


@pytest.mark.parametrize("who", ["member", "organization admin", "other account", "operator"])
@pytest.mark.parametrize("page", ["", "check/", "publish/", "publish/?revision=1"])
def test_who_may_open_the_studio(
    studio: Studio, who: str, page: str, alice: User, admin_of_acme: User, operator: User,
    make_reseller: Callable[[], User],
) -> None:  # fmt: skip
    people = {"member": alice, "organization admin": admin_of_acme, "operator": operator}
    client = signed_in(people[who] if who in people else make_reseller())
    allowed = {"member": {403}, "operator": {200, 302, 422}}.get(who, {404})
    if page != "check/":
        assert client.get(f"{studio.url}{page}").status_code in allowed
    assert client.post(f"{studio.url}{page}", {"source": "x", "revision": 1}).status_code in allowed
    assert studio.template.revisions.count() == 1


def test_pinning_many_takes_no_more_queries_than_pinning_two(
    studio: Studio, acme: Organization, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        other = Organization.objects.create(
            account=acme.account, name=f"O{number}", domain=f"o{number}.example"
        )
        Integration.objects.create(organization=other, template=studio.template)
    studio.save(studio.document(name="Acme Text"))
    everybody = list(Organization.objects.values_list("pk", flat=True))
    for wanted in ({"for": "some", "organization": everybody}, {}):
        with django_assert_max_num_queries(110):
            assert studio.publish(**wanted) == 302
    assert set(Integration.objects.values_list("revision", flat=True)) == {None}
    assert AuditEntry.objects.filter(changes__has_key="pinned revision").count() == 26


@pytest.mark.parametrize("built_in", [False, True])
def test_what_is_published_leads_to_setting_it_up(studio: Studio, operator: User, built_in: bool) -> None:
    template = studio.template
    account = template.account_id
    if built_in:
        Template.objects.filter(pk=template.pk).update(account=None)
    page = signed_in(operator).get(f"{studio.url}publish/").content.decode()
    one = reverse("admin:integrations_enable", args=[account, template.pk])
    assert (f'href="{one}"' in page) is not built_in
    assert "Set it up for an organization" in page
    assert "Next:" not in page


def test_only_what_was_published_is_gone_back_to(studio: Studio) -> None:
    for name in ("Never published", "Acme Text", "Acme Chat"):
        studio.save(studio.document(name=name))
    studio.publish(revision=3)
    page = studio.page()
    assert re.findall(r'href="\?revision=(\d+)">([^<]+)', page) == [("1", "Go back to it…")]
    assert "Go back to revision 1" in studio.page("?revision=1")
    assert "Go back" not in studio.page("?revision=2").partition('id="revisions"')[0]


@pytest.mark.parametrize("whose", ["all", "some"])
def test_what_was_published_meanwhile_is_said_first(studio: Studio, acme: Organization, whose: str) -> None:
    studio.save(studio.document(name="Acme Text"))
    assert '<input type="hidden" name="over" value="1">' in studio.page()
    studio.save(studio.document(name="Acme Chat"))
    assert studio.publish(revision=3, over="1") == 302
    fields = {"revision": "2", "over": "1", "for": whose, "organization": acme.pk}
    answer = studio.client.post(f"{studio.url}publish/", fields)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Revision 3 has been published meanwhile." in page and 'name="over" value="3"' in page
    assert studio.number_in_use() == 3
    assert studio.publish(revision=2, over="x") == 422
    assert studio.publish(revision=2, over="3") == 302


def test_what_is_published_in_the_same_moment_is_not_replaced(studio: Studio, reseller: User) -> None:
    studio.save(studio.document(name="Acme Text"))
    looked_at = Template.objects.select_related("published").get(pk=studio.template.pk)
    change = publishing.Change(looked_at, looked_at.revisions.get(number=2))
    studio.save(studio.document(name="Acme Chat"))
    assert studio.publish() == 302
    with pytest.raises(ValidationError, match="Revision 3 has been published meanwhile"):
        publishing.publish(change, reseller)
    assert studio.number_in_use() == 3


def test_what_some_have_used_is_gone_back_to(studio: Studio, acme: Organization) -> None:
    studio.save(studio.document(name="Acme Text"))
    assert studio.publish(**{"for": "some", "organization": acme.pk}) == 302
    studio.save(studio.document(name="Acme Chat"))
    assert studio.publish() == 302
    assert re.findall(r'href="\?revision=(\d+)"', studio.page()) == ["2", "1"]


@pytest.mark.parametrize(
    ("where", "for_some"),
    [
        ("confirm_each", False), ("holds.review", False), ("holds.review_template", False), ("_pin", False),
        ("confirm_each", True), ("holds.review", True), ("_pin", True),
    ],
)  # fmt: skip
def test_who_stops_while_publishing_has_published_nothing(
    studio: Studio, acme: Organization, monkeypatch: pytest.MonkeyPatch, where: str, for_some: bool
) -> None:
    studio.save(studio.moved())
    target: Any = publishing
    *path, name = where.split(".")
    for step in path:
        target = getattr(target, step)

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, name, stop)
    answers: dict[str, Any] = {"answer": f"API key {studio.other.origin}"}
    if for_some:
        answers |= {"for": "some", "organization": acme.pk}
    before = AuditEntry.objects.count()
    with pytest.raises(KeyboardInterrupt):
        studio.publish(**answers)
    studio.template.refresh_from_db()
    assert (studio.number_in_use(), studio.template.draft.number) == (1, 2)  # type: ignore[union-attr]
    row = PropertyValues.objects.get()
    assert list(row.secret_origins["API key"]) == [studio.sandbox.origin]
    assert studio.integration.revision is None and studio.integration.held_reason == ""
    assert AuditEntry.objects.count() == before
    assert not TemplateRevision.objects.get(number=2).published_at


def crowd(studio: Studio, acme: Organization, count: int, *, inherit: bool) -> None:
    """So many more organizations that use the template, with the account's key or each with its own."""
    names = [f"O{number}" for number in range(count)]
    made = Organization.objects.bulk_create(
        Organization(account=acme.account, name=name, domain=f"{name}.example") for name in names
    )
    rows = Integration.objects.bulk_create(
        Integration(organization=each, template=studio.template) for each in made
    )
    reached = {"API key": {studio.sandbox.origin: {"by": None, "at": ""}}}
    owners = (
        [{"account": acme.account, "template": studio.template}]
        if inherit
        else [{"integration": row} for row in rows]
    )
    PropertyValues.objects.bulk_create(
        PropertyValues(**owner, values={"API key": f"key-of-{index}"}, secret_origins=reached, blank=False)
        for index, owner in enumerate(owners)
    )


@pytest.mark.parametrize("inherit", [False, True])
def test_publishing_for_a_crowd_takes_no_more_queries_than_for_a_few(
    studio: Studio, acme: Organization, inherit: bool
) -> None:
    def queries(call: Callable[[], Any], wanted: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert call() == wanted
        return len(captured)

    counts, answers = [], [f"API key {studio.other.origin}", f"API key {studio.other.origin} account"]
    gallery = reverse("admin:integrations_account_gallery", args=[acme.account_id])
    for size in (3, 100):
        sid = transaction.savepoint()
        crowd(studio, acme, size, inherit=inherit)
        studio.save(studio.moved())
        page = queries(lambda: studio.client.get(f"{studio.url}publish/").status_code, 200)
        cards = queries(lambda: studio.client.get(gallery).status_code, 200)
        done = queries(lambda: studio.publish(answer=answers), 302)
        assert Integration.objects.exclude(held_reason="").count() == 0
        assert PropertyValues.objects.filter(secret_origins__has_key="API key").count() == (
            2 if inherit else size + 1
        )
        counts.append((page, cards, done))
        transaction.savepoint_rollback(sid)
    few, many = counts
    assert all(more <= less + 2 for less, more in zip(few, many, strict=True))  # SQLite inserts in batches


def test_some_of_thousands_of_organizations_can_be_chosen(studio: Studio, acme: Organization) -> None:
    """Django reads a thousand fields of a form, unless told otherwise."""
    studio.save(studio.moved())
    others = [str(10**6 + place) for place in range(4_000)]
    form = {"for": "some", "organization": [*others, str(acme.pk)], "revision": "2"}
    assert studio.client.post(f"{studio.url}publish/", form).status_code == 302
    assert studio.number_in_use() == 2


SIGNED: list[dict[str, Any]] = [
    {"auth": {"type": "JWT", "algorithm": "HS256", "key": "$API key$"}},
    {"auth": {"type": "Header", "name": "X-Sign", "value": "$now|hmac_sha256:API key$"}},
]
SENT: list[dict[str, Any]] = [
    {"auth": {"type": "Bearer", "token": "$API key$"}},
    {"auth": {"type": "Basic", "username": "x", "password": "$API key$"}},
    {"auth": {"type": "JWT", "algorithm": "HS256", "key": "$API key$", "claims": {"sub": "$API key$"}}},
    {"auth": {"type": "JWT", "algorithm": "HS256", "key": "$API key|upper$"}},
    {"auth": {"type": "Header", "name": "X-Sign", "value": "$API key|hmac_sha256:API key$"}},
    {"auth": {"type": "Header", "name": "X-Sign", "value": "$API key|sha256$"}},
]


@pytest.mark.parametrize(
    ("changes", "signs"), [*((item, True) for item in SIGNED), *((item, False) for item in SENT)]
)
def test_a_key_that_signs_is_not_said_to_be_sent(
    studio: Studio, changes: dict[str, Any], *, signs: bool
) -> None:
    studio.save(json.dumps({**document(studio.other), **changes}))
    page = studio.page()
    origin = studio.other.origin
    assert (f"Requests to <strong>{origin}</strong> will be signed with the API key of one" in page) is signs
    assert (f"The API key of one organization will be sent to <strong>{origin}</strong>" in page) is not signs
    assert studio.publish() == 302
    said = (
        f"will now sign requests to {origin} with your API key."
        if signs
        else f"will now send your API key to {origin}."
    )
    assert Integration.objects.get().held_reason == f"Acme SMS {said}"
