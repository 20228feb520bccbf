"""A simulated provider: the requests it accepts, its responses, and its webhooks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import get_args
from urllib.parse import unquote, urlsplit

from integrations.events import HttpResponse, RenderedRequest
from integrations.language.api_methods import LOGIN, METHODS, RECEIVE_MESSAGES, SUBSCRIBE, UNSUBSCRIBE
from integrations.sandbox import api_responses, portal_client
from integrations.sandbox.api_requests import ApiRequest, ApiRequestReader
from integrations.sandbox.catalog_entry import API, CatalogEntry, HostedEntry
from integrations.sandbox.inbox import Inbox
from integrations.sandbox.logins import Logins
from integrations.sandbox.webhooks import WebhookWriter

UPLOADS = 100


@dataclass(frozen=True)
class AcceptedMessage:
    """A message that the provider has accepted, and the id that it has given it."""

    sent: ApiRequest
    messageid: str


class Provider:
    """A catalogue entry, simulated at the sandbox's origin; `writer` makes its webhooks.

    `inbox` is what waits until the portal polls; `subscriptions` are webhook URLs by the ids given to them.
    """

    def __init__(self, entry: CatalogEntry, origin: str) -> None:
        self.origin = origin
        self.hosted = HostedEntry(entry, origin)
        self.reader = ApiRequestReader(self.hosted)
        self.writer = WebhookWriter(self.hosted)
        self.logins = Logins(self.hosted)
        self._uploads: dict[str, str | bytes] = {}  # by each of the ids that the response gave
        self.inbox = Inbox(self.hosted)
        self.subscriptions: dict[str, str] = {}

    def respond(self, request: RenderedRequest, mode: str) -> tuple[HttpResponse, AcceptedMessage | None]:
        """The response to an API request, and the message in it, if any; `mode` may ask for an error."""
        request = self.logins.known(request)
        sent = self.reader.read(request)
        if sent is None:
            return self._unknown(request), None
        if mode in get_args(api_responses.ErrorMode):
            return api_responses.error(self.hosted, mode, sent.method), None
        signed = sent.method == LOGIN.name or self.logins.signed(request, sent.method)
        if not (sent.authorized and signed):
            return api_responses.error(self.hosted, "401", sent.method), None
        sends_message = METHODS[sent.method].sends_message
        if sends_message and (problem := _problem(sent)):
            return api_responses.plain(400, problem), None
        if sent.method == RECEIVE_MESSAGES.name:
            return self.inbox.answer(sent.cursor), None
        if sent.method == SUBSCRIBE.name and (problem := self._not_ours(sent.webhook_url)):
            return api_responses.plain(400, problem), None
        response, given, ids = api_responses.accepted(self.hosted, sent)
        if sent.method == LOGIN.name:
            self.logins.issued(response)
        elif sent.method == SUBSCRIBE.name:
            self.subscriptions[given] = sent.webhook_url
        elif sent.method == UNSUBSCRIBE.name:
            self.subscriptions.pop(sent.subscription_id, None)
        if not sends_message:
            self._keep(ids, [*sent.files, *sent.urls])
            return response, None
        if strange := [name for name in sent.uploads if name not in self._uploads]:
            return api_responses.plain(400, f"No file has been uploaded that has the id {strange[0]}."), None
        files = [self._uploads[name] for name in sent.uploads]
        sent = replace(
            sent,
            urls=(*sent.urls, *(file for file in files if isinstance(file, str))),
            files=(*sent.files, *(file for file in files if isinstance(file, bytes))),
        )
        return response, AcceptedMessage(sent, given or secrets.token_hex(12))

    @property
    def calls_subscribers(self) -> bool:
        """Whether webhook requests go to those who have subscribed, and to nobody else."""
        return SUBSCRIBE.name in self.hosted.template.methods

    def _not_ours(self, webhook_url: str) -> str:
        """Why a URL cannot subscribe: it does not answer the validation call, if a case has one."""
        if (validation := self.writer.validation(webhook_url)) is None:
            return ""
        request, expected = validation
        answer = portal_client.ask(request)
        if isinstance(answer, HttpResponse) and answer.status == 200 and answer.body.decode() == expected:
            return ""
        return f"{webhook_url} does not answer the validation call."

    def _keep(self, ids: Sequence[str], files: Sequence[str | bytes]) -> None:
        if files:
            self._uploads |= dict.fromkeys(ids, files[0])
        for old in list(self._uploads)[:-UPLOADS]:
            del self._uploads[old]

    def file_url(self, name: str) -> str:
        """The URL of a file of the phone; it is among the provider's if these need credentials."""
        if self._protects_files:
            folder = PurePosixPath(urlsplit(self.writer.example_url).path).parent
            return f"{self.origin}{API}{folder}/{name}"
        return f"{self.origin}/media/{name}"

    def may_fetch(self, headers: dict[str, str]) -> bool:
        """Whether a request for a protected file has the provider's credentials."""
        return self.reader.credentials.items() <= headers.items()

    @property
    def _protects_files(self) -> bool:
        return any(event.media_hosts is not None for event in self.hosted.template.events)

    def _unknown(self, request: RenderedRequest) -> HttpResponse:
        if self.reader.knows(unquote(urlsplit(request.url).path)):
            return api_responses.plain(405, f"The provider does not support {request.method} here.")
        return api_responses.plain(404, f"The provider has nothing at {urlsplit(request.url).path}.")


def _problem(sent: ApiRequest) -> str:
    if sent.missing:
        return f"{' and '.join(sent.missing)} must be given."
    if not sent.text and not sent.urls and not sent.files and not sent.uploads:
        return "A text or a file must be given."
    return ""
