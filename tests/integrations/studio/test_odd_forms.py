"""Whatever is posted to the studio, by whoever may use it, is never a fault of the server.

`--hypothesis-profile=thorough` tries more and longer.
"""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import Integration, TemplateCase
from integrations.studio.urls import PAGES
from portal.models import Organization, User
from tests.integrations.studio.conftest import PREVIEWED, Previewed

SEND = {
    "name": "A text is sent",
    "kind": "send",
    "message": {"from": "+15005550006", "to": "+15005550001", "text": "Hello"},
    "responses": [
        {"status": 200, "headers": {"x-a": "b"}, "json": {"status": "accepted", "message_id": "1"}}
    ],
    "expect": [{"method": "POST"}],
    "outcome": {"result": "sent"},
}
RECEIVE = {
    "name": "A text arrives",
    "kind": "receive",
    "request": {"method": "POST", "path": "a/b", "query": {"a": ["b"]}, "headers": {"x-a": "b"}, "json": {
        "event": "mo", "id": "1", "from": "15005550001", "to": "15005550006", "text": "Hi"}},
    "expect": {"events": [{"type": "message", "text": "Hi"}], "response": {"status": 200}},
}  # fmt: skip
CURL = "curl https://api.acme.example/sms -d to=61412345678 -d from=61855555501 -d text=Hello"
HTTP = 'POST /services/acme-sms/a1?a=b HTTP/1.1\nHost: x.example\nContent-Type: application/json\n\n{"event": "mo"}'
ODD = [
    "", " ", "0", "1", "2", "-1", "1e400", "-1e999999", "NaN", "1.5", "\u00b2", "\u0661", "true", "null", "[]", "{}",
    "\0", "a\0b", "\ufffd", "\u202e\u2066", "\r\n", "$a$", "$to|digits$", "%zz", "../../x", "<b>&amp;", "\ud800",
    '"\\ud800"', '{"\\ud800": "\\u0000"}', "[" * 5_000, '{"a":' * 200 + "1" + "}" * 200, "9" * 30, "9" * 5_000,
    "2147483648", "9223372036854775808", "x" * 20_000, "{" + '"a": 1,' * 3_000 + '"b": 2}', "all", "some", "save", "json",
    "show", "add", "send", "reply", "real", "clear", "close", "share", "unshare", "keep", "webhook", "answer", "written",
    "pasted", "captured", "case-0", "case-1", "signed", "off", "as it is", "timeout", CURL, HTTP, "on",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**40, "", "x", "\0", "\ud800", "$a$", "$to$", "$response.a$", [], {}, [[]], [{}], {"": ""},
    {"a": None}, ["x"] * 50, "9" * 400, "(", "1e400", "https://a.example", "http://[", "//", "Übel", {"$a$": {"$b$": []}},
]  # fmt: skip
FIELDS = {
    "example": ["request", "file_request", "answer", "error", "webhook-0", "webhook-1", "known-to", "known-sender",
                "known-text", "word", "means", "id", "name", "shown", "do", "capture", "based"],
    "document": ["source", "based"],
    "check": ["source"],
    "captures": ["x"],
    "capture": ["do"],
    "preview": ["sender", "to", "text", "file", "count", "size", "country", "reply_to", "answer", "status", "headers", "body",
                "source", "pasted", "check", "property-0", "property-1", "property-2", "fill", "keep", "capture", "revision"],
    "case_add": ["source"],
    "case": ["source"],
    "case_delete": ["x"],
    "trial": ["do", "text", "file", "answer", "report", "picture", "sender", "to", "token", "integration", "revision"],
    "publish": ["revision", "for", "organization", "answer", "anyway", "moves", "over"],
    "start": ["from", "account", "name", "service_id", "source", "file", "part", "template", "q"],
    "setup": ["do", "property-0", "property-1", "property-2", "answer"],
    "organization trial": ["do", "text", "file", "answer", "report", "picture", "sender", "to", "token", "integration"],
}  # fmt: skip
DO = {
    "example": ["save", "json", "show", "add"], "capture": ["close", "share", "unshare"],
    "trial": ["send", "reply", "real", "clear"], "organization trial": ["send", "reply", "real", "clear"],
    "setup": ["off", "on", "confirm", "check"],
}  # fmt: skip


def test_the_fields_of_each_page_are_known() -> None:
    """A new page must say here what is posted to it."""
    posted = PAGES.keys() - {"capture_changes", "cases"}
    assert posted == FIELDS.keys() - {"start", "setup", "organization trial"}


@st.composite
def changed(draw: st.DrawFn, documents: list[dict[str, Any]]) -> str:
    """A document with some values that are replaced by odd ones, removed, or under another key."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _number in range(draw(st.integers(0, 3))):
        node: Any = document
        for _level in range(draw(st.integers(0, 6))):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            inner = [key for key in keys if isinstance(node[key], dict | list) and node[key]]
            if not inner:
                break
            node = node[draw(st.sampled_from(inner))]
        key = draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        if draw(st.integers(0, 5)):
            node[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        else:
            del node[key]
        if not document:
            break
    text = json.dumps(document)
    return text.replace('"1e400"', "1e400") if draw(st.booleans()) else text


DOCUMENTS, CASES = changed([PREVIEWED]), changed([SEND, RECEIVE])
WORDS = st.sampled_from(ODD) | st.text(max_size=20)


def words(page: str, field: str) -> st.SearchStrategy[str]:
    if field == "source":
        texts = CASES if page.startswith("case") else DOCUMENTS
        return texts | texts | WORDS
    if field == "do":
        return st.sampled_from(DO[page]) | st.sampled_from(DO[page]) | WORDS
    if field in ("body", "pasted", "answer", "error", "webhook-0"):
        return WORDS | st.sampled_from(VALUES).map(json.dumps)
    return WORDS


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, int, list[tuple[str, str]], bool]:
    """A page, which id it has in its URL, what is posted, and whether that is as multipart."""
    page = draw(st.sampled_from(sorted(FIELDS)))
    names = draw(st.lists(st.sampled_from(FIELDS[page]), max_size=6))
    pairs = [(name, draw(words(page, name))) for name in names]
    if page in DO and not any(name == "do" for name, _value in pairs):
        pairs.append(("do", draw(st.sampled_from(DO[page]))))
    return page, draw(st.integers(0, 5)), pairs, draw(st.booleans())


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(
        f"{name}={quote_from_bytes(value.encode('utf-8', 'surrogatepass'))}" for name, value in pairs
    )


@pytest.fixture
def urls(previewed: Previewed, acme: Organization, reseller: User) -> dict[str, list[str]]:
    """The URLs by page, with the right ids and with wrong ones."""
    template, base = previewed.template, previewed.url
    for number, case in enumerate((SEND, RECEIVE)):
        TemplateCase.objects.create(template=template, name=str(number), source=json.dumps(case))
    odd = {**SEND, "responses": [{"status": 10**400, "base64": "x", "headers": []}]}
    TemplateCase.objects.create(
        template=template, name="odd", source=json.dumps(odd).replace(f"{10**400}", "1e400")
    )
    TemplateCase.objects.create(template=template, name="list", source="[]")
    integration = Integration.objects.create(organization=acme, template=template)
    capture = template.captures.create(account=acme.account, author=reseller)
    captured = capture.requests.create(request=RECEIVE["request"])
    wrong = [0, 9, 2**31, 2**63, 10**30]
    case = template.cases.first()
    assert case is not None
    keys = {"capture": capture.pk, "case": case.pk}
    found: dict[str, list[str]] = {}
    for name, (route, _view) in PAGES.items():
        part = "capture" if "<int:capture>" in route else "case" if "<int:case>" in route else ""
        numbers = [keys[part], *wrong] if part else [0]
        found[name] = [base + route.replace(f"<int:{part}>", str(number)) for number in numbers]
    found["preview"].append(f"{base}preview/?capture={captured.pk}&revision=1")
    found["start"] = ["/admin/integrations/template/add/"]
    own = f"/admin/integrations/integration/organization/{acme.pk}/{integration.template_id}/"
    found["setup"], found["organization trial"] = [own], [f"{own}trial/"]
    return found


@given(st.lists(forms(), min_size=1, max_size=3))
@settings(
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_no_form_is_a_fault(
    previewed: Previewed,
    urls: dict[str, list[str]],
    posted: list[tuple[str, int, list[tuple[str, str]], bool]],
) -> None:
    client: Client = previewed.client
    with transaction.atomic():
        for page, index, pairs, multipart in posted:
            url = urls[page][index % len(urls[page])]
            if multipart:
                form: dict[str, Any] = {}
                for name, value in pairs:
                    data = value.encode("utf-8", "replace")
                    form.setdefault(name, []).append(
                        SimpleUploadedFile("a.json", data) if name == "file" else data.decode()
                    )
                answer = client.post(url, form)
            else:
                answer = client.post(url, encoded(pairs), content_type="application/x-www-form-urlencoded")
            assert answer.status_code < 500
            following = answer.headers.get("Location") or (
                url if page not in ("check", "case_delete") else urls["cases"][0]
            )
            assert client.get(following).status_code < 500
        for name in ("preview", "cases", "publish"):
            assert client.get(urls[name][0]).status_code < 500
        transaction.set_rollback(True)
