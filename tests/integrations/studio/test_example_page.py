"""The page Build by example: from pasted text to a draft with cases; no credential is stored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations import cases
from integrations.models import Capture, CapturedRequest, PastedSamples, Template, TemplateCase
from integrations.studio.example.forms import MAX_LEAVES, ExampleForm, name_of
from integrations.studio.example.http_text import read_text
from integrations.studio.example.samples import Leaf
from integrations.studio.example.tree import done, missing, pasted
from portal.models import Account, Organization, User
from tests.integrations.studio.conftest import signed_in
from tests.integrations.studio.example.test_http_text import TEXTS
from tests.integrations.studio.example_page import client, template, url_of

__all__ = ["client", "template"]  # fixtures

ELKS = json.loads((Path(__file__).parent / "example/samples/46elks.json").read_text())
SECRET = ELKS["secrets"][0]
SAMPLES = {
    "request": ELKS["request"],
    "answer": ELKS["answer"],
    "error": ELKS["error"],
    **{f"webhook-{index}": text for index, text in enumerate(ELKS["webhooks"])},
    **{f"known-{name}": value for name, value in ELKS["known"].items()},
}


def field_of(name: str, key: str, what: str = "role") -> str:
    """The field for the leaf of a sample of 46elks."""
    sample = read_text(SAMPLES[name], "response" if name in ("answer", "error") else "request" if name == "request" else "webhook")  # fmt: skip
    leaf = sample.leaf(key)
    assert isinstance(leaf, Leaf)
    return name_of(what, name, leaf)


def test_samples_become_a_draft_with_cases(template: Template, client: Client) -> None:
    answer = client.post(url_of(template), {**SAMPLES, "do": "save"})
    assert (answer.status_code, answer["Location"]) == (302, url_of(template).replace("example", "preview"))
    template.refresh_from_db()
    assert template.published is None and template.draft is not None
    compiled = template.draft.compiled
    assert (compiled.id, compiled.name) == ("46elks", "46elks")
    assert [case.name for case in template.cases.all()] == [
        "A text is sent", "A text is refused", "A text arrives (1)", "A report (2)", "A report (3)",
    ]  # fmt: skip
    for case in template.cases.all():
        assert cases.run(compiled, json.loads(case.source)) == ""


def test_who_saves_what_is_not_finished_is_told_what_is_missing(template: Template, client: Client) -> None:
    request = "curl https://api.koala.example/v1/sms -d to=61412345678 -d from=61855555501 -d fixed=yes"
    page = client.post(url_of(template), {"request": request, "do": "save"}, follow=True).content.decode()
    assert "Do not publish it yet. Say which value of the request is the text of the message." in page
    whole = client.post(url_of(template), {**SAMPLES, "do": "save"}, follow=True).content.decode()
    assert "Do not publish it yet" not in whole


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("Qx7Rk2Vn9Lp4Tz8Wm3Bd6Hs1", "https://api.koala.example/v1/sms?$API key$"),
        ("json&Qx7Rk2Vn9Lp4Tz8Wm3Bd6Hs1&v=2", "https://api.koala.example/v1/sms?json&$API key$"),
        ("Qx7R%2Fk2Vn9Lp4Tz8Wm3Bd6Hs1", "https://api.koala.example/v1/sms?$API key$"),
    ],
)
def test_a_credential_that_stands_alone_in_a_query_is_not_stored(
    template: Template, client: Client, query: str, url: str
) -> None:
    to = "-d to=61412345678 -d from=61855555501 -d 'text=Hello there'"
    request = f"curl 'https://api.koala.example/v1/sms?{query}' {to}"
    assert client.post(url_of(template), {"request": request, "do": "save"}).status_code == 302
    template.refresh_from_db()
    assert template.draft is not None
    method = template.draft.compiled.document["API"]["SendMessage"]
    assert method["request_url"].replace("|url", "") == url
    assert method.get("request_query") == ({"v": "2"} if "v=2" in query else None)
    kept = PastedSamples.objects.get().fields
    assert "YOUR_API_KEY" in kept["request"][0]
    stored = [template.draft.source, json.dumps(kept), *(case.source for case in template.cases.all())]
    assert not [text for text in stored if "k2Vn9Lp4Tz8Wm3Bd6Hs1" in text]
    for case in template.cases.all():
        assert cases.run(template.draft.compiled, json.loads(case.source)) == ""
    again = client.get(url_of(template)).context["draft"].document
    assert again == template.draft.compiled.document


def test_nothing_is_stored_until_it_is_saved(template: Template, client: Client) -> None:
    page = client.post(url_of(template), SAMPLES)
    assert page.status_code == 200
    assert "All its 5 cases pass." in page.content.decode()
    assert (template.revisions.count(), template.cases.count()) == (0, 0)


def test_no_credential_is_stored(
    template: Template, client: Client, caplog: pytest.LogCaptureFixture, acme: Organization
) -> None:
    caplog.set_level(logging.DEBUG)
    page = client.post(url_of(template), SAMPLES).content.decode()
    assert page.count(SECRET) == 1  # in the field, where it was pasted
    client.post(url_of(template), {**SAMPLES, "do": "save"})
    stored = [template.revisions.get().source, *(case.source for case in template.cases.all())]
    stored += [str(session.get_decoded()) for session in Session.objects.all()]
    assert SECRET not in "\n".join([*stored, caplog.text])
    for message in ELKS["known"].values():
        assert message not in "\n".join(stored)


def test_saving_again_replaces_the_cases_that_were_built_by_example(
    template: Template, client: Client
) -> None:
    own = json.dumps({"name": "A text is sent", "kind": "send"})
    TemplateCase.objects.create(template=template, name="A text is sent", source=own)
    client.post(url_of(template), {**SAMPLES, "do": "save"})
    client.post(url_of(template), {"request": SAMPLES["request"], "answer": SAMPLES["answer"], "do": "save"})
    assert list(template.cases.values_list("name", "by_example")) == [
        ("A text is sent", False),
        ("A text is sent (2)", True),
    ]
    assert template.cases.get(by_example=False).source == own
    assert json.loads(template.cases.get(by_example=True).source)["name"] == "A text is sent (2)"
    assert [revision.number for revision in template.revisions.all()] == [2, 1]
    client.post(url_of(template), {"request": SAMPLES["request"], "answer": SAMPLES["answer"], "do": "save"})
    assert template.revisions.count() == 2


def test_editing_as_json_goes_on_with_the_saved_draft(template: Template, client: Client) -> None:
    answer = client.post(url_of(template), {**SAMPLES, "do": "json"}, follow=True)
    assert answer.redirect_chain == [(url_of(template).replace("example/", ""), 302)]
    assert "https://api.46elks.com/a1/sms" in answer.content.decode()


def test_a_person_says_what_values_are(template: Template, client: Client) -> None:
    said = {
        field_of("request", "form/from"): "property",
        field_of("request", "form/from", "label"): "Sender name",
        field_of("request", "password", "label"): "API secret",
        field_of("answer", "json/status"): "constant",
        "word": ["failed", "lost", ""],
        "means": ["retrying", "failed", "sent"],
    }
    client.post(url_of(template), {**SAMPLES, **said, "do": "save"})
    document = json.loads(template.revisions.get().source)
    method = document["API"]["SendMessage"]
    assert document["properties"] == [
        {"name": "Sender name", "secret": False},
        {"name": "User name", "secret": False},
        "API secret",
    ]
    assert method["request_parameters"]["from"] == "$Sender name$"
    assert method["response_map"] == {"id": "$messageid$", "status": "created"}
    table = next(event["status_map"] for event in document["Webhook"]["events"] if "status_map" in event)
    assert (table["failed"], table["lost"], "" in table) == ("retrying", "failed", False)


def test_what_was_said_is_kept_on_the_page(template: Template, client: Client) -> None:
    field = field_of("request", "form/from")
    page = client.post(url_of(template), {**SAMPLES, field: "constant"}).content.decode()
    chosen = page.partition(f'<select id="{field}"')[2].partition("</select>")[0]
    assert '<option value="constant" selected>always the same</option>' in chosen
    assert '<option value="">as guessed</option>' in chosen


def test_the_id_and_name_can_be_chosen(template: Template, client: Client) -> None:
    client.post(url_of(template), {**SAMPLES, "id": "elks", "name": "Forty-six Elks", "do": "save"})
    compiled = template.revisions.get().compiled
    assert (compiled.id, compiled.name) == ("elks", "Forty-six Elks")
    page = client.get(url_of(template)).content.decode()
    assert 'name="id" value="elks"' in page and 'name="name" value="Forty-six Elks"' in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"request": "please send it"}, "The request has no URL."),
        ({"request": "HTTP/1.1 200 OK"}, "This is an answer. Paste a request"),
        ({"request": ELKS["request"], "answer": '{"id": "s1", …'}, "The JSON cannot be read"),
        ({"webhook-1": "<a><b></a>"}, "Paste the whole document"),
        ({"request": "x" * (256 * 1024 + 1)}, "The text is longer than 256 KiB."),
        ({"answer": json.dumps(list(range(400)))}, "The sample has more than 300 values"),
        (
            {f"webhook-{index}": json.dumps(list(range(250))) for index in range(3)},
            f"All samples together have more than {MAX_LEAVES} values.",
        ),
        ({}, "Nothing is pasted. Paste how to send a text, or a webhook."),
        ({"request": ELKS["request"], "id": "a b"}, "Use 2 to 64 letters, digits"),
        ({"request": ELKS["request"], "id": "x"}, "Use 2 to 64 letters, digits"),
        ({"request": ELKS["request"], "id": "taken"}, "already has the id &#x27;taken&#x27;"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    template: Template, client: Client, fields: dict[str, str], sentence: str
) -> None:
    Template(account=template.account).revise('{"id": "taken", "name": "Taken", "API": {}}')
    page = client.post(url_of(template), {**fields, "do": "save"})
    assert page.status_code == 422
    assert sentence in page.content.decode()
    assert (template.revisions.count(), template.cases.count()) == (0, 0)


def test_the_errors_are_tied_to_their_fields(template: Template, client: Client) -> None:
    page = client.post(url_of(template), {"request": ELKS["request"], "answer": "{"})
    assert page.status_code == 422
    (field,) = [
        part for part in page.content.decode().split("<textarea ") if part.startswith('id="id_answer"')
    ]
    assert 'aria-invalid="true"' in field and 'id="said-answer" data-live><p class="pb-error"' in field


def test_another_webhook_can_be_added(template: Template, client: Client) -> None:
    def shown(**fields: str) -> int:
        page = client.post(url_of(template), fields).content.decode()
        return page.count("<div data-webhook>")

    assert (shown(), shown(do="add"), shown(do="add", shown="7"), shown(do="add", shown="8")) == (2, 3, 8, 8)
    assert (shown(shown="x"), shown(**{"webhook-4": "a=1"})) == (2, 5)


CAPTURED = {"method": "POST", "query": {"kind": "mo"}, "headers": {"X-Event": "in"}, "json": {"from": "+15005550001", "text": "Moin"}}  # fmt: skip


def capture(account: Account, author: User, template: Template) -> CapturedRequest:
    made = Capture.objects.create(account=account, author=author, template=template)
    return CapturedRequest.objects.create(capture=made, request=CAPTURED)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_captured_request_is_a_sample(
    template: Template, client: Client, reseller: User, method: str
) -> None:
    captured = capture(template.account, reseller, template)  # type: ignore[arg-type]
    fields = {"webhook-0": "id=m-1&status=delivered"} if method == "post" else {}
    page = getattr(client, method)(url_of(template), {**fields, "capture": captured.pk})
    assert page.status_code == 200
    form = page.context["form"]
    name = "webhook-1" if fields else "webhook-0"
    assert form.texts[name].startswith("POST /?kind=mo HTTP/1.1\n")
    assert form.samples[name].leaf("json/text").text == "Moin"
    assert "It takes texts that arrive." in page.content.decode()


def test_only_one_s_own_captures_can_be_used(
    template: Template, client: Client, reseller: User, make_reseller: Callable[[], User]
) -> None:
    other = make_reseller()
    northern = Account.objects.get(name="Northern Voice")
    neighbor = Template.objects.create(account=template.account, service_id="n", name="N")
    mine = capture(template.account, reseller, template)  # type: ignore[arg-type]
    strange = Template.objects.create(account=northern, service_id="s", name="S")
    foreign = [capture(northern, other, strange), capture(template.account, reseller, neighbor)]  # type: ignore[arg-type]
    assert client.post(url_of(template), {"capture": mine.pk}).status_code == 200
    for item in foreign:
        assert client.post(url_of(template), {"capture": item.pk}).status_code == 404
    Capture.objects.update(expires_at="2020-01-01T00:00:00Z")
    for key in (mine.pk, "x", "9" * 30):
        assert client.get(url_of(template), {"capture": key}).status_code == 404


@pytest.mark.parametrize("who", ["member", "organization admin", "other account", "operator"])
def test_who_may_build(
    template: Template, who: str, alice: User, admin_of_acme: User, operator: User,
    make_reseller: Callable[[], User],
) -> None:  # fmt: skip
    people = {"member": alice, "organization admin": admin_of_acme, "operator": operator}
    client = signed_in(people[who] if who in people else make_reseller())
    status = {"member": 403, "operator": 200}.get(who, 404)
    assert client.get(url_of(template)).status_code == status
    assert client.post(url_of(template), SAMPLES).status_code == status
    assert client.post(url_of(template), {**SAMPLES, "do": "save"}).status_code == {200: 302}.get(
        status, status
    )
    assert template.revisions.count() == (1 if who == "operator" else 0)


KEYS = st.sampled_from(["request", "file_request", "answer", "error", "webhook-0", "webhook-7", "known-to", "known-text", "word", "means", "id", "name", "shown"])  # fmt: skip
PIECES = TEXTS | st.sampled_from(
    [ELKS["request"], ELKS["answer"], *ELKS["webhooks"], '{"from": "1", "text": "a", "status": "x"}', "delivered", "9", "\x00"]
)  # fmt: skip


@given(st.dictionaries(KEYS, PIECES, max_size=6), st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_any_form_makes_a_page(fields: dict[str, str], data: st.DataObject) -> None:
    roles = st.sampled_from(
        ["to", "messageid", "status", "credential", "property", "constant", "ignore", "x", ""]
    )
    for field, leaf in ExampleForm(_query(fields)).leaves():
        if data.draw(st.booleans()):
            fields[name_of("role", field, leaf)] = data.draw(roles)
            fields[name_of("label", field, leaf)] = data.draw(st.sampled_from(["", "API key", "a$b", "from"]))
    form = ExampleForm(_query(fields))
    shown = pasted(form)
    assert all(row.name is not None and row.value is not None for item in shown.values() for group in item.groups for row in group.rows)  # fmt: skip
    if form.samples:
        assert all([*done(form.draft.document), *missing(form)])
    form.check()
    assert all(form.errors.values())


def _query(fields: dict[str, str]) -> QueryDict:
    data = QueryDict(mutable=True)
    data.update(fields)
    return data


@given(TEXTS, TEXTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_never_a_fault(template: Template, client: Client, request_: str, webhook: str) -> None:
    fields = {"request": request_, "webhook-0": webhook}
    page = client.post(url_of(template), {name: text.encode("utf-8", "replace").decode() for name, text in fields.items()})  # fmt: skip
    assert page.status_code in (200, 422)
