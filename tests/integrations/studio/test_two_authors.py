"""Two people work on one template: nobody's work is replaced unseen, and no id is taken twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from integrations.models import Template, TemplateCase
from integrations.studio import case_storage, saving
from integrations.studio.start.drafts import begin
from portal.models import Membership, Organization, User
from tests.conftest import person
from tests.integrations.studio.conftest import PREVIEWED, Previewed, signed_in
from tests.integrations.studio.test_cases_page import GOOD

EXAMPLE = {
    "request": "curl https://api.acme.example/sms -d to=61412345678 -d from=61855555501 -d text=Hello",
    "id": "acme-sms",
    "name": "Acme SMS",
}


def source(name: str, **changes: Any) -> str:
    return json.dumps({**PREVIEWED, "name": name, **changes}, indent=2)


@pytest.fixture
def second(acme: Organization) -> Client:
    return signed_in(person("Sam", None, account=acme.account, role=Membership.Role.ACCOUNT_ADMIN))


def drafts(template: Template) -> list[str]:
    return [json.loads(row.source)["name"] for row in template.revisions.order_by("number")]


def test_a_draft_saved_meanwhile_is_not_replaced(previewed: Previewed, second: Client) -> None:
    url = previewed.url
    assert 'name="based" value="1"' in previewed.client.get(url).content.decode()
    assert second.post(url, {"source": source("Theirs"), "based": 1}).status_code == 302
    answer = previewed.client.post(url, {"source": source("Mine"), "based": 1})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Sam saved draft 2 on" in page and 'name="based" value="2"' in page
    assert (
        "-  &quot;name&quot;: &quot;Theirs&quot;" in page and "+  &quot;name&quot;: &quot;Mine&quot;" in page
    )
    assert "Save mine anyway" in page and "Take theirs" in page
    assert drafts(previewed.template) == ["Acme SMS", "Theirs"]
    assert "Theirs" in previewed.client.get(url).content.decode()
    assert previewed.client.post(url, {"source": source("Mine"), "based": 2}).status_code == 302
    assert drafts(previewed.template) == ["Acme SMS", "Theirs", "Mine"]


def test_who_saves_anyway_is_asked_again_after_a_third_save(previewed: Previewed, second: Client) -> None:
    for name, based in (("Theirs", 1), ("Again", 2)):
        assert second.post(previewed.url, {"source": source(name), "based": based}).status_code == 302
    answer = previewed.client.post(previewed.url, {"source": source("Mine"), "based": 2})
    assert (answer.status_code, drafts(previewed.template)) == (409, ["Acme SMS", "Theirs", "Again"])


def test_the_same_text_saved_twice_is_one_draft(previewed: Previewed, second: Client) -> None:
    for client in (second, previewed.client):
        answer = client.post(previewed.url, {"source": source("Ours"), "based": 1})
        assert answer.status_code == 302
    assert drafts(previewed.template) == ["Acme SMS", "Ours"]


def test_a_revision_published_meanwhile_is_said(previewed: Previewed, second: Client) -> None:
    template = previewed.template
    second.post(previewed.url, {"source": source("Theirs"), "based": 1})
    second.post(f"{previewed.url}publish/", {"revision": 2, "for": "all"})
    answer = previewed.client.post(previewed.url, {"source": source("Mine"), "based": 1})
    assert (answer.status_code, "Revision 2 of Sam" in answer.content.decode()) == (409, True)
    assert drafts(template) == ["Acme SMS", "Theirs"]


@pytest.mark.parametrize("based", ["", "x", "-1", "1e9", "9" * 40, "\0", "²"])
def test_an_odd_number_is_no_fault(previewed: Previewed, based: str) -> None:
    answer = previewed.client.post(previewed.url, {"source": source("Mine"), "based": based})
    assert answer.status_code in (302, 409, 422)
    answer = previewed.client.post(f"{previewed.url}example/", {**EXAMPLE, "do": "save", "based": based})
    assert answer.status_code in (302, 409, 422)


def test_building_by_example_replaces_no_draft_saved_meanwhile(previewed: Previewed, second: Client) -> None:
    url, own = f"{previewed.url}example/", case_storage.keep(previewed.template, {"name": "Own"})
    shown = previewed.client.post(url, {**EXAMPLE, "do": "show", "based": 1}).content.decode()
    assert 'name="based" value="1"' in shown
    second.post(previewed.url, {"source": source("Theirs"), "based": 1})
    shown = previewed.client.post(url, {**EXAMPLE, "do": "show", "based": 1}).content.decode()
    assert 'name="based" value="1"' in shown
    answer = previewed.client.post(url, {**EXAMPLE, "do": "save", "based": 1})
    page = answer.content.decode()
    assert (answer.status_code, "Sam saved draft 2 on" in page, "Save mine anyway" in page) == (
        409,
        True,
        True,
    )
    assert drafts(previewed.template) == ["Acme SMS", "Theirs"]
    assert list(previewed.template.cases.all()) == [own]
    assert previewed.client.post(url, {**EXAMPLE, "do": "save", "based": 2}).status_code == 302
    assert previewed.template.cases.filter(by_example=True).exists()


def test_cases_by_example_keep_the_limits(previewed: Previewed) -> None:
    TemplateCase.objects.bulk_create(
        TemplateCase(template=previewed.template, name=f"Own {number}", source="{}")
        for number in range(case_storage.MAX_CASES)
    )
    answer = previewed.client.post(f"{previewed.url}example/", {**EXAMPLE, "do": "save", "based": 1})
    assert (answer.status_code, "more than 100" in answer.content.decode()) == (422, True)
    assert (drafts(previewed.template), previewed.template.cases.count()) == (["Acme SMS"], 100)
    with pytest.raises(ValidationError):
        case_storage.replace_by_example(previewed.template, [{"name": "x", "text": "y" * 70_000}])


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What calls return or raise that begin at the same moment, each with a connection of its own."""
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            ready.wait(10)
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def wait_after_the_check(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Has both find the id free before one takes it."""
    together, real = threading.Barrier(count), Template.check_id

    def check(self: Template, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        together.wait(3)

    monkeypatch.setattr(Template, "check_id", check)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_once_one_is_asked(previewed: Previewed, reseller: User) -> None:
    def saving_as(name: str) -> Callable[[], Any]:
        mine = Template.objects.select_related("draft", "published").get(pk=previewed.template.pk)
        return lambda: saving.save(mine, source(name), reseller, 1)

    results = at_once(saving_as("One"), saving_as("Two"))
    if connection.vendor == "sqlite" and any("locked" in str(result) for result in results):
        pytest.skip("SQLite has refused the second writer")
    assert sorted(type(result).__name__ for result in results) == ["Overtaken", "TemplateRevision"]
    assert len(drafts(previewed.template)) == 2


@pytest.mark.parametrize("built_in", [False, True])
def test_an_id_taken_between_check_and_use_is_a_form_error(
    previewed: Previewed, monkeypatch: pytest.MonkeyPatch, reseller: User, built_in: bool
) -> None:
    account = None if built_in else previewed.template.account
    begin(account, source("First", id="taken"), reseller)
    monkeypatch.setattr(Template, "check_id", lambda *args, **kwargs: None)
    with pytest.raises(ValidationError, match="just been taken"):
        begin(account, source("Second", id="taken"), reseller)
    assert Template.objects.filter(service_id="taken").count() == 1
    if built_in:
        return
    form = {
        "from": "blank",
        "name": "Second",
        "service_id": "taken",
        "account": previewed.template.account_id,
    }
    answer = previewed.client.post("/admin/integrations/template/add/", form)
    assert (answer.status_code, "just been taken" in answer.content.decode()) == (422, True)
    previewed.client.post(previewed.url, {"source": source("Moved", id="taken"), "based": 1})
    answer = previewed.client.post(f"{previewed.url}publish/", {"revision": 2, "for": "all", "moves": "on"})
    assert (answer.status_code, "just been taken" in answer.content.decode()) == (422, True)
    previewed.template.refresh_from_db()
    assert (previewed.template.service_id, previewed.template.published.number) == ("acme-sms", 1)  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
def test_of_two_who_take_an_id_at_once_one_is_refused(
    acme: Organization, reseller: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_after_the_check(monkeypatch, 2)

    def begin() -> Template:
        return begin(acme.account, source("x", id="taken"), reseller)

    results = at_once(begin, begin)
    assert sorted(type(result).__name__ for result in results) == ["Template", "ValidationError"]
    assert Template.objects.filter(service_id="taken").count() == 1


def test_of_two_authors_of_one_case_the_second_is_told(previewed: Previewed, second: Client) -> None:
    row = case_storage.keep(previewed.template, GOOD)
    url, client = f"{previewed.url}cases/{row.pk}/", previewed.client
    seen = client.get(url).context["seen"]
    theirs, mine = (case_storage.written({**GOOD, "name": name}) for name in ("First", "Second"))
    for _click in range(2):
        assert second.post(url, {"source": theirs, "seen": seen}).status_code == 302
    answer = client.post(url, {"source": mine, "seen": seen})
    assert answer.status_code == 422
    assert "Somebody else has changed this case since you opened it." in answer.content.decode()
    assert previewed.template.cases.get().name == "First"
    assert client.post(url, {"source": mine, "seen": answer.context["seen"]}).status_code == 302
    assert previewed.template.cases.get().name == "Second"
