"""What was pasted on Build by example: kept with the draft without credentials, and gone on with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client
from django.utils import timezone

from integrations.models import PastedSamples, Template
from integrations.studio import case_storage
from integrations.studio.example import kept
from integrations.studio.example.forms import KINDS, ExampleForm, name_of
from integrations.studio.example.http_text import read_text
from integrations.studio.example.restating import restated
from integrations.studio.example.without_credentials import as_data, without_credentials
from messaging import retention
from portal.models import User
from tests.integrations.studio.conftest import signed_in
from tests.integrations.studio.example_page import client, template, url_of

__all__ = ["client", "template"]  # fixtures

SHOWN = {
    file.stem: json.loads(file.read_text())
    for file in sorted((Path(__file__).parent / "example/samples").glob("*.json"))
}
ELKS = SHOWN["46elks"]
NO_REQUEST = "https://api.x.example/v1/messages"


def fields_of(shown: dict[str, Any]) -> dict[str, list[str]]:
    """What a person pastes of a provider's documentation."""
    texts = {name: [shown[name]] for name in KINDS if shown.get(name)}
    webhooks = {f"webhook-{index}": [text] for index, text in enumerate(shown["webhooks"])}
    return {**texts, **webhooks, **{f"known-{name}": [value] for name, value in shown["known"].items()}}


def form_of(fields: dict[str, list[str]]) -> ExampleForm:
    form = ExampleForm(as_data(fields))
    assert form.check(), form.errors
    return form


def field_of(form: ExampleForm, name: str, key: str, what: str = "role") -> str:
    leaf = form.samples[name].leaf(key)
    assert leaf is not None
    return name_of(what, name, leaf)


def based_in(page: str) -> str:
    found = re.search(r'name="based" value="(\d+)"', page)
    assert found is not None
    return found[1]


def saved(client: Client, template: Template, **more: Any) -> None:
    answer = client.post(url_of(template), {**fields_of(ELKS), "do": "save", **more})
    assert answer.status_code == 302
    template.refresh_from_db()


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_kept_makes_the_same_draft_without_any_secret(name: str) -> None:
    form = form_of(fields_of(SHOWN[name]))
    kept_ = without_credentials(form)
    assert kept_.left_out == []
    again = form_of(kept_.fields)
    assert (again.draft.document, again.draft.cases) == (form.draft.document, form.draft.cases)
    assert not [each for each in SHOWN[name]["secrets"] if each in json.dumps(kept_.fields)]
    assert without_credentials(again).fields == kept_.fields


def test_what_a_person_has_said_is_kept_with_it() -> None:
    form = form_of(fields_of(ELKS))
    said = {
        field_of(form, "request", "form/from"): ["property"],
        field_of(form, "request", "form/from", "label"): ["Sender name"],
        field_of(form, "request", "password", "label"): ["API secret"],
        field_of(form, "answer", "json/status"): ["constant"],
        "word": ["failed", "lost", ""],
        "means": ["retrying", "failed", "sent"],
        "shown": ["4"],
    }
    form = form_of({**fields_of(ELKS), **said})
    again = form_of(without_credentials(form).fields)
    assert again.draft.document == form.draft.document
    assert (again.said, again.shown) == ({"failed": "retrying", "lost": "failed"}, 4)
    assert again.is_told("answer", again.samples["answer"].leaf("json/status"))  # type: ignore[arg-type]
    assert not again.is_told("answer", again.samples["answer"].leaf("json/id"))  # type: ignore[arg-type]


S1, S2 = "hunter2-f00", "sesame/öpen+1"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (f"curl {NO_REQUEST} -u ann:{S1} -d to=+15005550001", []),
        (f"# the key is {S1}\ncurl {NO_REQUEST} -H 'X-Api-Key: {S1}' -d to=+15005550001 # or {S1}", []),
        (f"curl {NO_REQUEST} --proxy-user p:{S1} --cert c.pem:{S2} -H 'X-Key: abcd' -d to=+15005550001", []),
        (f"curl {NO_REQUEST} -H 'Authorization: Bearer {S1}' -d 'to=+15005550001&again={S1}'", []),
        (f'curl {NO_REQUEST} --json \'{{"api_key": "{S2}", "password": "{S1}", "to": "+15005550001"}}\'', []),
        (f"curl '{NO_REQUEST}?token=hunter2-f00&secret=sesame%2F%C3%B6pen%2B1&to=15005550001'", []),
        (f"POST {NO_REQUEST}/{S1} HTTP/1.1\nX-Token: {S1}\nContent-Type: text/xml\n\n"
         f"<a><!-- {S1} --><to>+15005550001</to><key>{S1}</key></a>", []),
        (f"curl {NO_REQUEST} -u 'ann:$ecret1' -d to=+15005550001", []),
        (f"curl {NO_REQUEST} -H 'X-Api-Key: [abcdefgh]' -d to=+15005550001", []),
        (f"POST {NO_REQUEST} HTTP/1.1\nContent-Type: text/xml\n\n"
         f"<a><to>+15005550001</to><key>hunter2<![CDATA[-f00]]></key></a>", ["request"]),
        (f"POST {NO_REQUEST} HTTP/1.1\nContent-Type: text/xml\n\n"
         f"<a><to>+15005550001</to><key>{S1}<user/></key></a>", ["request"]),
        (f"POST {NO_REQUEST} HTTP/1.1\nContent-Type: text/xml\n\n"
         f"<a><to>+15005550001</to><key>hunter2<!-- x -->-f00</key></a>", ["request"]),
        (f"curl {NO_REQUEST} -F token={S1} -F to=+15005550001 -F file=@a.gif", []),
        (f'curl {NO_REQUEST} --json \'{{"{S1}": 1, "token": "{S1}", "to": "+15005550001"}}\'', ["request"]),
        (f"curl https://{S1}.example/a -d token={S1} -d to=+15005550001", ["request"]),
        (f'curl {NO_REQUEST} --json \'{{"pin": 1, "password": "abc", "to": "+15005550001"}}\'', []),
    ],
)  # fmt: skip
def test_no_secret_is_kept_wherever_it_is_written(text: str, lost: list[str]) -> None:
    form = form_of({"request": [text]})
    kept_ = without_credentials(form)
    assert kept_.left_out == lost
    written = json.dumps(kept_.fields, ensure_ascii=False)
    for secret in (
        S1,
        S2,
        "sesame%2F",
        "aHVudGVyMi1mMDA",
        "YW5uOmh1bnRlcj",
        "abcd",
        "$ecret1",
        "hunter2",
        '\\"abc\\"',
    ):
        assert secret not in written
    if not lost and "<!--" not in text:  # what has a secret in a comment is written only without it
        assert form_of(kept_.fields).draft.document == form.draft.document


@pytest.mark.parametrize("said", ["Your token: 123456 is the code", "Your password: see the letter"])
def test_a_text_that_speaks_of_credentials_is_kept(said: str) -> None:
    sample = f"curl {NO_REQUEST} -d from=+15005550006 -d to=+15005550001 --data-urlencode 'text={said}'"
    kept_ = without_credentials(form_of({"request": [sample], "known-text": [said]}))
    assert (kept_.left_out, said.split()[-1] in kept_.fields["request"][0]) == ([], True)


def test_secrets_in_answers_and_webhooks_are_not_kept() -> None:
    fields = {
        "request": [f"curl {NO_REQUEST} -H 'X-Key: {S1}' -d to=+15005550001"],
        "answer": [f'HTTP/1.1 200 OK\nSet-Cookie: sid={S2}\n\n{{"id": "m-1", "access_token": "{S2}"}}'],
        "webhook-0": [f"POST /hook/{S2}?k=1 HTTP/1.1\nX-Webhook-Token: {S1}\n\nfrom=15005550001&text=Hi"],
        "known-text": [S1],
        "word": [S1],
        "means": ["failed"],
    }
    kept_ = without_credentials(form_of(fields))
    assert kept_.left_out == []
    written = json.dumps(kept_.fields, ensure_ascii=False)
    assert S1 not in written and S2 not in written and "/hook" not in written
    assert kept_.fields["answer"][0].startswith("HTTP/1.1 200\nSet-Cookie: YOUR_SET_COOKIE\n")


def test_two_secrets_of_one_name_stay_two() -> None:
    form = form_of({"request": [f"curl {NO_REQUEST} -H 'X-Key: {S1}' -d key={S2} -d to=+15005550001"]})
    labels = form.draft.document["properties"]
    assert len(labels) == 2
    assert form_of(without_credentials(form).fields).draft.document["properties"] == labels


def test_numbers_stay_as_they_were_written() -> None:
    sample = read_text('{"a": 1.10, "b": 12345678901234567890, "c": [true, null, "x\\"y"]}', "webhook")
    text = restated(sample, lambda leaf: leaf.value)
    assert text == '{"a":1.10,"b":12345678901234567890,"c":[true,null,"x\\"y"]}'


def test_the_page_opens_with_what_was_saved(template: Template, client: Client) -> None:
    saved(client, template)
    page = client.get(url_of(template))
    content = page.content.decode()
    assert page.context["form"].draft.document == json.loads(template.draft.source)  # type: ignore[union-attr]
    assert "You go on with what was pasted" in content and "All its 5 cases pass." in content
    assert ELKS["secrets"][0] not in content
    assert 'id="meanwhile"' not in content
    again = dict(PastedSamples.objects.get().fields)
    answer = client.post(url_of(template), {**again, "based": based_in(content), "do": "save"})
    assert answer.status_code == 302
    assert template.revisions.count() == 1  # nothing has changed


def test_nothing_that_is_stored_has_the_secret(template: Template, client: Client) -> None:
    saved(client, template)
    row = PastedSamples.objects.get()
    assert ELKS["secrets"][0] not in json.dumps(row.fields)
    with connection.cursor() as cursor:
        cursor.execute("SELECT fields FROM integrations_pastedsamples")
        assert b"46elks" not in bytes(cursor.fetchone()[0])  # encrypted


def test_a_sample_is_added_to_what_was_saved(template: Template, client: Client) -> None:
    saved(client, template)
    page = client.get(url_of(template)).content.decode()
    again = dict(PastedSamples.objects.get().fields)
    again["webhook-3"] = ["id=s1&status=lost"]
    client.post(url_of(template), {**again, "based": based_in(page), "do": "save"})
    assert template.cases.count() == 6
    assert "webhook-3" in PastedSamples.objects.get().fields


@pytest.mark.parametrize("first", ["built", "written"])
def test_a_document_that_was_edited_is_replaced_only_if_one_says_so(
    template: Template, client: Client, reseller: User, first: str
) -> None:
    if first == "built":
        saved(client, template)
    own = '{"id": "46elks", "name": "By hand", "API": {"SendMessage": {"request_url": "https://x.example/"}}}'
    edited = template.save_draft(own, reseller)
    sentence = "The document was changed after it was built here: revision 2"
    if first == "written":
        sentence = "The document was not built by what is on this page: revision 1"
    page = client.get(url_of(template)).content.decode()
    assert 'id="meanwhile"' in page and sentence in page
    fields = {**fields_of(ELKS), "based": based_in(page), "do": "save"}
    refused = client.post(url_of(template), fields)
    content = refused.content.decode()
    assert refused.status_code == 409 and sentence in content
    assert "Replace the document" in content and "Keep the document" in content
    template.refresh_from_db()
    assert template.draft == edited
    assert template.cases.count() == (5 if first == "built" else 0)
    answer = client.post(url_of(template), {**fields, "based": based_in(content)})
    assert answer.status_code == 302
    template.refresh_from_db()
    assert template.draft is not None and template.draft.number == edited.number + 1
    assert 'id="meanwhile"' not in client.get(url_of(template)).content.decode()


def test_a_blank_document_is_replaced_without_asking(
    template: Template, client: Client, reseller: User
) -> None:
    template.save_draft('{"id": "blank", "name": "Blank", "API": {}}', reseller)
    page = client.get(url_of(template)).content.decode()
    assert 'id="meanwhile"' not in page
    answer = client.post(url_of(template), {**fields_of(ELKS), "based": based_in(page), "do": "save"})
    assert answer.status_code == 302


def test_a_case_that_was_changed_by_hand_is_not_replaced(template: Template, client: Client) -> None:
    saved(client, template)
    case = template.cases.get(name="A text is sent")
    case_storage.change(case, case.source)
    assert template.cases.filter(by_example=True).count() == 5
    own = case.source.replace("Hello", "Moin")
    case_storage.change(case, own)
    client.post(url_of(template), {**fields_of(ELKS), "do": "save"})
    assert template.cases.get(by_example=False).source == own
    assert template.cases.count() == 6


def test_what_was_pasted_can_be_deleted(template: Template, client: Client) -> None:
    saved(client, template)
    answer = client.post(url_of(template), {"do": "forget"})
    assert (answer.status_code, answer["Location"]) == (302, url_of(template))
    assert not PastedSamples.objects.exists()
    assert (template.revisions.count(), template.cases.count()) == (1, 5)
    page = client.get(url_of(template))
    assert page.context["form"].samples == {} and 'id="kept"' not in page.content.decode()


def test_it_is_kept_for_30_days(template: Template, client: Client) -> None:
    saved(client, template)
    PastedSamples.objects.update(saved_at=timezone.now() - timedelta(days=30) + timedelta(minutes=5))
    retention.clean_up()
    assert kept.of(template) is not None
    PastedSamples.objects.update(saved_at=timezone.now() - timedelta(days=30))
    assert kept.of(template) is None
    retention.clean_up()
    assert not PastedSamples.objects.exists()


def test_the_page_opens_although_the_encryption_key_is_lost(
    template: Template, client: Client, settings: Any
) -> None:
    saved(client, template)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    page = client.get(url_of(template))
    assert (page.status_code, page.context["form"].samples) == (200, {})


def test_enter_neither_saves_nor_deletes(template: Template, client: Client) -> None:
    saved(client, template)
    form = client.get(url_of(template)).content.decode().partition('id="example"')[2].partition("</form>")[0]
    buttons = re.findall(r"<button[^>]*>", form)
    assert 'value="show"' in buttons[0]  # the first is what Enter presses
    assert 'value="forget"' not in form


def test_what_is_too_long_is_not_kept(
    template: Template, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_CHARACTERS", 500)
    answer = client.post(url_of(template), {**fields_of(ELKS), "do": "save"}, follow=True)
    assert "Not all that you pasted is kept" in answer.content.decode()
    assert PastedSamples.objects.get().fields == {}


def test_a_number_is_erased_with_what_was_pasted(template: Template, client: Client) -> None:
    saved(client, template)
    account = template.account
    assert account is not None
    assert kept.erase(account, re.compile("99999")) == 0
    assert kept.erase(account, re.compile(r"\+46700000002")) == 1  # it is percent-encoded in a webhook
    assert not PastedSamples.objects.exists()


def test_what_no_key_decrypts_is_erased_and_stops_no_other(
    template: Template, client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    account, keys = template.account, settings.ENCRYPTION_KEYS
    assert account is not None
    others = [Template(account=account) for _ in range(2)]
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    saved(client, template)
    settings.ENCRYPTION_KEYS = keys
    document = template.latest.source  # type: ignore[union-attr]
    for other, number in zip(others, ["+46700000002", "+46700000003"], strict=True):
        other.revise(json.dumps(json.loads(document) | {"id": f"sms{number[1:]}"}))
        PastedSamples.objects.create(
            template=other, revision=other.latest, fields={"webhook-0": [number]}, saved_at=timezone.now()
        )
    assert kept.erase(account, re.compile(r"\+46700000002")) == 2
    assert [row.template for row in PastedSamples.objects.all()] == [others[1]]
    assert "PastedSamples.fields: a row cannot be decrypted" in caplog.text


@pytest.mark.parametrize("who", ["member", "organization admin", "other account"])
def test_nobody_else_sees_or_deletes_it(
    template: Template, client: Client, who: str, alice: User, admin_of_acme: User,
    make_reseller: Callable[[], User],
) -> None:  # fmt: skip
    saved(client, template)
    people = {"member": alice, "organization admin": admin_of_acme}
    other = signed_in(people[who] if who in people else make_reseller())
    assert other.get(url_of(template)).status_code in (403, 404)
    assert other.post(url_of(template), {"do": "forget"}).status_code in (403, 404)
    assert PastedSamples.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "body", "kept_body"),
    [
        ("application/json", r'{"m": "{\"token\": \"Zx9Qw7Kp2LmN4vBt\"}"}', None),
        ("application/json", '{"m": "https://u:Zx9Qw7Kp2LmN4vBt@a.example/b"}', None),
        ("application/json", '{"m": "https://a.example/?token=Zx9Qw7Kp2LmN4vBt"}', None),
        ("application/json", '{"m": "https%3A%2F%2Fa.example%3Ftoken%3DZx9Qw7Kp2LmN4vBt"}', None),
        ("application/x-www-form-urlencoded", "m=%7B%22token%22%3A%22Zx9Qw7Kp2LmN4vBt%22%7D", None),
        ("text/plain", "password: Zx9Qw7Kp2LmN4vBt", None),
        ("text/xml", "<a><?b password='Zx9Qw7Kp2LmN4vBt'?><c>1</c></a>", None),
        ("application/json", '{"token": {"value": "Zx9Qw7Kp2LmN4vBt"}}', '{"token":{"value":"YOUR_VALUE"}}'),
        ("application/json", '[{"name": "token", "value": "Zx9Qw7Kp2LmN4vBt"}]', '[{"name":"token","value":"YOUR_VALUE"}]'),
        ("text/xml", "<a><b name='token'>Zx9Qw7Kp2LmN4vBt</b></a>", "<a><b name='token'>YOUR_B</b></a>"),
        ("application/json", '{"key": {"id": "Zx9Qw7Kp2LmN4vBt"}}', '{"key":{"id":"Zx9Qw7Kp2LmN4vBt"}}'),
    ],
)  # fmt: skip
def test_credentials_within_values_are_not_kept(kind: str, body: str, kept_body: str | None) -> None:
    found = without_credentials(form_of({"answer": [f"HTTP/1.1 200 OK\nContent-Type: {kind}\n\n{body}"]}))
    assert found.left_out == ([] if kept_body else ["answer"])
    if kept_body is None:
        assert "Zx9Qw7Kp2LmN4vBt" not in repr(found.fields)
    else:
        assert found.fields["answer"][0].partition("\n\n")[2] == kept_body
