"""A template begins by example, as a copy, from a text or with a sample; whatever it is, it is a draft."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations import catalog
from integrations.models import Template, TemplateCase
from integrations.studio.cases import results
from portal.models import Account, Organization, User

ADD = "/admin/integrations/template/add/"
DOCUMENT = '{{\n  "id": "{id}",\n  "name": "Mine",\n  "API": {{"SendMessage": {{"request_url": "https://x.example/{path}"}}}}\n}}'
NAMED: dict[str, Any] = {"name": "Acme SMS", "service_id": ""}
KANNEL = """group = smsc
smsc = http
system-type = generic
smsc-id = acme
smsc-username = u
smsc-password = planted-Secret-77
send-url = "https://sms.acme.example/send?user=%u&pass=%p&to=%P&text=%b"
status-success-regex = "ok"
"""


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def only(account: Account | None) -> Template:
    """The only template of an account, with its draft."""
    return Template.objects.select_related("draft", "published").get(account=account)


@pytest.mark.parametrize("way", ["example", "blank"])
def test_a_named_template_begins(reseller: User, account: Account, way: str) -> None:
    client = signed_in(reseller)
    assert 'name="name"' in client.get(f"{ADD}?from={way}").content.decode()
    answer = client.post(ADD, {**NAMED, "from": way, "account": account.pk}, follow=True)
    template = only(account)
    tab = "example/" if way == "example" else ""
    assert answer.redirect_chain == [(f"/admin/integrations/template/{template.pk}/studio/{tab}", 302)]
    assert "Acme SMS is saved as a draft" in answer.content.decode()
    assert template.draft is not None
    assert (template.service_id, template.name, template.published) == ("acme-sms", "Acme SMS", None)
    assert (template.draft.number, template.draft.author) == (1, reseller)
    assert template.draft.source.startswith("//") is (way == "blank")


def test_the_comments_of_the_sample_stay(reseller: User, account: Account) -> None:
    client = signed_in(reseller)
    client.post(ADD, {**NAMED, "from": "blank", "account": account.pk})
    template = only(account)
    assert template.draft is not None
    source, compiled = template.draft.source, template.draft.compiled
    assert '"id": "acme-sms", // part of the webhook URL' in source
    assert sorted(compiled.methods) == ["SendMessage"] and not compiled.webhook.open
    assert [problem.reason for problem in compiled.warnings] == [
        "This is not JSON. It was read without its comments:"
    ]
    changed = source.replace("SMS through Sample", "Texts through Sample")
    client.post(f"/admin/integrations/template/{template.pk}/studio/", {"source": changed})
    assert template.revisions.get(number=2).source == changed


@pytest.mark.parametrize("slug", ["vonage", "generic", "commio"])
def test_an_entry_is_copied_with_its_cases(
    reseller: User, account: Account, built_in: None, slug: str
) -> None:
    original = Template.objects.get(account=None, service_id=slug)
    form = {
        "from": "copy",
        "template": original.pk,
        "account": account.pk,
        "name": "Ours",
        "service_id": "ours",
    }
    client = signed_in(reseller)
    page = client.get(f"{ADD}?from=copy&template={original.pk}").content.decode()
    assert f'value="{slug}-copy"' in page
    assert client.post(ADD, form).status_code == 302
    template = only(account)
    assert template.draft is not None
    expected = catalog.source(slug).replace(f'"id": "{slug}"', '"id": "ours"')
    assert template.draft.source == expected.replace(f'"name": "{original.name}"', '"name": "Ours"', 1)
    found = results.run(template, template.draft.compiled)
    assert [item.difference for item in found if not item.passed] == []
    assert len(found) == results.score(original, original.published).count > 10  # type: ignore[arg-type]


def test_a_draft_of_ones_own_is_copied(reseller: User, account: Account) -> None:
    mine = Template(account=account)
    mine.revise(DOCUMENT.format(id="mine", path=""))
    mine.save_draft(DOCUMENT.format(id="mine", path="draft"))
    TemplateCase.objects.create(template=mine, name="One", source='{"kind": "send"}')
    form = {"from": "copy", "template": mine.pk, "account": account.pk, "name": "Ours", "service_id": "ours"}
    signed_in(reseller).post(ADD, form)
    found = Template.objects.get(service_id="ours")
    assert found.draft is not None and "https://x.example/draft" in found.draft.source
    assert list(found.cases.values_list("name", "source")) == [("One", '{"kind": "send"}')]
    assert mine.cases.count() == 1


def test_what_is_copied_is_searched(reseller: User, account: Account, built_in: None) -> None:
    client = signed_in(reseller)
    counts = []
    for more in range(2):
        with CaptureQueriesContext(connection) as captured:
            page = client.get(f"{ADD}?from=copy").content.decode()
        counts.append(len(captured))
        assert page.count('class="pb-button" href="?from=copy&amp;template=') == 20 + more
        mine = Template(account=account)
        mine.save_draft(DOCUMENT.format(id=f"mine-{more}", path=""))
    assert counts[0] == counts[1]
    page = client.get(f"{ADD}?from=copy&q=nexmo").content.decode()
    assert re.findall(r'<span class="sr-only"> ([\w ]+)</span></a>', page) == ["Vonage"]


def test_a_document_is_saved_as_it_was_written(reseller: User, account: Account) -> None:
    source = "// model\n" + DOCUMENT.format(id="mine", path="")
    form = {"from": "document", "account": account.pk, "source": source.replace("\n", "\r\n")}
    assert signed_in(reseller).post(ADD, form).status_code == 302
    template = only(account)
    assert template.draft is not None and template.draft.source == source


def test_a_document_is_uploaded(reseller: User, account: Account) -> None:
    file = io.BytesIO(b"\xef\xbb\xbf" + DOCUMENT.format(id="mine", path="").encode())
    file.name = "mine.json"
    form = {"from": "document", "account": account.pk, "file": file}
    assert signed_in(reseller).post(ADD, form).status_code == 302
    assert only(account).service_id == "mine"


def test_problems_are_shown_where_they_are(reseller: User, account: Account) -> None:
    form = {"from": "document", "account": account.pk, "source": DOCUMENT.format(id="mine", path="$too$")}
    answer = signed_in(reseller).post(ADD, form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "line 4, column" in page and "/API/SendMessage/request_url" in page
    assert "too" in page and "Did you mean" in page
    assert "&quot;name&quot;: &quot;Mine&quot;" in page  # what was typed is still there
    assert Template.objects.count() == 0


def test_what_another_system_knows_is_shown_first_and_saved_next(reseller: User, account: Account) -> None:
    client = signed_in(reseller)
    page = client.post(ADD, {"from": "document", "account": account.pk, "source": KANNEL}).content.decode()
    assert "What was taken" in page and "Save as draft" in page
    assert "planted-Secret-77" not in page
    assert Template.objects.count() == 0
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert found
    source = found[1].replace("&quot;", '"').replace("&amp;", "&").replace("&#x27;", "'")
    assert client.post(ADD, {"from": "document", "account": account.pk, "source": source}).status_code == 302
    template = only(account)
    assert template.draft is not None
    assert json.loads(template.draft.source)["API"]["SendMessage"]["request_url"].startswith(
        "https://sms.acme"
    )


def test_one_of_several_is_chosen(reseller: User, account: Account) -> None:
    both = (
        KANNEL + "\n" + KANNEL.replace("smsc-id = acme", "smsc-id = other").replace("sms.acme", "sms.other")
    )
    client, form = signed_in(reseller), {"from": "document", "account": account.pk, "source": both}
    answer = client.post(ADD, form)
    page = answer.content.decode()
    assert (answer.status_code, '<option value="other">other</option>' in page) == (422, True)
    assert "https://sms.other.example" in client.post(ADD, {**form, "part": "other"}).content.decode()
    assert Template.objects.count() == 0


@pytest.mark.parametrize(
    "source",
    [
        "",
        "no json",
        "[]",
        "[" * 100_000,
        '{"id": "x"}',
        "\0",
        '{"id": "generic", "name": "x", "API": {}}',
        '{"id": "mine", "name": "x", "API": {"SendMesage": {"request_url": "https://x.example/"}}}',
        "group = smsc\nsmsc = http\n",
        '{"info": {"schema": "https://schema.getpostman.com/"}, "item": []}',
    ],
)
def test_wrong_texts_are_refused(reseller: User, account: Account, generic: Template, source: str) -> None:
    answer = signed_in(reseller).post(ADD, {"from": "document", "account": account.pk, "source": source})
    assert answer.status_code == 422
    assert Template.objects.filter(account=account).count() == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"name": "…"}, "Use 2 to 64 letters"),
        ({"service_id": "a b"}, "Use 2 to 64 letters"),
        ({"service_id": "generic"}, "already has the id"),
        ({"account": "999999"}, "Select a valid choice"),
    ],
)
@pytest.mark.parametrize("way", ["example", "blank", "copy"])
def test_wrong_names_are_refused(
    reseller: User, account: Account, generic: Template, way: str, given: dict[str, str], reason: str
) -> None:
    form = {"from": way, "template": generic.pk, "account": account.pk, **NAMED, **given}
    answer = signed_in(reseller).post(ADD, form)
    assert (answer.status_code, reason in answer.content.decode()) == (422, True)
    assert (Template.objects.count(), TemplateCase.objects.count()) == (1, 0)


def test_a_template_belongs_to_an_account_that_one_administers(
    reseller: User, make_reseller: Callable[[], User], account: Account, operator: User
) -> None:
    stranger = make_reseller()
    page = signed_in(reseller).get(ADD).content.decode()
    assert f'<input type="hidden" name="account" value="{account.pk}"' in page
    answer = signed_in(stranger).post(ADD, {"from": "blank", "account": account.pk, **NAMED})
    assert (answer.status_code, Template.objects.count()) == (422, 0)
    page = signed_in(operator).get(ADD).content.decode()
    assert "Southern Voice" in page and "Northern Voice" in page and "it is built in" in page
    assert signed_in(operator).post(ADD, {"from": "blank", **NAMED}).status_code == 302
    assert only(None).draft is not None


@pytest.mark.parametrize("who", ["alice", "admin_of_acme"])
def test_others_start_nothing(request: Any, who: str, account: Account, acme: Organization) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, {"from": "blank", "account": account.pk, **NAMED}).status_code == 403
    assert Template.objects.count() == 0


def test_anothers_template_is_not_copied(make_reseller: Callable[[], User], account: Account) -> None:
    mine = Template(account=account)
    mine.save_draft(DOCUMENT.format(id="mine", path="secret-path"))
    client = signed_in(make_reseller())
    assert "Mine" not in client.get(f"{ADD}?from=copy").content.decode()
    for template in (mine.pk, "x", ""):
        form = {"from": "copy", "template": template, **NAMED}
        assert client.get(f"{ADD}?from=copy&template={template}").status_code == 404
        assert client.post(ADD, form).status_code == 404
    assert Template.objects.count() == 1


def test_a_built_in_template_is_viewed_and_copied_not_changed(reseller: User, generic: Template) -> None:
    url, client = f"/admin/integrations/template/{generic.pk}/change/", signed_in(reseller)
    page = client.get(url).content.decode()
    assert (
        f'href="{ADD}?from=copy&amp;template={generic.pk}"' in page
        and "&quot;id&quot;: &quot;generic" in page
    )
    assert client.post(url, {"source": DOCUMENT.format(id="generic", path="")}).status_code == 403
    assert client.get(f"/admin/integrations/template/{generic.pk}/studio/").status_code == 404
    assert generic.revisions.count() == 1


def test_the_page_of_a_template_is_the_studio(reseller: User, operator: User, account: Account) -> None:
    template = Template(account=account)
    template.save_draft(DOCUMENT.format(id="mine", path=""))
    for user in (reseller, operator):
        answer = signed_in(user).get(f"/admin/integrations/template/{template.pk}/change/")
        assert answer["Location"] == f"/admin/integrations/template/{template.pk}/studio/"


def test_the_list_says_the_state_of_each(
    reseller: User, account: Account, acme: Organization, globex: Organization
) -> None:
    client, url = signed_in(reseller), "/admin/integrations/template/"

    def states() -> tuple[list[str], int]:
        with CaptureQueriesContext(connection) as captured:
            page = client.get(url).content.decode()
        return re.findall(r'<td class="field-state[^>]*>\s*([^<]*?)\s*</td>', page), len(captured)

    mine = Template(account=account)
    mine.save_draft(DOCUMENT.format(id="mine", path=""))
    found, few = states()
    assert found == ["Not published · draft 1 waits"]
    mine.publish(mine.draft)  # type: ignore[arg-type]
    for organization in (acme, globex):
        organization.integrations.create(template=mine)
    assert states()[0] == ["Revision 1 is published · used by 2 organizations"]
    for number in range(5):
        Template(account=account).save_draft(DOCUMENT.format(id=f"more-{number}", path=""))
    found, many = states()
    assert (len(found), many) == (6, few)


def test_the_draft_of_a_built_in_template_is_for_operators(
    reseller: User, operator: User, account: Account, generic: Template
) -> None:
    assert generic.published is not None
    draft = generic.save_draft(generic.published.source.replace("Any messaging provider", "secret plan"))
    url = f"/admin/integrations/template/{generic.pk}/revisions/{draft.number}/"
    assert signed_in(reseller).get(url).status_code == 404
    assert "secret plan" in signed_in(operator).get(url).content.decode()
    form = {**NAMED, "from": "copy", "account": account.pk, "template": generic.pk}
    assert signed_in(reseller).post(ADD, form).status_code == 302
    copied = only(account).draft
    assert copied is not None and "secret plan" not in copied.source
