"""What is large or broken takes no longer than a page may take, and is said."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.events import HttpResponse, InboundRequest
from integrations.language.document import compile_document
from integrations.models import Capture, Template, TemplateCase
from integrations.provider_views import answered
from integrations.studio.cases import making
from integrations.studio.cases.making import NoCase
from portal.models import User
from tests.integrations.studio.conftest import PREVIEWED, Previewed

EVENT = {"event": "mo", "id": "1", "from": "61412345678", "to": "61855555501", "text": "Hi"}


def webhook(body: bytes, kind: str = "application/json") -> InboundRequest:
    return InboundRequest(
        "POST", "", "", {"content-type": kind}, body, "192.0.2.1", "https://sms.example.com/x"
    )


def test_no_case_is_made_of_what_is_too_long_for_one() -> None:
    compiled = compile_document(json.dumps(PREVIEWED))
    long = json.dumps({**EVENT, "n": list(range(120_000))}).encode()
    begun = process_time()
    with pytest.raises(NoCase, match="64 KiB"):
        making.webhook_case(compiled, webhook(long))
    answer = HttpResponse(200, {"content-type": "application/json"}, long)
    with pytest.raises(NoCase, match="64 KiB"):
        making.answer_case(compiled, answer, "sent", files=False, private=[])
    assert process_time() - begun < 5  # 14 s for each before
    assert making.webhook_case(compiled, webhook(json.dumps(EVENT).encode()))["expect"]["events"]


def test_a_file_is_not_too_long_for_a_case() -> None:
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in EVENT.items()
    )
    file = '--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = f"{parts}{file}{'j' * 200_000}\r\n--x--\r\n".encode()
    compiled = compile_document(json.dumps(PREVIEWED))
    case = making.webhook_case(compiled, webhook(body, "multipart/form-data; boundary=x"))
    assert len(json.dumps(case)) < 5_000


@pytest.mark.parametrize("shared", [False, True])
def test_many_large_requests_are_shown_and_the_first_are_read(
    previewed: Previewed, reseller: User, client: Client, shared: bool
) -> None:
    template = previewed.template
    assert template.account is not None
    capture = Capture.objects.create(
        account=template.account, template=template, author=reseller, shared=shared
    )
    large = f"<a>{'<b>1</b>' * 30_000}</a>"
    for _number in range(19):
        capture.requests.create(request={"headers": {"content-type": "text/xml"}, "text": large})
    capture.requests.create(request={"json": EVENT})
    begun = process_time()
    url = reverse("understood", args=[capture.key]) if shared else f"{previewed.url}captures/{capture.pk}/"
    answer = client.get(url) if shared else previewed.client.get(url)
    page = answer.content.decode()
    assert (answer.status_code, process_time() - begun < 5) == (200, True)
    assert page.count("has not been read") == 17
    assert page.count("The rest is not shown.") == 19
    assert "A text message." in page
    assert len(page) < 500_000


@pytest.mark.parametrize("source", ["[]", "1", "null", "{}", '"x"', "", "[" * 100])
def test_a_case_needs_a_document(previewed: Previewed, source: str, reseller: User) -> None:
    empty = Template.objects.create(account=previewed.template.account, service_id="empty", name="Empty")
    row = TemplateCase.objects.create(template=empty, name="Old", source="{}")
    base = f"/admin/integrations/template/{empty.pk}/studio/cases/"
    for url in ("add/", f"{row.pk}/"):
        answer = previewed.client.post(base + url, {"source": source})
        assert (answer.status_code, "Write the document first" in answer.content.decode()) == (422, True)
        answer = previewed.client.post(f"{previewed.url}cases/add/", {"source": source})
        assert answer.status_code == 422
    assert [each.source for each in TemplateCase.objects.all()] == ["{}"]


@pytest.mark.parametrize(
    "answer",
    [{"status": "1e400"}, {"status": None}, {"base64": "x"}, {"headers": ["x"]}, {"json": 1, "text": "x"}],
)
def test_the_answer_of_a_case_that_cannot_be_read_is_not_offered(
    previewed: Previewed, answer: dict[str, Any]
) -> None:
    case = {"name": "Old", "kind": "send", "message": {}, "expect": [], "responses": [answer]}
    source = json.dumps(case).replace('"1e400"', "1e400")
    TemplateCase.objects.create(template=previewed.template, name="Old", source=source)
    url = f"{previewed.url}preview/"
    page = previewed.client.get(url)
    assert (page.status_code, "case-0" in page.content.decode()) == (200, False)
    for fields in ({"answer": "case-0"}, {"answer": "case-0", "fill": "1"}):
        assert previewed.client.post(url, fields).status_code == 200


def test_an_answer_in_html_is_no_page_of_the_portal() -> None:
    headers = {
        "Content-Type": "text/html", "Set-Cookie": "sessionid=x", "content-security-policy": "default-src *",
        "X-Content-Type-Options": "", "X-Own": "kept",
    }  # fmt: skip
    response = answered(HttpResponse(200, headers, b"<script src=/captures/x/></script>"))
    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "Set-Cookie" not in response.headers and not response.cookies
    assert "X-Content-Type-Options" not in response.headers  # the portal's own follows
    assert (response.headers["Content-Type"], response.headers["X-Own"]) == ("text/html", "kept")
