"""The preview shows what will happen, stores nothing of it, and makes cases when one asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations import cases
from integrations.models import Capture, CapturedRequest, TemplateCase
from portal.models import User
from tests.integrations.studio.conftest import PREVIEWED, Previewed, signed_in

SECRET = "planted-secret-77"
WEBHOOK = {"event": "mo", "id": "id-884422", "from": "+61412345678", "to": "+61855555501", "text": "Meet Ann"}


def test_the_first_look_shows_a_nasty_message(previewed: Previewed) -> None:
    page = previewed.client.get(f"{previewed.url}preview/").content.decode()
    assert "POST https://api.acme.example/v2/sms" in page
    assert "He said \\&quot;hi\\&quot; &amp; &#x27;bye&#x27; &lt;b&gt;" in page
    assert "X-Api-Key: •••" in page
    assert "Paste a request to see which event it matches." in page


def test_what_one_changes_changes_the_request(previewed: Previewed) -> None:
    page = previewed.preview(to="+61412345678", text="Hello", **{"property-2": "ACME"})
    assert "&quot;recipient&quot;: &quot;61412345678&quot;" in page
    assert "&quot;sender&quot;: &quot;ACME&quot;" in page


def test_a_secret_that_is_entered_is_not_shown_again(previewed: Previewed) -> None:
    assert SECRET not in previewed.preview(**{"property-0": SECRET, "property-1": SECRET})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "400", "body": '{"code": 21}'}, "The rule at /API/SendMessage/response_errors/0 holds."),
        (
            {"status": "400", "body": '{"code": 1, "reason": "no"}'},
            '<q class="pb-quote">Acme says no.</q>',
        ),
        ({"answer": "timeout"}, "Nobody knows whether the message was sent"),
        ({"answer": "connect"}, "Not accepted now: Patchbay tries again later, by itself."),
        ({"body": '{"status": "accepted", "message_id": "m-5"}'}, "<code>m-5</code>"),
        ({"pasted": json.dumps(WEBHOOK)}, "“Meet Ann”"),
        ({"pasted": json.dumps(WEBHOOK), "check": "as it is"}, "Nothing is filed."),
        ({"pasted": "x" * 300_000}, "Ensure this value has at most"),
        ({"count": "99", "size": "x", "file": "nothing"}, "Ensure this value is less than or equal to 10"),
    ],
)
def test_answers_and_webhooks_are_explained(previewed: Previewed, fields: dict[str, str], said: str) -> None:
    assert said in previewed.preview(**fields)


def test_what_is_pasted_counts_before_the_case_that_stands_there(previewed: Previewed) -> None:
    for name in ("One", "Two"):
        request = {"method": "POST", "json": {**WEBHOOK, "text": f"Case {name}"}}
        case = {"name": name, "kind": "receive", "request": request, "expect": {"events": []}}
        previewed.template.cases.create(name=name, source=json.dumps(case))
    form = previewed.client.get(f"{previewed.url}preview/").context["form"]
    first, second = (key for key, (name, _case) in form._webhooks.items() if name in ("One", "Two"))
    assert form.initial["source"] == first
    pasted = json.dumps(WEBHOOK)
    assert "“Case One”" in previewed.preview(source=first)
    assert "“Meet Ann”" in previewed.preview(source=first, pasted=pasted)
    assert "“Case Two”" in previewed.preview(source=second, pasted=pasted)


def test_a_preview_writes_nothing(previewed: Previewed) -> None:
    with CaptureQueriesContext(connection) as asked:
        previewed.preview(pasted=json.dumps(WEBHOOK), **{"property-0": SECRET})
    written = [
        query["sql"] for query in asked if not query["sql"].startswith(("SELECT", "SAVEPOINT", "RELEASE"))
    ]
    assert written == []


def test_the_published_revision_can_be_previewed_beside_the_draft(previewed: Previewed) -> None:
    moved = json.dumps(PREVIEWED).replace("api.acme.example", "new.acme.example")
    previewed.template.save_draft(moved)
    draft = previewed.client.get(f"{previewed.url}preview/").content.decode()
    published = previewed.client.get(f"{previewed.url}preview/?revision=1").content.decode()
    assert ("new.acme.example" in draft, "new.acme.example" in published) == (True, False)
    assert "POST https://api.acme.example/v2/sms" in published
    assert previewed.client.get(f"{previewed.url}preview/?revision=9").status_code == 404


@pytest.mark.parametrize("keep", ["message", "answer", "webhook"])
def test_a_preview_becomes_a_case_that_passes_and_has_no_secret(previewed: Previewed, keep: str) -> None:
    fields = {
        "text": "Hello", "pasted": json.dumps(WEBHOOK), "source": "pasted", "answer": "written", "status": "400",
        "body": '{"code": 21}', "property-0": SECRET, "property-1": SECRET, "keep": keep,
    }  # fmt: skip
    answer = previewed.client.post(f"{previewed.url}preview/", fields)
    row = previewed.template.cases.get()
    assert (answer.status_code, answer["Location"]) == (302, f"{previewed.url}cases/{row.pk}/")
    assert cases.run(previewed.template.published.compiled, json.loads(row.source)) == ""  # type: ignore[union-attr]
    assert SECRET not in row.source


@pytest.mark.parametrize(
    ("groups", "given", "method", "to"),
    [
        (True, "+15005550001, +15005550002,", "SendGroup", ["+15005550001", "+15005550002"]),
        (True, "+15005550001,", "SendMessage", "+15005550001,"),
        (False, "+15005550001, +15005550002", "SendMessage", "+15005550001, +15005550002"),
    ],
)
def test_several_numbers_are_a_group_if_the_template_sends_to_groups(
    previewed: Previewed, groups: bool, given: str, method: str, to: object
) -> None:
    api = {"SendMessage": {"request_url": "https://a.example/one", "request_parameters": {"to": "$to$"}}}
    if groups:
        api["SendGroup"] = {"request_url": "https://a.example/all", "request_parameters": {"to": "$to$"}}
    previewed.template.revise(json.dumps({"id": "acme-sms", "name": "Acme SMS", "API": api}))
    page = previewed.preview(to=given, keep="")
    assert f"The request: <code>{method}</code>" in page
    assert ("To (commas make a group)" in page) == groups
    previewed.client.post(f"{previewed.url}preview/", {"to": given, "text": "Hello", "keep": "message"})
    case = json.loads(previewed.template.cases.get().source)
    assert (case["message"]["to"], case["expect"][0]["json"]) == (to, {"to": to})
    assert previewed.template.published is not None
    assert cases.run(previewed.template.published.compiled, case) == ""


def test_a_case_of_a_webhook_has_nobodys_number_or_words(previewed: Previewed) -> None:
    previewed.client.post(
        f"{previewed.url}preview/", {"pasted": json.dumps(WEBHOOK), "source": "pasted", "keep": "webhook"}
    )
    case = json.loads(previewed.template.cases.get().source)
    assert case["request"]["json"] == {
        "event": "mo", "id": case["request"]["json"]["id"], "from": "+61415550001", "to": "+61855550002",
        "text": "Hello",
    }  # fmt: skip
    assert re.fullmatch(r"id-\d{6}", case["request"]["json"]["id"])
    assert not re.search("884422|412345678|855555501|Meet|Ann", json.dumps(case))
    assert case["name"] == "A text arrives"


@pytest.fixture
def captured(previewed: Previewed) -> CapturedRequest:
    capture = Capture.objects.create(
        account=previewed.template.account,
        template=previewed.template,
        author=User.objects.get(memberships__role="account_admin"),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return CapturedRequest.objects.create(capture=capture, request={"json": WEBHOOK})


def test_a_captured_request_is_previewed(previewed: Previewed, captured: CapturedRequest) -> None:
    page = previewed.client.get(f"{previewed.url}preview/?capture={captured.pk}").content.decode()
    assert "“Meet Ann”" in page
    assert previewed.client.get(f"{previewed.url}preview/?capture={captured.pk + 1}").status_code == 404
    assert previewed.client.get(f"{previewed.url}preview/?capture=x").status_code == 404


def test_a_request_is_not_previewed_after_its_capture_has_expired(
    previewed: Previewed, captured: CapturedRequest
) -> None:
    Capture.objects.update(expires_at=timezone.now())
    assert previewed.client.get(f"{previewed.url}preview/?capture={captured.pk}").status_code == 404


def test_nobody_previews_what_another_account_has_captured(
    previewed: Previewed, captured: CapturedRequest, make_reseller: Callable[[], User]
) -> None:
    other = make_reseller()
    template = previewed.template.__class__(account=other.memberships.get().account)
    template.revise(json.dumps({**PREVIEWED, "id": "northern"}))
    url = f"/admin/integrations/template/{template.pk}/studio/preview/?capture={captured.pk}"
    assert signed_in(other).get(url).status_code == 404


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.one_of(
        st.text(max_size=200),
        st.from_regex(
            r"(POST|GET) /[a-z?=&%]{0,20} HTTP/1\.1\n[A-Za-z-]{1,10}: .{0,20}\n\n.{0,80}", fullmatch=True
        ),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda x: (
                st.lists(x) | st.dictionaries(st.sampled_from(["event", "id", "from", "text", "state"]), x)
            ),
            max_leaves=8,
        ).map(json.dumps),
    )
)
def test_no_pasted_text_is_an_error_of_ours(previewed: Previewed, words: str) -> None:
    previewed.preview(pasted=words, text=words, body=words, headers=words)
    kept = {"pasted": words, "source": "pasted", "answer": "written", "body": words, "text": words}
    for what in ("webhook", "answer"):
        answer = previewed.client.post(f"{previewed.url}preview/", {**kept, "keep": what})
        assert answer.status_code in (200, 302)
    TemplateCase.objects.all().delete()
