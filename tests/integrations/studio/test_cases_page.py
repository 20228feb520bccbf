"""The cases of a template: results, new ones, those that are wrong, limits, and who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from integrations import catalog
from integrations.models import Template, TemplateCase
from integrations.studio import case_storage
from portal.models import User
from tests.integrations.studio.conftest import Previewed, signed_in

GOOD: dict[str, Any] = {
    "name": "A text",
    "kind": "send",
    "properties": {"API key": "key-1", "Sender": "ACME"},
    "message": {"from": "+15005550006", "to": "+15005550001", "text": "Hello"},
    "expect": [{"json": {"sender": "ACME", "recipient": "15005550001", "message": "Hello"}}],
}
BAD = {**GOOD, "name": "A wrong text", "expect": [{"json": {"sender": "ACME", "message": "Hello"}}]}


def keep(previewed: Previewed, case: dict[str, Any]) -> TemplateCase:
    return previewed.template.cases.create(name=case["name"], source=json.dumps(case))


def test_all_cases_are_run_and_differences_are_readable(previewed: Previewed) -> None:
    keep(previewed, GOOD), keep(previewed, BAD)
    page = previewed.client.get(f"{previewed.url}cases/").content.decode()
    assert "Revision 1: 1 case passes, 1 fails." in page
    assert "<li>request 1: json/recipient: expected nothing, got &quot;15005550001&quot;</li>" in page


def test_they_are_run_on_the_revision_that_one_asks_for(previewed: Previewed) -> None:
    keep(previewed, GOOD)
    source = previewed.template.revisions.get().source.replace('"recipient"', '"to"')
    previewed.template.save_draft(source)
    assert "1 fails" in previewed.client.get(f"{previewed.url}cases/").content.decode()
    assert "1 case passes." in previewed.client.get(f"{previewed.url}cases/?revision=1").content.decode()


def test_a_case_is_written_changed_and_deleted(previewed: Previewed) -> None:
    client, url = previewed.client, f"{previewed.url}cases/"
    assert client.get(f"{url}add/").status_code == 200
    assert client.post(f"{url}add/", {"source": json.dumps(GOOD)}).status_code == 302
    row = previewed.template.cases.get()
    assert (row.name, json.loads(row.source)) == ("A text", GOOD)
    assert "It passes." in client.get(f"{url}{row.pk}/").content.decode()
    assert client.post(f"{url}{row.pk}/", {"source": json.dumps(BAD)}).status_code == 302
    row.refresh_from_db()
    assert row.name == "A wrong text"
    assert "It fails" in client.get(f"{url}{row.pk}/").content.decode()
    assert client.get(f"{url}{row.pk}/delete/").status_code == 405
    assert client.post(f"{url}{row.pk}/delete/").status_code == 302
    assert previewed.template.cases.count() == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{", "line 1, column 2"),
        ("[]", "A case must be an object."),
        ('{"kind": "sent"}', "There is no kind &#x27;sent&#x27;."),
        (json.dumps({**GOOD, "mesage": {}}), "Did you mean &#x27;message&#x27;?"),
        (json.dumps({**GOOD, "properties": {"API key": "x"}}), "&#x27;Sender&#x27; has no value"),
        ("[" * 5000, "The case cannot be read"),
        (json.dumps({**GOOD, "country": "x" * 70_000}), "The case is larger than 64 KiB."),
    ],
)
def test_a_case_with_problems_is_not_saved_and_says_them(
    previewed: Previewed, source: str, said: str
) -> None:
    row = keep(previewed, GOOD)
    for url in (f"{previewed.url}cases/add/", f"{previewed.url}cases/{row.pk}/"):
        answer = previewed.client.post(url, {"source": source})
        assert answer.status_code == 422
        assert said in answer.content.decode()
    row.refresh_from_db()
    assert (json.loads(row.source), previewed.template.cases.count()) == (GOOD, 1)


def test_two_cases_have_two_names(previewed: Previewed) -> None:
    rows = [case_storage.keep(previewed.template, GOOD) for _ in range(3)]
    assert [row.name for row in rows] == ["A text", "A text (2)", "A text (3)"]
    answer = previewed.client.post(f"{previewed.url}cases/{rows[1].pk}/", {"source": json.dumps(GOOD)})
    assert answer.status_code == 422
    assert "There is another case named A text." in answer.content.decode()


def test_a_template_has_at_most_a_hundred_cases(previewed: Previewed) -> None:
    many = (TemplateCase(template=previewed.template, name=str(number), source="{}") for number in range(100))
    TemplateCase.objects.bulk_create(many)
    answer = previewed.client.post(f"{previewed.url}cases/add/", {"source": json.dumps(GOOD)})
    assert (answer.status_code, previewed.template.cases.count()) == (422, 100)
    assert "There are 100 cases already." in answer.content.decode()


def test_the_cases_of_the_catalogue_are_shown_and_not_changed(operator: User) -> None:
    catalog.install()
    template = Template.objects.get(account=None, service_id="generic")
    page = (
        signed_in(operator).get(f"/admin/integrations/template/{template.pk}/studio/cases/").content.decode()
    )
    assert "built in, cannot be changed" in page
    assert "cases pass." in page


@pytest.mark.parametrize("who", ["member", "organization admin", "other account", "operator"])
def test_who_may_see_previews_and_cases(
    previewed: Previewed, who: str, alice: User, admin_of_acme: User, operator: User,
    make_reseller: Callable[[], User],
) -> None:  # fmt: skip
    row = keep(previewed, GOOD)
    people = {"member": alice, "organization admin": admin_of_acme, "operator": operator}
    client = signed_in(people[who] if who in people else make_reseller())
    expected = {"member": 403, "operator": 200}.get(who, 404)
    for page in ("preview/", "cases/", "cases/add/", f"cases/{row.pk}/"):
        assert client.get(f"{previewed.url}{page}").status_code == expected
    if who == "operator":
        return
    for page in ("preview/", "cases/add/", f"cases/{row.pk}/", f"cases/{row.pk}/delete/"):
        data = {"source": json.dumps(BAD), "keep": "message"}
        assert client.post(f"{previewed.url}{page}", data).status_code == expected
    row.refresh_from_db()
    assert (previewed.template.cases.count(), json.loads(row.source)) == (1, GOOD)


def test_a_case_of_another_template_is_not_found(
    previewed: Previewed, make_reseller: Callable[[], User]
) -> None:
    row = keep(previewed, GOOD)
    other = make_reseller()
    template = Template(account=other.memberships.get().account)
    template.revise(json.dumps({"id": "northern", "name": "Northern", "API": {}}))
    url = f"/admin/integrations/template/{template.pk}/studio/cases/{row.pk}/"
    assert signed_in(other).get(url).status_code == 404
    assert signed_in(other).post(f"{url}delete/").status_code == 404
    assert previewed.template.cases.count() == 1
