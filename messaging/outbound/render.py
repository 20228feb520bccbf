"""From claimed messages to requests."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from integrations import prepared
from integrations.events import Outcome
from integrations.language.errors import RenderError
from integrations.origins import Held, release
from integrations.prepared import PreparedIntegration
from integrations.requests import plan
from messaging import errors, media
from messaging.engine import jobs as engine
from messaging.engine.jobs import Job
from messaging.engine.queue import Claim
from messaging.rules import optout
from portal.logs import message_id

logger = logging.getLogger(__name__)


def prepare(claims: Sequence[Claim], known: Mapping[int, PreparedIntegration] | None = None) -> list[Job]:
    """The jobs of claimed messages, with their requests or with the reason why they cannot be sent.

    `known` are their integrations, where the claim has just read them.
    """
    try:
        return _prepare(claims, known)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        # One row that cannot be read (a secret under a lost key) must not block the others.
        if len(claims) > 1:
            return [job for claim in claims for job in prepare([claim], known)]
        job = engine.read(claims)[0]
        logger.exception("A message could not be prepared.", extra=message_id(job.message.uuid))
        job.refusal = _not_rendered()
        return [job]


def _prepare(claims: Sequence[Claim], known: Mapping[int, PreparedIntegration] | None) -> list[Job]:
    if not claims:
        return []
    jobs = engine.read(claims)
    if known is None:
        known = prepared.prepare({job.message.integration_id for job in jobs if job.message.integration_id})
    for job in jobs:
        job.through = known.get(job.message.integration_id or 0)
        job.refusal = _refusal(job)
        if job.refusal or job.through is None:
            continue
        if job.through.asks:
            job.obstacle = _held(job.through)
        elif job.through.no_access:
            job.obstacle = Outcome("unauthorized", text=job.through.no_access)
        else:
            _render(job, job.through)
    return jobs


def go_on(jobs: Iterable[Job]) -> None:
    """Renders the requests that depend on uploads, for jobs whose files have just been uploaded."""
    for job in jobs:
        if not job.parts and job.through is not None:
            _render(job, job.through)


def _refusal(job: Job) -> str:
    """Why the message can never be sent; empty: it can."""
    if reason := optout.refusal(job.message.automatic, job.opted_out):
        return reason
    if not job.number.active:
        return _("The number %(number)s has moved away, or is switched off.") % {"number": job.number}
    if job.seconds_left <= 0:
        return errors.expired()
    if job.through is None:
        return errors.no_integration() if job.message.integration_id is None else _not_rendered()
    if not job.through.integration.enabled:
        return _("%(provider)s is switched off for the organization.") % {
            "provider": job.through.integration.template.name
        }
    if isinstance(job.to, list) and not job.through.compiled.sends_to_groups:
        return errors.no_groups(job.through.integration.template.name)
    return ""


def _render(job: Job, service: PreparedIntegration) -> None:
    message, number, organization = job.message, job.number, service.integration.organization
    try:
        parts = plan(
            service.compiled,
            service.values,
            {
                "from": number.as_sender,
                "to": job.to,
                "text": number.full_text(message.text),
                "media": [
                    media.variable(item, message, with_content=service.compiled.needs_content)
                    for item in job.files
                ],
                "extension": job.extension,
                "domain": organization.domain,
                "orgid": organization.orgid,
                "userid": str(message.author_id or ""),
                "username": job.author,
                "message_uuid": str(message.uuid),
                "webhook_url": service.integration.webhook_url,
                "country": number.country,
                "attempt_no": message.attempts,
            },
            {
                place: bound
                for place, item in enumerate(job.files)
                if (bound := item.uploaded_through(service.integration.pk)) is not None
            },
        )
        # Those that earlier attempts have sent are never repeated.
        parts = [part for part in parts if part.number > job.done]
        job.requests = [release(part.request, service.sends_with) for part in parts]
        job.parts = parts
        if not parts:
            job.refusal = _("A part was sent; the rest cannot be, because the template has changed since.")
    except Held:
        job.obstacle = _held(service)
    except RenderError as error:
        job.refusal = _("The request could not be rendered: %(reason)s") % {
            "reason": service.redactor.text(str(error))
        }
    except OSError:
        logger.exception("A file of %s cannot be read.", message.uuid, extra=message_id(message.uuid))
        job.obstacle = Outcome("retry", text=_("A file of the message cannot be read at the moment."))
    except Exception:
        logger.exception("Message %s could not be rendered.", message.uuid, extra=message_id(message.uuid))
        job.refusal = _not_rendered()


def _held(service: PreparedIntegration) -> Outcome:
    said = _("%(provider)s waits until an administrator confirms where its credentials are sent.")
    return Outcome("unauthorized", text=said % {"provider": service.integration.template.name})


def _not_rendered() -> str:
    return _("The request could not be rendered. The server's log says why.")
