"""The sandbox provider: takes the portal's messages as a real one would, and sends webhooks back."""

from __future__ import annotations

import hmac
import json
import math
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import filetype
from waitress.server import create_server

from integrations import http
from integrations.events import Fault
from integrations.sandbox import web
from integrations.sandbox.agenda import Agenda
from integrations.sandbox.store import PICTURES, PhoneMessage, Store
from integrations.sandbox.web import ReceivedRequest, Reply
from portal import web_server

Mode = Literal["ok", "401", "429", "500", "refuse", "garbage", "slow", "hang"]

REQUESTS = 10_000
MEDIA_BYTES = 25 * 1024 * 1024


class Sandbox:
    """A messaging provider with an HTTP API at `api_url` and a page that looks like a phone at `url`.

    `numbers` are the portal's numbers, with their labels, that the phone offers for a new conversation.
    A message that was answered with its id is reported delivered `delay_delivered` seconds later, while
    `reports` is true. Memory holds the newest 1,000 messages, 10,000 requests and 100 MiB of files.
    What posts a webhook returns the status of its answer, or 0 when there was none.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhook_url: str = "",
        api_key: str = "sandbox-key",
        delay_delivered: float = 1.0,
        numbers: Sequence[tuple[str, str]] = (),
        phone: str = "+61412345678",
    ) -> None:
        self.host, self.port = host, port
        self.webhook_url = webhook_url
        self.api_key = api_key
        self.delay_delivered = delay_delivered
        self.numbers = numbers
        self.phone = phone
        self.reports = True
        self.received: list[ReceivedRequest] = []
        self.store = Store()
        self._agenda = Agenda()
        self._script: deque[tuple[Mode, float]] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def origin(self) -> str:
        """Scheme, host and port, as an allow-list spells them; with port 0 known once it is started."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where the phone page is, without a slash at the end."""
        return self.origin

    @property
    def api_url(self) -> str:
        """Where messages are sent to: the API URL of the generic service."""
        return f"{self.origin}/api/messages"

    def start(self) -> None:
        """Binds the port (an `OSError` says why it cannot) and serves from threads; also after `stop`."""
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._stopped.clear()
        # The look-ahead is what lets waitress notice that a client has gone while its answer is held back.
        self._server = create_server(
            web.application(self),
            sockets=[listener],
            threads=16,
            ident=None,
            channel_request_lookahead=1,
            # Above our own limit, so that a picture that is too large is refused in words.
            max_request_body_size=2 * web.BODY_BYTES,
        )
        self._thread = threading.Thread(target=self._server.run, name="sandbox", daemon=True)
        self._thread.start()
        self._agenda.start()

    def stop(self) -> None:
        """Ends the threads, answers what is held back, and closes every connection."""
        self._stopped.set()
        web_server.stop(self._server)
        self._thread.join(5)
        self._agenda.stop()

    def answer_with(self, *modes: Mode, seconds: float = 5.0) -> None:
        """Answers the next requests in these ways, one each, then "ok" again; replaces the plan before.

        "401", "429" (Retry-After: 1), "500" and "refuse" (400) take no message. "garbage" (200, an HTML
        page), "slow" (the right answer after `seconds`) and "hang" (none, until the client goes) do.
        """
        for mode in modes:
            if mode not in get_args(Mode):
                raise ValueError(
                    f"The sandbox cannot answer with {mode!r}; it knows {', '.join(get_args(Mode))}."
                )
        with self._lock:
            self._script = deque((mode, seconds) for mode in modes)
        self.store.touch()

    @property
    def next_answer(self) -> Mode:
        """How the next request will be answered."""
        with self._lock:
            return self._script[0][0] if self._script else "ok"

    def text(self, sender: str, to: str, content: str) -> int:
        """Writes a text from the phone `sender` to the portal's number `to`."""
        message = self.store.add(contact=sender, number=to, mine=True, text=content, state="waiting")
        return self.send(message)

    def picture(self, sender: str, to: str, text: str, image: bytes, content_type: str) -> int:
        """Sends a picture (any bytes, unchecked) with its caption from the phone `sender`."""
        name = self.store.keep(image, content_type)
        message = self.store.add(contact=sender, number=to, mine=True, text=text, file=name, state="waiting")
        return self.send(message)

    def send(self, message: PhoneMessage) -> int:
        """Posts the webhook of a message written on a phone, as often as it is called."""
        self.store.change(message, state="waiting", note="")
        params = {"from": message.contact, "to": message.number}
        if message.file:
            params |= {"text": message.text, "url": f"{self.origin}/media/{message.file}"}
            return self._post("file", params, message, "Delivered to Patchbay")
        return self._post("message", params | {"content": message.text}, message, "Delivered to Patchbay")

    def delivered(self, messageid: str) -> int:
        """Reports a message of the portal as delivered."""
        message = self.store.sent_as(messageid)
        return self._post("delivered", {"messageid": messageid}, message, "Reported as delivered")

    def failed(self, messageid: str, reason: str) -> int:
        """Reports a message of the portal as failed."""
        message = self.store.sent_as(messageid)
        return self._post(
            "failed", {"messageid": messageid, "reason": reason}, message, f"Reported as failed: {reason}"
        )

    def answer(self, request: ReceivedRequest, gone: Callable[[], bool]) -> Reply:
        """Takes one request to the API; `gone` tells whether the client still waits."""
        with self._lock:
            self.received.append(request)
            del self.received[:-REQUESTS]
            mode, seconds = self._script.popleft() if self._script else ("ok", 0.0)
        reply = self._answer(request, mode, seconds, gone)
        if mode != "hang":
            request.answered = reply.status
        self.store.touch()
        return reply

    def _answer(
        self, request: ReceivedRequest, mode: Mode, seconds: float, gone: Callable[[], bool]
    ) -> Reply:
        match mode:
            case "401":
                return _error(401, "The API key is not valid.")
            case "429":
                return _error(429, "Too many messages; try again in a second.", ("Retry-After", "1"))
            case "500":
                return _error(500, "The sandbox was told to fail.")
            case "refuse":
                return _error(400, "The recipient cannot receive messages.")
        expected = f"Bearer {self.api_key}".encode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            return _error(401, "The API key is not valid; send it as Authorization: Bearer <key>.")
        if problem := _problem(request.json):
            return _error(400, problem)
        message = self._take(request.json)
        if mode == "garbage":
            return Reply(200, b"<html><body><h1>It works!</h1>", "text/html")
        if mode in ("slow", "hang"):
            self._hold(seconds if mode == "slow" else math.inf, gone)
        if mode == "hang":
            return _error(503, "The sandbox is going down.")
        self._agenda.add(self.delay_delivered, lambda: self._report(message))
        return Reply.of_json(200, {"data": {"id": message.messageid}})

    def _take(self, sent: dict[str, str]) -> PhoneMessage:
        media_url = sent.get("media_url", "")
        message = self.store.add(
            contact=sent["to"],
            number=sent["from"],
            mine=False,
            text=sent.get("content", ""),
            messageid=secrets.token_hex(12),
        )
        if media_url:
            self.store.change(message, state="waiting", note="Fetching the file…")
            self._agenda.add(0, lambda: self._fetch(message, media_url))
        return message

    def _fetch(self, message: PhoneMessage, url: str) -> None:
        answer = http.fetch(url, max_bytes=MEDIA_BYTES)
        if isinstance(answer, Fault):
            return self.store.change(
                message, state="failed", note=f"The file could not be fetched: {answer.text}"
            )
        if answer.status != 200:
            return self.store.change(
                message, state="failed", note=f"The file's URL answered {answer.status}."
            )
        kind = filetype.guess(answer.body)
        if kind is None or kind.mime not in PICTURES:
            declared = answer.headers.get("content-type", "unknown type")
            note = f"A file came: {declared}, {len(answer.body):,} bytes."
            return self.store.change(message, state="", note=note)
        name = self.store.keep(answer.body, kind.mime)
        return self.store.change(message, state="", note="", file=name)

    def _hold(self, seconds: float, gone: Callable[[], bool]) -> None:
        waited = 0.0
        while waited < seconds and not gone() and not self._stopped.wait(min(0.1, seconds - waited)):
            waited += 0.1

    def _report(self, message: PhoneMessage) -> None:
        if not self.reports:
            return
        if message.state == "failed":
            self.failed(message.messageid, message.note)
        else:
            self.delivered(message.messageid)

    def _post(self, method: str, params: dict[str, str], message: PhoneMessage | None, done: str) -> int:
        status, problem = self._call({"method": method, "params": params})
        if message is not None and problem:
            self.store.change(message, state="failed", note=problem)
        elif message is not None:
            self.store.change(message, state="accepted", note=f"{done} ({status})")
        return status

    def _call(self, document: dict[str, Any]) -> tuple[int, str]:
        if not self.webhook_url:
            return 0, "No webhook URL is set; copy it from the integration's page in Patchbay."
        answer = http.fetch(
            self.webhook_url,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps(document).encode(),
            max_bytes=64 * 1024,
            max_redirects=0,
        )
        if isinstance(answer, Fault):
            return 0, f"Patchbay was not reached: {answer.text}"
        if 200 <= answer.status < 300:
            return answer.status, ""
        said = answer.body[:200].decode(errors="replace").strip()
        return answer.status, f"Patchbay answered {answer.status}" + (f": {said}" if said else "")


def _error(status: int, message: str, *headers: tuple[str, str]) -> Reply:
    return Reply.of_json(status, {"error": {"message": message}}, *headers)


def _problem(sent: Any) -> str:
    if not isinstance(sent, dict):
        return "The body is not a JSON object."
    for key in ("from", "to", "content", "media_url"):
        if not isinstance(sent.get(key, ""), str):
            return f"{key} is not a text."
    if missing := [key for key in ("from", "to") if not sent.get(key)]:
        return f"{' and '.join(missing)} must be given."
    if not sent.get("content") and not sent.get("media_url"):
        return "Neither content nor media_url is given."
    return ""
