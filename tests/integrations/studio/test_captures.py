"""A capture takes a provider's requests by any method, hides credentials, and says what they mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations import case_http
from integrations.case_schema import check_request
from integrations.events import InboundRequest
from integrations.models import Capture, CapturedRequest, Integration, PropertyValues, Template
from integrations.properties import store
from integrations.redact import Redactor
from integrations.studio import captures
from integrations.studio.captures import views
from integrations.studio.example.private import is_private, written
from messaging import retention
from portal.models import Organization, User

SECRET, SHARED = "planted-secret-1", "planted-secret-2"
DOCUMENT = {
    "id": "acme-sms",
    "name": "Acme SMS",
    "properties": ["API key", {"name": "Hook", "secret": True}, {"name": "Account", "secret": False}],
    "API": {
        "SendMessage": {
            "request_url": "https://api.acme.example/sms",
            "request_headers": {"X-Key": "$API key$"},
            "request_parameters": {"to": "$to$"},
        }
    },
    "Webhook": {
        "verify": {"type": "query", "name": "proof", "value": "$Hook$"},
        "events": [
            {
                "event_type": "ignore",
                "request_method": "GET",
                "when": {"$query.challenge$": "abc"},
                "response": {"body": "$query.challenge$"},
            },
            {
                "event_type": "message",
                "request_parameters": {
                    "event": "mo",
                    "sender": "$from$",
                    "recipient": "$to$",
                    "body": "$content$",
                    "id": "$messageid$",
                },
                "response": {"status": 202, "body": {"ok": True}},
            },
            {
                "event_type": "messageStatus",
                "request_parameters": {"event": "dlr", "id": "$messageid$", "state": "$status$"},
                "status_map": {"DELIVRD": "delivered"},
            },
        ],
    },
}
MESSAGE = {
    "event": "mo",
    "sender": "+61412345678",
    "recipient": "+61855555501",
    "body": "G'day <b>",
    "id": "m-1",
}


@pytest.fixture
def template(acme: Organization) -> Template:
    template = Template(account=acme.account)
    template.revise(json.dumps(DOCUMENT))
    return template


@pytest.fixture
def capture(template: Template, reseller: User) -> Capture:
    return captures.open_for(template, reseller)


@pytest.fixture
def url(capture: Capture) -> str:
    return f"/captures/{capture.key}"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(capture: Capture) -> str:
    return reverse("admin:integrations_studio_capture", args=[capture.template_id, capture.pk])


def post(url: str, body: Any, kind: str = "application/json", **more: Any) -> Any:
    return Client().post(url, json.dumps(body) if kind.endswith("json") else body, content_type=kind, **more)


# --- Who ---


def test_an_account_admin_captures_and_sees_what_arrives(template: Template, reseller: User) -> None:
    client = signed_in(reseller)
    index = reverse("admin:integrations_studio_captures", args=[template.pk])
    assert "Capture a request" in client.get(index).content.decode()
    page = client.post(index)["Location"]
    capture = Capture.objects.get()
    assert (capture.account, capture.template, capture.author) == (template.account, template, reseller)
    shown = client.get(page).content.decode()
    assert f"http://localhost:8000/captures/{capture.key}" in shown
    assert "Nothing has arrived yet." in shown
    seen = views.stamp_of(capture)
    assert client.get(f"{page}changes/?seen={seen}").status_code == 204
    assert post(f"/captures/{capture.key}", MESSAGE).status_code == 202
    fragment = client.get(f"{page}changes/?seen={seen}").content.decode()
    assert "A text message." in fragment
    assert "G&#x27;day &lt;b&gt;" in fragment
    row = CapturedRequest.objects.get()
    assert f"/admin/integrations/template/{template.pk}/studio/example/?capture={row.pk}" in fragment
    assert "one request" in client.get(index).content.decode()
    client.post(page, {"do": "close"})
    assert (Capture.objects.count(), CapturedRequest.objects.count()) == (0, 0)
    assert post(f"/captures/{capture.key}", MESSAGE).status_code == 404


@pytest.mark.parametrize("role", ["other account", "organization admin", "user"])
def test_nobody_else_sees_or_makes_one(
    capture: Capture, url: str, alice: User, admin_of_acme: User, make_reseller: Callable[[], User], role: str
) -> None:
    user = {
        "other account": make_reseller,
        "organization admin": lambda: admin_of_acme,
        "user": lambda: alice,
    }
    client, expected = signed_in(user[role]()), 403 if role == "user" else 404
    post(url, MESSAGE)
    index = reverse("admin:integrations_studio_captures", args=[capture.template_id])
    for path in (index, page_of(capture), f"{page_of(capture)}changes/"):
        assert client.get(path).status_code == expected
    for path in (index, page_of(capture)):
        assert client.post(path, {"do": "close"}).status_code == expected
    assert (Capture.objects.count(), CapturedRequest.objects.count()) == (1, 1)


def test_a_capture_belongs_to_its_template(capture: Capture, reseller: User, acme: Organization) -> None:
    other = Template(account=acme.account)
    other.revise(json.dumps({**DOCUMENT, "id": "other", "name": "Other"}))
    page = reverse("admin:integrations_studio_capture", args=[other.pk, capture.pk])
    assert signed_in(reseller).get(page).status_code == 404
    assert signed_in(reseller).post(page, {"do": "close"}).status_code == 404
    assert Capture.objects.count() == 1


def test_a_built_in_template_has_none(operator: User, db: None) -> None:
    template = Template.objects.create(service_id="x", name="X")
    index = reverse("admin:integrations_studio_captures", args=[template.pk])
    client = signed_in(operator)
    assert "Copy it into one first." in client.get(index).content.decode()
    assert client.post(index).status_code == 302
    assert Capture.objects.count() == 0


# --- What is taken ---


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["", "/", "/more/of%20it"])
def test_any_method_is_kept(url: str, method: str, path: str) -> None:
    answer = Client().generic(method, url + path, b"a=1", "application/x-www-form-urlencoded")
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"", "text/plain")
    (row,) = CapturedRequest.objects.all()
    assert (row.request["method"], row.request["path"]) == (method, path.replace("%20", " "))
    assert row.request["text"] == "a=1"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_who_asks_whether_somebody_is_there_is_answered(url: str, method: str) -> None:
    assert Client().generic(method, url).status_code == 200
    assert CapturedRequest.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ""),
        (b"\xff\xfe\x00", "application/json"),
        (b"{", "application/json"),
        (b"[" * 5000, "application/json"),
        (b'{"a": 1e999, "b": "\\ud83d", "a\\u0000": NaN}', "application/json"),
        (b'{"key": 12345678901234567890.10}', "application/json; charset=nonsense"),
        (b"<a><!DOCTYPE b []></a>", "text/xml"),
        (b"<a:b xmlns:a='x'>\xe9</a:b>", "application/xml"),
        (b"%zz=%ff&\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (b"\x89PNG\x00", "image/png"),
    ],
)
def test_garbage_is_kept_and_shown(
    url: str, capture: Capture, reseller: User, body: bytes, kind: str
) -> None:
    assert Client().generic("POST", f"{url}?%ff=%00&a", body, kind).status_code == 200
    (row,) = CapturedRequest.objects.all()
    assert check_request(row.request) == []
    assert signed_in(reseller).get(page_of(capture)).status_code == 200
    captures.share(capture, shared=True)
    assert Client().get(f"/understood/{capture.key}/").status_code == 200


def test_what_has_no_credentials_stays_as_it_came(url: str) -> None:
    body = b'{ "id": 12345678901234567890, "amount": 1.10, "text": "caf\\u00e9" }'
    Client().generic("POST", f"{url}/in?a=%41&b", body, "application/json", headers={"X-Event": "mo"})
    request = case_http.inbound(CapturedRequest.objects.get().request)
    assert (request.method, request.path, request.query, request.body) == ("POST", "in", "a=%41&b", body)
    assert request.headers.items() >= {"content-type": "application/json", "x-event": "mo"}.items()


def test_the_draft_answers_what_it_knows(url: str, template: Template) -> None:
    assert Client().get(f"{url}?challenge=abc").content == b"abc"
    template.save_draft(json.dumps(DOCUMENT).replace('{"body": "$query.challenge$"}', '{"body": "draft"}'))
    assert Client().get(f"{url}?challenge=abc").content == b"draft"
    assert (post(url, MESSAGE).status_code, post(url, {"event": "x"}).content) == (202, b"")


# --- Limits ---


def test_an_account_has_twenty_at_once(template: Template, reseller: User) -> None:
    for _ in range(captures.MAX_OPEN):
        captures.open_for(template, reseller)
    with pytest.raises(ValidationError, match="20 captures are open"):
        captures.open_for(template, reseller)
    page = reverse("admin:integrations_studio_captures", args=[template.pk])
    answer = signed_in(reseller).post(page, follow=True)
    assert "20 captures are open." in answer.content.decode()
    assert Capture.objects.count() == 20
    Capture.objects.filter(pk=Capture.objects.earliest("pk").pk).update(expires_at=timezone.now())
    captures.open_for(template, reseller)


def test_the_oldest_request_goes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "MAX_REQUESTS", 3)
    for number in range(5):
        post(url, {"number": number})
    assert [row.request["text"] for row in CapturedRequest.objects.all()] == [
        '{"number": 4}',
        '{"number": 3}',
        '{"number": 2}',
    ]


@pytest.mark.parametrize(("size", "status"), [(captures.MAX_BODY, 200), (captures.MAX_BODY + 1, 413)])
def test_what_is_too_large_is_not_kept(url: str, size: int, status: int) -> None:
    assert post(url, b"x" * size, "text/plain").status_code == status
    assert CapturedRequest.objects.count() == (status == 200)


def test_an_expired_one_is_unknown_everywhere(url: str, capture: Capture, reseller: User) -> None:
    captures.share(capture, shared=True)
    post(url, MESSAGE)
    assert timedelta(hours=23) < capture.expires_at - timezone.now() <= timedelta(hours=24)
    Capture.objects.update(expires_at=timezone.now())
    assert post(url, MESSAGE).status_code == 404
    assert Client().get(f"/understood/{capture.key}/").status_code == 404
    for path in (page_of(capture), f"{page_of(capture)}changes/"):
        assert signed_in(reseller).get(path).status_code == 404
    index = reverse("admin:integrations_studio_captures", args=[capture.template_id])
    assert page_of(capture) not in signed_in(reseller).get(index).content.decode()
    assert CapturedRequest.objects.count() == 1


def test_what_no_key_decrypts_stops_no_other(
    url: str, capture: Capture, reseller: User, settings: Any
) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    post(url, {"from": "+61412345678"})
    settings.ENCRYPTION_KEYS = keys
    post(url, {"from": "+61412345678"})
    post(url, {"from": "+61498765432"})
    client = signed_in(reseller)
    page = client.get(page_of(capture))
    assert page.status_code == 200 and len(page.context["live"].requests) == 2
    lost = CapturedRequest.objects.order_by("pk").values_list("pk", flat=True)[0]
    studio = f"/admin/integrations/template/{capture.template_id}/studio"
    assert client.get(f"{studio}/preview/?capture={lost}").status_code == 404
    answer = client.post(f"{studio}/example/", {"capture": lost, "request": "curl https://api.example.com"})
    page_said = answer.content.decode()
    assert (answer.status_code, "its encryption key is lost" in page_said) == (422, True)
    assert "curl https://api.example.com" in page_said
    assert page_said.count('name="capture"') == 2 and f'name="capture" value="{lost}"' not in page_said
    assert captures.erase(capture.account, re.compile(r"\+61412345678")) == 2
    assert "61498765432" in json.dumps(CapturedRequest.objects.get().request)


def test_the_night_deletes_what_has_expired(capture: Capture, url: str, reseller: User) -> None:
    post(url, MESSAGE)
    Capture.objects.update(expires_at=timezone.now())
    assert capture.template is not None
    other = captures.open_for(capture.template, reseller)
    retention.clean_up()
    assert list(Capture.objects.all()) == [other]
    assert CapturedRequest.objects.count() == 0


@pytest.mark.parametrize("key", ["x" * 43, "x", "x" * 44])
def test_an_unknown_key_is_not_found(db: None, key: str) -> None:
    assert post(f"/captures/{key}", MESSAGE).status_code == 404
    assert Client().get(f"/understood/{key}/").status_code == 404
    assert CapturedRequest.objects.count() == 0


@pytest.mark.parametrize("limit", ["PER_MINUTE", "PER_MINUTE_FROM_ADDRESS"])
def test_too_many_are_refused(url: str, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(views, limit, 2)
    assert [post(url, MESSAGE).status_code for _ in range(2)] == [202, 202]
    refused = post(url, MESSAGE)
    assert (refused.status_code, CapturedRequest.objects.count()) == (429, 2)
    assert 0 < int(refused["Retry-After"]) <= 60
    assert post(url, MESSAGE, REMOTE_ADDR="192.0.2.9").status_code == (429 if limit == "PER_MINUTE" else 202)


# --- Credentials ---


@pytest.fixture
def secrets(template: Template, acme: Organization) -> None:
    integration = Integration.objects.create(organization=acme, template=template)
    store(integration, {"API key": SECRET})
    PropertyValues.objects.create(account=acme.account, template=template, values={"API key": SHARED})


@pytest.mark.parametrize("secret", [SECRET, SHARED])
@pytest.mark.parametrize(
    ("query", "body", "kind"),
    [
        ("a={}", '{{"a": ["x {} y"]}}', "application/json"),
        ("", "a={}&b=1", "application/x-www-form-urlencoded"),
        ("", "<a b='{}'>{}</a>", "text/xml"),
        ("", "it is {}", "text/plain"),
        ("", "\xff {}", "application/octet-stream"),
        ("", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{}\r\n--x--', "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_secrets_of_the_account_are_found_nowhere(
    secrets: None, url: str, capture: Capture, reseller: User, query: str, body: str, kind: str, secret: str
) -> None:
    source = body.format(secret, secret).encode("latin-1")
    for escaped in (False, True):
        sent = source.replace(b"planted", b"\\u0070lanted") if escaped and "json" in kind else source
        answer = Client().generic(
            "POST",
            f"{url}/{secret}?{query.format(secret)}",
            sent,
            kind,
            headers={
                "X-Other": secret,
                "X-Basic": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode(),
            },
        )
        assert answer.status_code == 200
    captures.share(capture, shared=True)
    pages = [signed_in(reseller).get(page_of(capture)), Client().get(f"/understood/{capture.key}/")]
    kept = [json.dumps(row.request) for row in CapturedRequest.objects.all()]
    kept += [case_http.inbound(row.request).body.decode("latin-1") for row in CapturedRequest.objects.all()]
    for found in [*kept, *(page.content.decode() for page in pages)]:
        assert secret not in found
        assert "lanted-secret" not in found


def test_what_proves_a_webhook_is_hidden(url: str, capture: Capture) -> None:
    assert post(f"{url}?proof=hook-value-1&a=1", MESSAGE).status_code == 202
    (row,) = CapturedRequest.objects.all()
    assert row.request["query"] == "proof=%E2%80%A2%E2%80%A2%E2%80%A2&a=1"
    assert json.loads(row.request["text"]) == MESSAGE
    # It still matches.
    captures.share(capture, shared=True)
    assert "A text message." in Client().get(f"/understood/{capture.key}/").content.decode()


def masked(body: str, kind: str, query: str = "", headers: dict[str, str] | None = None) -> dict[str, Any]:
    given = {"content-type": kind, **(headers or {})}
    return written(InboundRequest("POST", "/", query, given, body.encode()), Redactor([]))


@pytest.mark.parametrize(
    ("body", "kind", "kept"),
    [
        ('{"apiKey": "s3cr3t", "a": {"token": 12, "b": 1.10}}', "application/json", '{"apiKey":"•••","a":{"token":"•••","b":1.10}}'),
        ('{"auth": {"user": "u", "pass": "s3cr3t"}, "key": null}', "text/plain", '{"auth":{"user":"u","pass":"•••"},"key":null}'),
        ('[{"Authorization": "x"}, "Bearer abcdef"]', "", '[{"Authorization":"•••"},"Bearer •••"]'),
        ("to=1&api_key=s3cr3t", "application/x-www-form-urlencoded", "to=1&api_key=%E2%80%A2%E2%80%A2%E2%80%A2"),
        ("password=s3cr3t", "", "password=%E2%80%A2%E2%80%A2%E2%80%A2"),
        ("<m><password>s3cr3t</password></m>", "text/xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<m><password>•••</password></m>"),
        ("<m><password>s3cr3t</m>", "text/xml", "<m><password>•••</m>"),
        ('{"apiKey": "s3cr3t"', "application/json", '{"apiKey": "•••"'),
        ('{"password": "s3cr3t", "password": ""}', "application/json", '{"password": "•••", "password": ""}'),
        ('{"token": null, "auth": {"a": [true]}}', "application/json", '{"token": null, "auth": {"a": [true]}}'),
        ("<!-- token=s3cr3t --><a>1</a>", "text/xml", "<!-- token=••• --><a>1</a>"),
        ("Authorization: Bearer s3cr3t", "text/plain", "Authorization: ••• •••"),
        ("monday, the key to it", "text/plain", "monday, the key to it"),
        (r'{"m": "{\"to\": 1, \"m\": \"{\\\"token\\\": 1}\"}"}', "application/json", r'{"m":"{\"to\":1,\"m\":\"{\\\"token\\\":\\\"•••\\\"}\"}"}'),
        ("payload=%7B%22token%22%3A%22s3cr3t%22%7D", "application/x-www-form-urlencoded", "payload=%7B%22token%22%3A%22%E2%80%A2%E2%80%A2%E2%80%A2%22%7D"),
        ('[{"name": "token", "value": "s3cr3t"}, {"name": "a", "value": "b"}]', "application/json", '[{"name":"token","value":"•••"},{"name":"a","value":"b"}]'),
        ('[["Authorization", "s3cr3t"], ["a", "b"]]', "application/json", '[["Authorization","•••"],["a","b"]]'),
        ('{"token": {"value": "s3cr3t"}}', "application/json", '{"token":{"value":"•••"}}'),
        ('{"key": {"id": "A", "from": "+61412345678"}}', "application/json", '{"key": {"id": "A", "from": "+61412345678"}}'),
        ("<m><p name='token' value='s3cr3t'/></m>", "text/xml", '<?xml version="1.0" encoding="UTF-8"?>\n<m><p name="token" value="•••" /></m>'),
        ("<m><password type='a'>s3cr3t</password></m>", "text/xml", '<?xml version="1.0" encoding="UTF-8"?>\n<m><password type="•••">•••</password></m>'),
        ('{"url": "https://user:s3cr3t@a.example/b@c"}', "application/json", '{"url":"https://•••@a.example/b@c"}'),
        ('{"url": "https%3A%2F%2Fa.example%3Faccess_token%3Ds3cr3t"}', "application/json", '{"url": "https%3A%2F%2Fa.example%3Faccess_token%3D•••"}'),
    ],
)  # fmt: skip
def test_credentials_in_a_body_are_known_by_their_names(body: str, kind: str, kept: str) -> None:
    assert masked(body, kind)["text"] == kept


def test_credentials_in_a_part_are_known_by_their_names() -> None:
    body = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\nhello\r\n'
    found = masked(body.format("token") + body.format("text") + "--x--", "multipart/form-data; boundary=x")
    assert found["multipart"] == [{"name": "token", "text": "•••"}, {"name": "text", "text": "hello"}]
    assert "content-type" not in found["headers"]
    assert b"hello" in case_http.inbound(found).body


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("to=1&back=https%3A%2F%2Fa%2F%3Ftoken%3Ds3cr3t", "to=1&back=https%3A%2F%2Fa%2F%3Ftoken%3D{}"),
        ("p=%7B%22api_key%22%3A%20%22s3cr3t%22%7D&a=%41", "p=%7B%22api_key%22%3A%20%22{}&a=%41"),
        ("a=1;token=s3cr3t", "a=1;token={}"),
    ],
)
def test_credentials_within_values_of_a_query_are_known_by_their_names(query: str, kept: str) -> None:
    assert masked("", "", query)["query"] == kept.format("%E2%80%A2%E2%80%A2%E2%80%A2")


def test_credentials_in_headers_and_query_are_known_by_their_names() -> None:
    headers = {
        "authorization": "Basic dTpw",
        "cookie": "a=b",
        "x-api-key": "s3cr3t",
        "x-other": "Bearer s3cr3t-1",
        "x-signature": "abc",
        "user-agent": "Acme/1",
        "x-forwarded-for": "10.0.0.1",
    }
    found = masked("", "", "to=1&token=s3cr3t&Key=&x", headers)
    assert found["query"] == "to=1&token=%E2%80%A2%E2%80%A2%E2%80%A2&Key=&x"
    assert found["headers"] == {
        "content-type": None,
        "authorization": "•••",
        "cookie": "•••",
        "x-api-key": "•••",
        "x-other": "Bearer •••",
        "x-signature": "abc",
        "user-agent": "Acme/1",
    }


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("X-Api-Key", True),
        ("x-auth", True),
        ("Proxy-Authorization", True),
        ("client_secret", True),
        ("accessToken", True),
        ("Ocp-Apim-Subscription-Key", True),
        ("userpassword2", True),
        ("Idempotency-Key", False),
        ("X-Twilio-Signature", False),
        ("messageId", False),
        ("monkey", False),
        ("text", False),
    ],
)
def test_names_of_credentials(name: str, private: bool) -> None:
    assert is_private(name) is private


@given(st.binary(max_size=60), st.sampled_from(["application/json", "text/xml", "", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-16"]), st.text(max_size=20))  # fmt: skip
def test_any_request_is_written_as_cases_are(body: bytes, kind: str, query: str) -> None:
    request = InboundRequest("POST", "/", query, {"content-type": kind}, body)
    found = written(request, Redactor(["s3cr3t"]))
    assert check_request(found) == []
    case_http.inbound(json.loads(json.dumps(found)))


# --- What is understood ---


def test_a_provider_sees_what_is_understood(url: str, capture: Capture, reseller: User) -> None:
    shared = f"/understood/{capture.key}/"
    assert Client().get(shared).status_code == 404
    signed_in(reseller).post(page_of(capture), {"do": "share"})
    post(url, MESSAGE)
    post(url, {"event": "dlr", "id": "m-1", "state": "DELIVRD"})
    post(url, {"event": "dlr", "id": "m-1", "state": "LOST"})
    answer = Client().get(shared)
    shown = answer.content.decode()
    assert (answer["X-Robots-Tag"], answer["Referrer-Policy"]) == ("noindex, nofollow", "no-referrer")
    assert "no-store" in answer["Cache-Control"]
    for text in (
        "A text message.",
        "<dd>+61412345678</dd>",
        "<dd>+61855555501</dd>",
        "<dd>G&#x27;day &lt;b&gt;</dd>",
        "A delivery report: delivered.",
        "It is none of the events that are described.",
        "event: expected &#x27;mo&#x27;, got &#x27;dlr&#x27;",
        "Event 3 (delivery report)",
        "status_map has no entry for &#x27;LOST&#x27;.",
    ):
        assert text in shown, text
    for text in ("request_parameters", "api.acme.example", "$from$", "/Webhook/"):
        assert text not in shown, text
    signed_in(reseller).post(page_of(capture), {"do": "unshare"})
    assert Client().get(shared).status_code == 404


def test_the_shared_page_tells_only_what_is_new(url: str, capture: Capture, template: Template) -> None:
    captures.share(capture, shared=True)
    shared, seen = f"/understood/{capture.key}/", views.stamp_of(capture)
    assert Client().get(f"{shared}?seen={seen}").status_code == 204
    post(url, MESSAGE)
    fragment = Client().get(f"{shared}?seen={seen}").content.decode()
    assert "A text message." in fragment
    assert "<html" not in fragment
    # Another draft may understand more.
    capture.refresh_from_db()
    seen = views.stamp_of(capture)
    template.save_draft(json.dumps({**DOCUMENT, "Webhook": []}))
    fragment = Client().get(f"{shared}?seen={seen}").content.decode()
    assert "No webhook events are described yet." in fragment


def test_the_shared_page_is_limited(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LOOKS_PER_MINUTE", 1)
    captures.share(capture, shared=True)
    assert [Client().get(f"/understood/{capture.key}/").status_code for _ in range(2)] == [200, 429]


def test_pages_take_as_many_queries_for_many_requests(url: str, capture: Capture, reseller: User) -> None:
    captures.share(capture, shared=True)
    client = signed_in(reseller)
    index = reverse("admin:integrations_studio_captures", args=[capture.template_id])
    counts = []
    for more in (1, 5):
        for _ in range(more):
            post(url, MESSAGE)
        with CaptureQueriesContext(connection) as queries:
            for path in (page_of(capture), index):
                client.get(path)
            Client().get(f"/understood/{capture.key}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
