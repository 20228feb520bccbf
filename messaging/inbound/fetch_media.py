"""Fetches media that webhooks announce as links, several at once; checks and stores them."""

from __future__ import annotations

import base64
import binascii
import logging
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.files.base import File
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations import holds, http, media_access, pictures
from integrations.events import Fault, HttpRequest, RenderedRequest
from integrations.models import Integration
from integrations.origins import Held, release
from integrations.properties import Credentials, credentials_of
from messaging import media
from messaging.drain import Drain
from messaging.inbound import file_names
from messaging.models import Attachment, Message
from messaging.statuses import AttachmentState
from messaging.wakeups import Task
from portal import process

logger = logging.getLogger(__name__)

CONCURRENCY = 6
MAX_ATTEMPTS = 5
RETRY_SECONDS = (10, 60, 300, 900)
CLAIM_SECONDS = 120  # longer than a fetch may take
FETCH_SECONDS = 60
STORAGE_RETRY_SECONDS = 300
BUSY_SECONDS = 10
HOLD_SECONDS = 300  # a confirmation ends the wait


@dataclass(frozen=True)
class _Result:
    """The result for one file: stored, failed (`problem`), or to be retried after `delay` seconds."""

    problem: str = ""
    delay: float | None = None
    counts: bool = True  # as one of MAX_ATTEMPTS
    left_out: bool = False  # nobody needs to see it


class _Fetching(Drain):
    """The drain of this process. Only its thread uses the database, in short transactions."""

    task = Task.FETCH_MEDIA

    def work(self) -> None:
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="fetch") as pool:
            in_flight: dict[Future[_Result], Attachment] = {}
            while True:
                self.look()
                for attachment, request in [] if self.stopped else _claim(CONCURRENCY - len(in_flight)):
                    in_flight[pool.submit(_fetch, attachment, request)] = attachment
                if not in_flight:
                    return
                # For a second at most: a file that takes long delays no other that becomes due.
                for future in wait(in_flight, timeout=1, return_when=FIRST_COMPLETED).done:
                    _record(in_flight.pop(future), future.result())


def go_on(integration_ids: Sequence[int]) -> None:
    """Makes the files due that waited for an answer of these integrations' administrators."""
    of = Q(message__integration__in=integration_ids)
    of |= Q(message__integration=None, message__conversation__number__integration__in=integration_ids)
    waiting = Attachment.objects.filter(of, with_auth=True, attempts=0, state=AttachmentState.WAITING)
    waiting.update(next_attempt_at=Now())


def drain() -> None:
    """Fetches all files that are due. One drain runs in each process; another call makes it check again."""
    process.get(_Fetching).run()


def _claim(free: int) -> list[tuple[Attachment, HttpRequest]]:
    """Claims up to `free` files that are due; returns each with the request for it.

    A file waits as long as its integration's credentials may not be sent to where it is.
    """
    due = Attachment.objects.filter(state=AttachmentState.WAITING, next_attempt_at__lte=Now())
    # An attempt is counted before it begins: what ended the process that made it is not tried for ever.
    due.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=AttachmentState.FAILED, problem=_("The file could not be processed.")
    )
    later = Now() + timedelta(seconds=CLAIM_SECONDS)
    taken = [
        pk
        for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:free]
        if due.filter(pk=pk).update(next_attempt_at=later, attempts=F("attempts") + 1)
    ]
    if not taken:
        return []
    found = list(
        Attachment.objects.filter(pk__in=taken).select_related("message__conversation__number").order_by("pk")
    )
    prepared: dict[int, HttpRequest] = {}
    for attachment, request in _with_credentials([item for item in found if item.with_auth]):
        if isinstance(request, Held):
            reason = _("The file waits until an administrator confirms where its credentials are sent.")
            _record(attachment, _Result(reason, HOLD_SECONDS, counts=False))
            found.remove(attachment)
        else:
            prepared[attachment.pk] = request
    return [(item, prepared.get(item.pk) or _open_to_all(item.source_url)) for item in found]


def _with_credentials(attachments: Sequence[Attachment]) -> list[tuple[Attachment, HttpRequest | Held]]:
    """The requests for files that may need credentials, or why they must wait."""
    if not attachments:
        return []
    through = {
        item.pk: item.message.integration_id or item.message.conversation.number.integration_id
        for item in attachments
    }
    wanted = {pk for pk in through.values() if pk is not None}
    integrations = {item.pk: item for item in Integration.objects.ready().filter(pk__in=wanted)}
    credentials = credentials_of(integrations.values())
    found: list[tuple[Attachment, HttpRequest | Held]] = []
    held = set()
    for attachment in attachments:
        integration = integrations.get(through[attachment.pk] or 0)
        if integration is None:
            continue
        own = credentials[integration.pk]
        try:
            request = media_access.request_for(integration, own, http.escaped(attachment.source_url))
            found.append((attachment, request))
        except Held as waiting:
            found.append((attachment, waiting))
            held.add(integration.pk)
    if held:
        holds.review(held)
    return found


def _open_to_all(url: str) -> HttpRequest:
    return release(RenderedRequest("GET", http.escaped(url)), Credentials())


def _fetch(attachment: Attachment, request: HttpRequest) -> _Result:
    """Fetches, checks and stores one file without using the database; the caller saves the row."""
    try:
        with tempfile.TemporaryFile() as file:
            headers = _read(attachment, request, file)
            return headers if isinstance(headers, _Result) else _keep(attachment, headers, file)
    except pictures.Busy as error:
        return _Result(str(error), BUSY_SECONDS, counts=False)
    except OSError as error:
        # The operator has to fix this, however long it takes, so the attempt is not counted.
        logger.error("A received file cannot be stored: %s.", error.strerror)
        problem = _("Patchbay cannot store the file (%(reason)s). It retries every few minutes.")
        return _Result(problem % {"reason": error.strerror or error}, STORAGE_RETRY_SECONDS, counts=False)
    except Exception:
        logger.exception("File %s could not be fetched.", attachment.uuid)
        return _Result(
            _("The file could not be fetched. The server's log has the details."), _delay(attachment)
        )


def _read(attachment: Attachment, request: HttpRequest, file: IO[bytes]) -> Mapping[str, str] | _Result:
    """Writes what the link leads to into the file, and returns its headers; or why it cannot be had."""
    if attachment.source_url.startswith("data:"):
        if not (body := _data(attachment.source_url)):
            return _Result(_("The file's data: URI cannot be decoded."))
        file.write(body)
        return {"content-type": attachment.source_url[5:].partition(",")[0].removesuffix(";base64")}
    response = http.fetch(
        request.url,
        headers=request.headers,
        max_bytes=settings.MAX_UPLOAD_BYTES,
        timeout=FETCH_SECONDS,
        max_redirects=3,
        into=file,
    )
    if isinstance(response, Fault):
        temporary = response.kind in ("connect", "unanswered")
        return _Result(response.text, _delay(attachment) if temporary else None)
    if response.status != 200:
        # 404: some providers announce a file shortly before it is available.
        temporary = response.status >= 500 or response.status in (404, 408, 425, 429)
        problem = _("The provider returned status %(status)d instead of the file.") % {
            "status": response.status
        }
        return _Result(problem, _delay(attachment) if temporary else None)
    return response.headers if file.tell() else _Result(_("The file is empty."))


def _keep(attachment: Attachment, headers: Mapping[str, str], file: IO[bytes]) -> _Result:
    name = file_names.name_of(attachment.source_url, headers)
    file.seek(0)
    head = file.read(4096)
    if file_names.is_smil(head, headers):
        return _Result(left_out=True)
    kind = media.content_type(head, name, headers.get("content-type", ""))
    content: File[Any] = File(file)
    if kind.startswith("image/"):
        try:
            content, kind = pictures.fitted(file, (), settings.MAX_UPLOAD_BYTES)
        except pictures.Busy:
            raise
        except pictures.PictureError:
            kind = "application/octet-stream"  # it is not shown, but it is there
    with content:
        media.keep(attachment, content, kind, name)
    return _Result()


def _delay(attachment: Attachment) -> float | None:
    return RETRY_SECONDS[attachment.attempts - 1] if attachment.attempts < MAX_ATTEMPTS else None


def _record(attachment: Attachment, result: _Result) -> None:
    if result.left_out:
        attachment.delete()
    elif result.delay is not None:
        Attachment.objects.filter(pk=attachment.pk).update(
            problem=result.problem[:500],
            attempts=attachment.attempts - (not result.counts),
            next_attempt_at=Now() + timedelta(seconds=result.delay),
        )
    else:
        _settle(attachment, result.problem)
    Message.objects.filter(pk=attachment.message_id).update(changed_at=Now())


def _settle(attachment: Attachment, problem: str) -> None:
    """Stores what has become of a file; it goes again if nobody waits for it any more.

    Its message may have been erased meanwhile, or another process may have fetched it.
    """
    fields = {name: getattr(attachment, name) for name in ("file", "content_type", "name", "size")}
    waiting = Attachment.objects.filter(pk=attachment.pk, state=AttachmentState.WAITING)
    state = AttachmentState.FAILED if problem else AttachmentState.KEPT
    if not waiting.update(state=state, problem=problem[:500], **fields) and attachment.file:
        media.discard([attachment])


def _data(uri: str) -> bytes | None:
    head, comma, content = uri.removeprefix("data:").partition(",")
    try:
        if head.endswith(";base64"):
            return base64.b64decode(content, validate=False) if comma else None
        return unquote_to_bytes(content) if comma else None
    except (ValueError, binascii.Error):
        return None
