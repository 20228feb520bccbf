"""The sandbox provider over real HTTP; a small local server stands for the portal's webhook."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from integrations.sandbox import Mode, Sandbox
from integrations.sandbox.catalog_entry import services

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 32
OURS, PHONE = "+61855555555", "+61412345678"
BEARER = {"Authorization": "Bearer sandbox-key"}
TEXT = {"from": OURS, "to": PHONE, "extension": "101", "domain": "acme", "content": "Hello there!"}


class Portal(ThreadingHTTPServer):
    """Records every webhook, answers with `status`, and serves `files` by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.webhooks: list[Any] = []
        self.files: dict[str, tuple[str, bytes]] = {}
        self.status = 200
        self.origin = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Portal

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.webhooks.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.answer(self.server.status, "text/plain", b"noted" if self.server.status == 200 else b"not now")

    def do_GET(self) -> None:
        if self.path in self.server.files:
            self.answer(200, *self.server.files[self.path])
        else:
            self.answer(404, "text/plain", b"gone")

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def portal(settings: Any) -> Iterator[Portal]:
    server = Portal()
    settings.PATCHBAY_ALLOWED_ORIGINS = [server.origin]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox(portal: Portal) -> Iterator[Sandbox]:
    sandbox = Sandbox(
        webhook_url=f"{portal.origin}/services/generic/a1",
        delay_delivered=0.05,
        numbers=[(OURS, "Reception")],
    )
    sandbox.start()
    yield sandbox
    sandbox.stop()


def call(
    sandbox: Sandbox,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10,
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def send(sandbox: Sandbox, body: Any = TEXT, headers: dict[str, str] = BEARER) -> tuple[int, dict[str, Any]]:
    status, _, content = call(sandbox, "POST", "/api/messages", body, headers)
    return status, json.loads(content)


def state(sandbox: Sandbox) -> dict[str, Any]:
    status, _, content = call(sandbox, "GET", "/state")
    assert status == 200
    document: dict[str, Any] = json.loads(content)
    return document


def bubbles(sandbox: Sandbox) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = state(sandbox)["messages"]
    return messages


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it did not happen within 5 seconds"
        time.sleep(0.01)


def webhook(method: str, **params: str) -> tuple[str, str, dict[str, Any]]:
    return "/services/generic/a1", "application/json", {"method": method, "params": params}


def test_a_text_arrives_on_the_phone_and_is_reported_delivered(sandbox: Sandbox, portal: Portal) -> None:
    status, answer = send(sandbox)
    messageid = answer["data"]["id"]
    assert (status, answer) == (200, {"data": {"id": messageid}})
    until(lambda: bubbles(sandbox)[0]["state"] == "accepted")
    assert portal.webhooks == [webhook("delivered", messageid=messageid)]
    [bubble] = bubbles(sandbox)
    assert (bubble["contact"], bubble["number"], bubble["text"]) == (PHONE, OURS, "Hello there!")
    assert (bubble["mine"], bubble["note"]) == (False, "Reported as delivered (200)")


def test_a_request_is_kept_verbatim(sandbox: Sandbox) -> None:
    body = b'{"from": "+61855555555",  "to":"+61412345678","content":"\xc3\xa9"}'
    call(
        sandbox,
        "POST",
        "/api/messages?x=1",
        body,
        BEARER | {"Content-Type": "application/json", "X-Test": "a"},
    )
    [request] = sandbox.received
    assert (request.method, request.path, request.body) == ("POST", "/api/messages?x=1", body)
    assert request.json == {"from": OURS, "to": PHONE, "content": "é"}
    assert request.headers["authorization"] == "Bearer sandbox-key"
    assert (request.headers["x-test"], request.headers["content-type"]) == ("a", "application/json")
    assert request.answered == 200


def test_each_message_gets_an_id_of_its_own(sandbox: Sandbox) -> None:
    assert send(sandbox)[1] != send(sandbox)[1]


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (TEXT, {}, 401, "The API key is not valid."),
        (
            TEXT,
            {"Authorization": "Bearer other"},
            401,
            "The API key is not valid.",
        ),
        ([TEXT], BEARER, 400, "from and to must be given."),
        (b"{", BEARER, 400, "from and to must be given."),
        (b"[" * 100_000, BEARER, 400, "from and to must be given."),
        (b"\xff", BEARER, 400, "from and to must be given."),
        ({"content": "Hi"}, BEARER, 400, "from and to must be given."),
        ({"from": OURS, "content": "Hi"}, BEARER, 400, "to must be given."),
        ({"from": OURS, "to": PHONE}, BEARER, 400, "A text or a file must be given."),
        ({"from": OURS, "to": [PHONE], "content": "Hi"}, BEARER, 400, "to must be given."),
    ],
)
def test_what_is_not_a_message_is_refused(
    sandbox: Sandbox, portal: Portal, body: Any, headers: dict[str, str], status: int, message: str
) -> None:
    assert send(sandbox, body, headers) == (status, {"error": {"message": message}})
    assert len(sandbox.received) == 1
    time.sleep(0.1)
    assert (bubbles(sandbox), portal.webhooks) == ([], [])


@pytest.mark.parametrize(
    ("mode", "status", "message"),
    [
        ("401", 401, "The API key is not valid."),
        ("429", 429, "Too many messages; try again in a second."),
        ("500", 500, "Something went wrong."),
        ("refuse", 400, "The recipient cannot receive messages."),
    ],
)
def test_a_refusal_on_demand_takes_no_message(
    sandbox: Sandbox, mode: Mode, status: int, message: str
) -> None:
    sandbox.answer_with(mode)
    answered, headers, body = call(sandbox, "POST", "/api/messages", TEXT, BEARER)
    assert (answered, json.loads(body)) == (status, {"error": {"message": message}})
    assert headers.get("retry-after") == ("1" if mode == "429" else None)
    assert bubbles(sandbox) == []
    assert send(sandbox)[0] == 200


def test_answers_come_in_the_order_they_were_asked_for(sandbox: Sandbox) -> None:
    sandbox.answer_with("429")
    sandbox.answer_with("500", "ok", "refuse")
    assert [send(sandbox)[0] for _ in range(5)] == [500, 200, 400, 200, 200]
    assert [request.answered for request in sandbox.received] == [500, 200, 400, 200, 200]


def test_an_unknown_answer_is_refused_and_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.answer_with("429")
    with pytest.raises(ValueError, match="no mode 'teapot'"):
        sandbox.answer_with("ok", "teapot")  # type: ignore[arg-type]
    assert sandbox.next_answer == "429"


def test_garbage_takes_the_message_without_a_report(sandbox: Sandbox, portal: Portal) -> None:
    sandbox.answer_with("garbage")
    status, headers, body = call(sandbox, "POST", "/api/messages", TEXT, BEARER)
    assert (status, headers["content-type"], body) == (200, "text/html", b"<html><body><h1>It works!</h1>")
    time.sleep(0.15)
    assert [bubble["text"] for bubble in bubbles(sandbox)] == ["Hello there!"]
    assert portal.webhooks == []


def test_slow_answers_late_and_right(sandbox: Sandbox) -> None:
    sandbox.answer_with("slow", seconds=0.3)
    started = time.monotonic()
    status, answer = send(sandbox)
    assert (status, list(answer)) == (200, ["data"])
    assert 0.3 <= time.monotonic() - started < 3


def test_hang_takes_the_message_and_never_answers(sandbox: Sandbox) -> None:
    sandbox.answer_with("hang")
    with pytest.raises(TimeoutError):
        call(sandbox, "POST", "/api/messages", TEXT, BEARER, timeout=0.3)
    assert len(bubbles(sandbox)) == 1
    assert sandbox.received[0].answered is None
    assert send(sandbox)[0] == 200


def test_stop_ends_a_request_that_hangs(portal: Portal) -> None:
    sandbox = Sandbox()
    sandbox.start()
    sandbox.answer_with("hang")
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    headers = BEARER | {"Content-Type": "application/json"}
    connection.request("POST", "/api/messages", json.dumps(TEXT), headers)
    until(lambda: sandbox.received)
    sandbox.stop()
    assert connection.getresponse().status == 503
    connection.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("sandbox")] == []


def test_a_provider_that_was_down_comes_back_on_the_same_port(sandbox: Sandbox) -> None:
    port = sandbox.port
    sandbox.stop()
    with pytest.raises(ConnectionRefusedError):
        send(sandbox)
    assert sandbox.received == []
    sandbox.start()
    assert (sandbox.port, send(sandbox)[0]) == (port, 200)


def test_no_reports_while_they_are_switched_off(sandbox: Sandbox, portal: Portal) -> None:
    assert call(sandbox, "POST", "/phone/settings", {"reports": False})[0] == 204
    send(sandbox)
    time.sleep(0.15)
    assert portal.webhooks == []


def test_delivered_and_failed_can_be_reported_by_hand(sandbox: Sandbox, portal: Portal) -> None:
    assert sandbox.delivered("id-1") == 200
    assert sandbox.failed("id-2", "No such number") == 200
    assert portal.webhooks == [
        webhook("delivered", messageid="id-1"),
        webhook("failed", messageid="id-2", reason="No such number"),
    ]


def test_a_picture_is_fetched_and_shown_from_a_copy(sandbox: Sandbox, portal: Portal) -> None:
    portal.files["/media/a.png"] = ("image/png", PNG)
    status, answer = send(sandbox, {"from": OURS, "to": PHONE, "media_url": f"{portal.origin}/media/a.png"})
    until(lambda: portal.webhooks)
    portal.files.clear()
    [bubble] = bubbles(sandbox)
    assert (status, bubble["text"]) == (200, "")
    status, headers, body = call(sandbox, "GET", f"/media/{bubble['file']}")
    assert (status, headers["content-type"], body) == (200, "image/png", PNG)
    assert portal.webhooks == [webhook("delivered", messageid=answer["data"]["id"])]


def test_a_file_that_cannot_be_fetched_is_reported_failed(sandbox: Sandbox, portal: Portal) -> None:
    _, answer = send(sandbox, {"from": OURS, "to": PHONE, "media_url": f"{portal.origin}/media/none.png"})
    reason = "The file's URL returned status 404."
    until(lambda: portal.webhooks)
    assert portal.webhooks == [webhook("failed", messageid=answer["data"]["id"], reason=reason)]
    assert bubbles(sandbox)[0]["file"] == ""


def test_a_file_that_is_no_picture_is_named_and_not_served(sandbox: Sandbox, portal: Portal) -> None:
    portal.files["/a.svg"] = ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    sandbox.reports = False
    send(sandbox, {"from": OURS, "to": PHONE, "media_url": f"{portal.origin}/a.svg"})
    until(lambda: bubbles(sandbox)[0]["state"] == "")
    assert (bubbles(sandbox)[0]["file"], bubbles(sandbox)[0]["note"]) == (
        "",
        "Received a file: image/svg+xml, 41 bytes.",
    )


def test_the_phone_writes_a_text(sandbox: Sandbox, portal: Portal) -> None:
    assert sandbox.text(PHONE, OURS, 'Hi "there" 👋') == 200
    assert portal.webhooks == [webhook("message", **{"from": PHONE, "to": OURS, "content": 'Hi "there" 👋'})]
    [bubble] = bubbles(sandbox)
    assert (bubble["mine"], bubble["state"], bubble["note"]) == (
        True,
        "accepted",
        "Delivered to Patchbay (200)",
    )


def test_a_group_is_on_all_phones_and_told_only_where_the_provider_knows_groups(
    sandbox: Sandbox, portal: Portal
) -> None:
    other = "+61498765432"
    assert sandbox.text(PHONE, f"0498 765 432, {OURS}", "Hi all") == 0
    assert portal.webhooks == []
    assert [
        (each["contact"], each["number"], each["sender"], each["mine"], each["note"])
        for each in bubbles(sandbox)
    ] == [
        (other, f"{PHONE}, {OURS}", PHONE, False, ""),
        (PHONE, f"{other}, {OURS}", "", True, "This provider does not deliver texts to groups."),
    ]


def test_the_phone_sends_a_picture(sandbox: Sandbox, portal: Portal) -> None:
    assert sandbox.picture(PHONE, OURS, "Look", PNG, "image/png") == 200
    [(_, _, document)] = portal.webhooks
    url = document["params"].pop("url")
    assert document == {"method": "file", "params": {"from": PHONE, "to": OURS, "text": "Look"}}
    assert url.startswith(f"{sandbox.origin}/media/")
    assert url.endswith(".png")
    path = url.removeprefix(sandbox.origin)
    assert call(sandbox, "GET", path)[2] == PNG
    status, headers, body = call(sandbox, "HEAD", path)
    assert (status, headers["content-type"], headers["content-length"], body) == (
        200,
        "image/png",
        str(len(PNG)),
        b"",
    )


def test_a_refused_webhook_says_why_and_can_be_tried_again(sandbox: Sandbox, portal: Portal) -> None:
    portal.status = 503
    assert sandbox.text(PHONE, OURS, "Hi") == 503
    [bubble] = bubbles(sandbox)
    assert (bubble["state"], bubble["note"]) == ("failed", "Patchbay responded with status 503: not now")
    portal.status = 200
    assert call(sandbox, "POST", "/phone/again", {"id": bubble["id"]})[0] == 204
    [bubble] = bubbles(sandbox)
    assert (bubble["state"], bubble["note"]) == ("accepted", "Delivered to Patchbay (200)")
    assert len(portal.webhooks) == 2


def test_without_a_webhook_url_the_phone_says_what_to_do(sandbox: Sandbox, portal: Portal) -> None:
    sandbox.webhook_url = ""
    assert sandbox.text(PHONE, OURS, "Hi") == 0
    note = "No webhook URL is set. Copy it from the integration's page in Patchbay."
    assert (bubbles(sandbox)[0]["note"], portal.webhooks) == (note, [])


def test_a_webhook_that_nobody_hears_gives_0(sandbox: Sandbox, portal: Portal, settings: Any) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://127.0.0.1:1"]
    sandbox.webhook_url = "http://127.0.0.1:1/services/generic/a1"
    assert sandbox.text(PHONE, OURS, "Hi") == 0
    [bubble] = bubbles(sandbox)
    assert bubble["state"] == "failed"
    assert bubble["note"].startswith("Patchbay could not be reached: ")


def test_the_page_sends_texts_and_pictures(sandbox: Sandbox, portal: Portal) -> None:
    assert call(sandbox, "POST", "/phone/text", {"contact": PHONE, "number": OURS, "text": "Hi"})[0] == 204
    query = "contact=%2B61412345678&number=%2B61855555555&text=Look"
    assert call(sandbox, "POST", f"/phone/picture?{query}", PNG, {"Content-Type": "image/png"})[0] == 204
    assert [document["method"] for _, _, document in portal.webhooks] == ["message", "file"]
    assert [(b["contact"], b["number"], b["text"]) for b in bubbles(sandbox)] == [
        (PHONE, OURS, "Hi"),
        (PHONE, OURS, "Look"),
    ]


FULL = {"contact": PHONE, "number": OURS, "text": "Hi"}
NO_PICTURE = "This file is not a JPEG, PNG, GIF or WebP picture. Choose another."
TOO_LARGE = "The picture is larger than 5 MiB. Choose a smaller one."
PICTURE = "/phone/picture?contact=1&number=2"


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "error"),
    [
        ("/phone/text", FULL, "text/plain", 415, "The content type must be application/json."),
        ("/phone/text", FULL | {"text": " "}, "application/json", 400, "text is missing."),
        ("/phone/text", FULL | {"number": 1}, "application/json", 400, "number is missing."),
        ("/phone/text", [], "application/json", 400, "The body must be a JSON object."),
        (PICTURE, PNG, "text/plain", 415, "Only pictures can be sent."),
        (PICTURE, b"<svg/>", "image/svg+xml", 415, NO_PICTURE),
        ("/phone/picture?contact=1", PNG, "image/png", 400, "number is missing."),
        (PICTURE, PNG + b"\0" * (5 << 20), "image/png", 413, TOO_LARGE),
        ("/phone/again", {"id": 7}, "application/json", 404, "This message is no longer on the phone."),
        ("/phone/settings", {"reports": 1}, "application/json", 400, "reports must be true or false."),
        ("/phone/settings", {"reports": False, "answer": "hang"}, "application/json", 400,
         "answer must be one of ok, 429, 500, refuse, slow, garbage."),
    ],
)  # fmt: skip
def test_what_the_page_cannot_do_changes_nothing(
    sandbox: Sandbox, portal: Portal, path: str, body: Any, content_type: str, status: int, error: str
) -> None:
    before = state(sandbox)
    answered, _, content = call(sandbox, "POST", path, body, {"Content-Type": content_type})
    assert (answered, json.loads(content)) == (status, {"error": error})
    assert (state(sandbox), portal.webhooks) == (before, [])


def test_the_page_plans_the_next_answer(sandbox: Sandbox) -> None:
    assert call(sandbox, "POST", "/phone/settings", {"answer": "429"})[0] == 204
    assert state(sandbox)["next_answer"] == "429"
    assert [send(sandbox)[0] for _ in range(2)] == [429, 200]
    assert state(sandbox)["next_answer"] == "ok"


def test_state_tells_only_what_changed(sandbox: Sandbox) -> None:
    sandbox.text(PHONE, OURS, "One")
    first = state(sandbox)
    assert first["reset"] is True
    assert (first["phone"], first["numbers"]) == (PHONE, [{"number": OURS, "label": "Reception"}])
    assert call(sandbox, "GET", f"/state?since={first['cursor']}")[0] == 204
    sandbox.text(PHONE, OURS, "Two")
    second = json.loads(call(sandbox, "GET", f"/state?since={first['cursor']}")[2])
    assert (second["reset"], [message["text"] for message in second["messages"]]) == (False, ["Two"])
    other_run = json.loads(call(sandbox, "GET", "/state?since=abcd-9")[2])
    assert (other_run["reset"], [message["text"] for message in other_run["messages"]]) == (
        True,
        ["One", "Two"],
    )


def test_state_shows_the_last_request_and_its_answer(sandbox: Sandbox) -> None:
    assert state(sandbox)["last_request"] is None
    send(sandbox)
    shown = state(sandbox)["last_request"]
    assert shown["text"].startswith("POST /api/messages\n")
    assert "\nAuthorization: Bearer sandbox-key\n" in shown["text"]
    assert shown["text"].endswith("\n\n" + json.dumps(TEXT, indent=2))
    assert shown["answered"] == 200
    assert json.loads(shown["answer"])["data"].keys() == {"id"}


def test_state_says_which_service_it_is(sandbox: Sandbox) -> None:
    assert state(sandbox)["provider"] == {
        "name": "Generic HTTP SMS",
        "pictures": True,
        "reports": True,
        "values": [
            {"label": "API URL", "value": sandbox.api_url},
            {"label": "API key", "value": "sandbox-key"},
        ],
    }


def test_fields_are_shown_one_to_a_line(sandbox: Sandbox) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    call(sandbox, "POST", "/api/messages?a=1%2B&b=2", b"c=3+4&d=", BEARER | form)
    assert state(sandbox)["last_request"]["text"] == (
        "POST /api/messages\n?a=1+\n&b=2\nAuthorization: Bearer sandbox-key\n"
        "Content-Type: application/x-www-form-urlencoded\n\nc=3 4\nd="
    )


def test_only_the_newest_thousand_messages_are_kept(sandbox: Sandbox) -> None:
    for n in range(1_001):
        sandbox.store.add(contact=PHONE, number=OURS, mine=True, text=str(n))
    texts = [message["text"] for message in bubbles(sandbox)]
    assert (len(texts), texts[0], texts[-1]) == (1_000, "1", "1000")


def test_only_the_newest_files_are_kept(sandbox: Sandbox) -> None:
    names = [sandbox.store.keep(b"\0" * (60 << 20), "image/png") for _ in range(2)]
    assert sandbox.store.file(names[0]) is None
    assert sandbox.store.file(names[1]) == ("image/png", b"\0" * (60 << 20))


@pytest.mark.parametrize(
    "path", ["/", "/phone.css", "/phone.js", "/panel.js", "/elements.js", "/phone.svg", "/provider.svg"]
)
def test_the_page_is_served_under_a_strict_policy(sandbox: Sandbox, path: str) -> None:
    status, headers, body = call(sandbox, "GET", path)
    assert (status, len(body) > 100) == (200, True)
    assert headers["content-security-policy"] == (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    )
    assert headers["x-content-type-options"] == "nosniff"


def test_a_provider_without_a_logo_has_that_of_the_sandbox() -> None:
    provider = Sandbox(services()["polled"])
    provider.start()
    assert call(provider, "GET", "/provider.svg")[2] == call(provider, "GET", "/phone.svg")[2] != b""
    provider.stop()


@pytest.mark.parametrize(
    ("method", "path", "status", "kept"),
    [("GET", "/nothing", 404, 0), ("GET", "/media/..%2Fprovider.py", 404, 0), ("GET", "/../web.py", 404, 0),
     ("POST", "/", 404, 0), ("DELETE", "/state", 404, 0), ("GET", "/api/messages", 405, 1),
     ("POST", "/api/other", 404, 1)],
)  # fmt: skip
def test_there_is_nothing_else(sandbox: Sandbox, method: str, path: str, status: int, kept: int) -> None:
    assert call(sandbox, method, path)[0] == status
    assert (len(sandbox.received), bubbles(sandbox)) == (kept, [])
