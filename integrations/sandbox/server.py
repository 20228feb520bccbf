"""The sandbox: accepts the portal's messages as a provider would, and sends webhook requests back."""

from __future__ import annotations

import math
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from integrations.catalog import FOLDER
from integrations.events import HttpResponse, InboundRequest, RenderedRequest
from integrations.language import phones
from integrations.language.api_methods import SEND_MESSAGE
from integrations.sandbox import groups, oauth, portal_client, web
from integrations.sandbox.catalog_entry import read_entry
from integrations.sandbox.provider import AcceptedMessage, Provider
from integrations.sandbox.scheduler import Scheduler
from integrations.sandbox.store import PhoneMessage, Store
from integrations.sandbox.web import ReceivedRequest
from integrations.senders import sender
from portal.server import WebServer

Mode = Literal["ok", "401", "429", "500", "refuse", "garbage", "slow", "hang"]

REQUESTS = 10_000


class Sandbox:
    """A messaging provider with an HTTP API at `api_url`, and a page that looks like a phone at `url`.

    It simulates the provider in `folder`, an entry of the catalogue: it reads the template's requests, and
    responds and sends webhook requests as the cases show. An integration of it needs the template `document`
    and the property `values`. `numbers` are the portal's numbers, with labels, which the phone offers for new
    conversations. Each accepted message is reported as delivered after `delay_delivered` seconds, while
    `reports` is true. The newest 1,000 messages, 10,000 requests and 100 MiB of files are kept in memory.
    Methods that send a webhook request return the status of the response, or 0 without one. A provider that
    is polled keeps them until it is asked, and one with subscriptions calls the last subscriber.
    """

    def __init__(
        self,
        folder: Path = FOLDER / "generic",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhook_url: str = "",
        delay_delivered: float = 1.0,
        numbers: Sequence[tuple[str, str]] = (),
        phone: str = "+61412345678",
    ) -> None:
        self.entry = read_entry(folder)
        self.host, self.port = host, port
        self.webhook_url = webhook_url
        self.delay_delivered = delay_delivered
        self.numbers = numbers
        self.phone = phone
        self.reports = True
        self.received: list[ReceivedRequest] = []
        self.store = Store()
        self._scheduler = Scheduler()
        self._script: deque[tuple[Mode, float]] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def origin(self) -> str:
        """Scheme, host and port, as in an allow-list; port 0 is replaced when the sandbox starts."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of the phone, without a slash at the end."""
        return self.origin

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.entry.template.name

    @property
    def api_url(self) -> str:
        """The URL that texts are sent to."""
        return self.provider.reader.url(SEND_MESSAGE.name)

    @property
    def document(self) -> str:
        """The document of a template whose requests go to the sandbox."""
        return self.provider.hosted.source

    @property
    def service_id(self) -> str:
        """The id of that template."""
        return self.provider.hosted.template.id

    @property
    def values(self) -> dict[str, Any]:
        """The property values for that template: credentials and URLs."""
        return self.provider.hosted.values

    def start(self) -> None:
        """Binds the port, or raises OSError, and serves requests in threads; also after `stop`."""
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self.provider = Provider(self.entry, self.origin)
        self._stopped.clear()
        # Above our own limit, so that a picture that is too large gets an error message.
        most = 2 * web.BODY_BYTES
        self._server = WebServer(
            web.application(self), listener, threads=16, max_body=most, watch_clients=True
        )
        self._server.start()
        self._scheduler.start()

    def stop(self) -> None:
        """Ends the threads, sends delayed responses, and closes every connection."""
        self._stopped.set()
        self._server.stop()
        self._scheduler.stop()

    def answer_with(self, *modes: Mode, seconds: float = 5.0) -> None:
        """Sets how the next requests are answered, one mode each, then "ok" again; replaces earlier modes.

        "401", "429", "500" and "refuse" accept no message, and respond as in the cases. The others accept it:
        "garbage" (200 with an HTML page), "slow" (the right response after `seconds`) and "hang" (no response
        until the client disconnects).
        """
        for mode in modes:
            if mode not in get_args(Mode):
                raise ValueError(f"There is no mode {mode!r}. Use {', '.join(get_args(Mode))}.")
        with self._lock:
            self._script = deque((mode, seconds) for mode in modes)
        self.store.touch()

    @property
    def next_answer(self) -> Mode:
        """The mode of the next response."""
        with self._lock:
            return self._script[0][0] if self._script else "ok"

    def text(self, sender: str, to: str, content: str) -> int:
        """Sends a text from the phone `sender` to the portal's number `to`.

        With commas between there are several, who make a group: numbers of the portal and other phones.
        """
        return self.send(self._written(sender, to, content, ""))

    def picture(self, sender: str, to: str, text: str, image: bytes, content_type: str) -> int:
        """Sends a picture (any bytes, unchecked) with a caption from the phone `sender`, as `text` does."""
        return self.send(self._written(sender, to, text, self.store.keep(image, content_type)))

    def _written(self, sender: str, to: str, text: str, file: str) -> PhoneMessage:
        """A message as it is on the phone of its writer, and on those of others in a group."""
        whom = self._recipients(to)
        if len(whom) > 1:
            whom, to = [each for each in whom if each != sender], groups.together(whom, sender)
        for each in self._outside(whom) if len(whom) > 1 else []:
            there = groups.together([*whom, sender], each)
            self.store.add(contact=each, number=there, mine=False, text=text, file=file, sender=sender)
        return self.store.add(contact=sender, number=to, mine=True, text=text, file=file, state="waiting")

    def send(self, message: PhoneMessage) -> int:
        """Sends the webhook requests for a message that was written on a phone."""
        self.store.change(message, state="waiting", note="")
        whom = self._recipients(message.number)
        requests = self._requests(message, whom)
        kind = f"{'pictures' if message.file else 'texts'}{' to groups' if len(whom) > 1 else ''}"
        status = 0
        for request in requests or (None,):
            done = "Left for Patchbay to collect" if request and request.polled else "Delivered to Patchbay"
            status = self._post(request, message, done, f"This provider does not deliver {kind}.")
            if message.state == "failed":
                break
        return status

    def _requests(self, message: PhoneMessage, whom: Sequence[str]) -> list[InboundRequest]:
        """Those for the portal, or none if the provider does not deliver such messages."""
        url = self.provider.file_url(message.file) if message.file else ""
        writer, called, contact = self.provider.writer, self._called, message.contact
        if len(whom) == 1:
            only = (
                writer.picture(called, contact, whom[0], message.text, url)
                if message.file
                else writer.message(called, contact, whom[0], message.text)
            )
            return [only] if only is not None else []
        others = self._outside(whom)
        ours = [each for each in whom if each not in others]
        return writer.group(called, contact, ours, others, message.text, url)

    def _recipients(self, to: str) -> list[str]:
        return groups.recipients(to, phones.country_of(self.phone))

    def _outside(self, whom: Sequence[str]) -> list[str]:
        return groups.outside(whom, [number for number, _ in self.numbers])

    def spelled(self, number: str) -> str:
        """A number of the portal, given in E.164, as the provider's webhook requests write it."""
        return self.provider.writer.spelled(number)

    def delivered(self, messageid: str) -> int:
        """Reports a message of the portal as delivered."""
        return self._status("delivered", messageid, "", "Reported as delivered")

    def failed(self, messageid: str, reason: str) -> int:
        """Reports a message of the portal as failed."""
        return self._status("failed", messageid, reason, f"Reported as failed: {reason}")

    def respond(self, received: ReceivedRequest, gone: Callable[[], bool]) -> HttpResponse:
        """Responds to a request to the API; `gone` tells whether the client has disconnected."""
        url = self.origin + received.path
        request = RenderedRequest(received.method, url, received.headers, received.body)
        if (page := oauth.respond(self.provider.hosted, request)) is not None:
            return page
        with self._lock:
            self.received.append(received)
            del self.received[:-REQUESTS]
            mode, seconds = self._script.popleft() if self._script else ("ok", 0.0)
        response = self._respond(request, mode, seconds, gone)
        if mode != "hang":
            received.answered, received.answer = response.status, response.body
        self.store.touch()
        return response

    def _respond(
        self, request: RenderedRequest, mode: Mode, seconds: float, gone: Callable[[], bool]
    ) -> HttpResponse:
        response, taken = self.provider.respond(request, mode)
        if response.status >= 400:
            return response
        message = self._take(taken) if taken is not None else None
        if mode == "garbage":
            return HttpResponse(200, {"content-type": "text/html"}, b"<html><body><h1>It works!</h1>")
        if mode in ("slow", "hang"):
            self._hold(seconds if mode == "slow" else math.inf, gone)
        if mode == "hang":
            return HttpResponse(503)
        if message is not None:
            self._scheduler.add(self.delay_delivered, partial(self._report, message))
        return response

    def _take(self, taken: AcceptedMessage) -> PhoneMessage:
        """Shows a message to each whom it is for; returns that to the first, which has the provider's id."""
        whom = [self._number(to) for to in taken.sent.recipients or ("",)]
        first, *_others = [self._deliver(taken, contact, whom) for contact in whom]
        return first

    def _deliver(self, taken: AcceptedMessage, contact: str, whom: Sequence[str]) -> PhoneMessage:
        sent, sender = taken.sent, self._number(taken.sent.sender)
        number = groups.together([sender, *whom], contact) if len(whom) > 1 else sender
        first = self.store.add(
            contact=contact,
            number=number,
            mine=False,
            text=sent.text,
            messageid=taken.messageid,
            message_uuid=sent.message_uuid,
            sender=sender if len(whom) > 1 else "",
        )
        files: list[str | bytes] = [*sent.urls, *sent.files]
        for index, file in enumerate(files):
            message = first
            if index > 0:
                message = self.store.add(contact=contact, number=number, mine=False, text="")
            self.store.change(message, state="waiting", note="Fetching the file…")
            self._scheduler.add(0, partial(self._show, message, file))
        return first

    def _number(self, spelled: str) -> str:
        """A number as the phone shows it, however the provider writes it."""
        return sender(spelled, phones.country_of(self.phone))

    def _show(self, message: PhoneMessage, file: str | bytes) -> None:
        """Shows a file, given as bytes or a URL, in a message."""
        try:
            name = self.store.keep(*portal_client.picture(file))
        except portal_client.FileError as problem:
            self.store.change(message, state=problem.state, note=str(problem))
        else:
            self.store.change(message, state="", note="", file=name)

    def _hold(self, seconds: float, gone: Callable[[], bool]) -> None:
        waited = 0.0
        while waited < seconds and not gone() and not self._stopped.wait(min(0.1, seconds - waited)):
            waited += 0.1

    def _report(self, message: PhoneMessage) -> None:
        status = "failed" if message.state == "failed" else "delivered"
        if not self.reports or not self.provider.writer.reports(status):
            return
        if status == "failed":
            self.failed(message.messageid, message.note)
        else:
            self.delivered(message.messageid)

    @property
    def _called(self) -> str:
        """The URL that webhook requests go to, or ""."""
        if self.provider.calls_subscribers:
            return next(reversed(self.provider.subscriptions.values()), "")
        return self.webhook_url

    def _status(self, status: str, messageid: str, reason: str, done: str) -> int:
        message = self.store.sent_as(messageid)
        ours = message.message_uuid if message is not None else ""
        request = self.provider.writer.status(self._called, status, messageid, ours, reason)
        return self._post(request, message, done, "This provider sends no such report.")

    def _post(
        self, request: InboundRequest | None, message: PhoneMessage | None, done: str, never: str
    ) -> int:
        """Sends a request to the portal and notes the result on the message; `never` without a request."""
        if request is None:
            status, problem = 0, never
        elif request.polled:
            self.provider.inbox.add(request)
            status, problem = 200, ""
        elif not self._called and self.provider.calls_subscribers:
            status, problem = 0, "Patchbay has not subscribed. Switch the integration on."
        elif not self._called:
            status, problem = 0, "No webhook URL is set. Copy it from the integration's page in Patchbay."
        else:
            status, problem = portal_client.post(request)
        if message is not None and problem:
            self.store.change(message, state="failed", note=problem)
        elif message is not None:
            polled = request is not None and request.polled
            self.store.change(message, state="accepted", note=done if polled else f"{done} ({status})")
        return status
