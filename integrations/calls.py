"""Calls that Patchbay makes by itself: when they are due, how they are made, and what answers mean."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.db.models.signals import post_save
from django.utils.translation import gettext as _

from integrations import holds, oauth, origins
from integrations.events import Fault, HttpRequest, HttpResponse, Outcome
from integrations.language.api_methods import RECEIVE_MESSAGES, SUBSCRIBE, ApiMethod
from integrations.language.errors import DocumentError, RenderError
from integrations.language.methods import Method
from integrations.models import Integration, Poll, PropertyValues, Subscription, Template
from integrations.models.calls import ScheduledCall, in_seconds
from integrations.origins import Held
from integrations.prepared import PreparedIntegration
from integrations.properties import ACCESS_TOKEN
from integrations.rendering import fresh
from integrations.requests import build
from portal.batches import batches

logger = logging.getLogger(__name__)

JITTER = 0.2
LONGEST_WAIT = 6 * 3600  # seconds
HOLD_SECONDS = 300  # a confirmation ends the wait
# Of what may pass by itself, people are told when it has happened this often in a row.
TOLD_AFTER = 3
# Multiples of the golden ratio, without their integers, are spread evenly however many there are.
SPREAD = 0.618034
SCHEDULES: tuple[tuple[Any, ApiMethod], ...] = (
    (Poll, RECEIVE_MESSAGES),
    (Subscription, SUBSCRIBE),
)


class NotNow(Exception):
    """A call cannot be made; the text is the reason in a sentence. `held`: until an administrator answers."""

    def __init__(self, reason: str, *, held: bool = False) -> None:
        super().__init__(reason)
        self.held = held


@dataclass(frozen=True)
class Call:
    """A request of a method through an integration, with the variables that it was made of."""

    service: PreparedIntegration
    method: str
    variables: Mapping[str, Any]
    request: HttpRequest

    def read(self, response: HttpResponse | Fault) -> Outcome:
        """What the response means, without secrets."""
        service = self.service
        try:
            return service.read(self.method, self.variables, response)
        except Exception:
            logger.exception("The response to %s of %s could not be read.", self.method, service.integration)
            return Outcome("unknown", text=_("The provider's response could not be read."))

    def renews_access(self) -> bool:
        """Whether a refused request can be made again with another access token, which is on its way."""
        used = self.service.values.get(ACCESS_TOKEN)
        return used is not None and oauth.refused(self.service.integration, used)


def prepare(service: PreparedIntegration | None, method: str, **own: Any) -> Call:
    """The call of a method, with the variables that it has besides the usual ones. Raises NotNow."""
    if service is None:
        raise NotNow(_("The integration's values cannot be read. See the server's log."))
    if service.no_access:
        raise NotNow(service.no_access)
    variables = {**fresh(), **origins.fixed_for(service.integration)}
    variables |= {name: value for name, value in own.items() if value != ""}
    try:
        rendered = build(service.compiled, method, service.values, variables)
        return Call(service, method, variables, origins.release(rendered, service.sends_with))
    except Held as held:
        reason = " ".join(ask.sentence(service.integration.template) for ask in held.asks)
        raise NotNow(reason, held=True) from None
    except RenderError as error:
        reason = service.redactor.text(str(error))
        raise NotNow(_("The request could not be rendered: %(reason)s") % {"reason": reason}) from None
    except Exception:  # one that cannot be made must not hold up the others
        logger.exception("The request of %s for %s could not be rendered.", method, service.integration)
        raise NotNow(_("The request could not be rendered. The server's log says why.")) from None


def wait(failures: int, first: float, most: float, asked: float | None = None) -> float:
    """The seconds until a call is made again that has failed so often; `asked` is what the provider asks."""
    if asked is not None:
        return min(max(asked, 1), LONGEST_WAIT)
    planned = min(first * 2 ** min(failures - 1, 20), most)
    return float(planned) * random.uniform(1 - JITTER, 1 + JITTER)  # nosec B311 # spreads load, guards nothing


def postpone(row: ScheduledCall, obstacle: NotNow, first: float, most: float) -> None:
    """Has a call wait that could not be made, and shows why."""
    seconds = HOLD_SECONDS if obstacle.held else wait(row.failures + 1, first, most)
    row.finish(seconds, failures=row.failures + 1, problem=str(obstacle)[:500])
    if obstacle.held:
        holds.review([row.integration_id])
    else:
        row.integration.note_arrival_trouble(str(obstacle))


def note_problem(integration: Integration, row: ScheduledCall, outcome: Outcome) -> None:
    """Shows the problem at the integration, unless it may pass by itself."""
    lasting = outcome.result in ("failed", "opted_out", "unauthorized")
    if lasting or row.failures + 1 >= TOLD_AFTER:
        integration.note_arrival_trouble(outcome.text)


def clear_problem(row: ScheduledCall) -> None:
    """Shows the problem of the last call no more."""
    if row.problem:
        Integration.objects.filter(pk=row.integration_id, arrival_trouble=row.problem).clear_arrival_trouble()


def go_on(integration_ids: Collection[int]) -> None:
    """Makes due what waited for other credentials or for an answer of these integrations' administrators."""
    for model, _method in SCHEDULES:
        waiting = model.objects.filter(integration__in=integration_ids, failures__gt=0)
        waiting.update(due_at=Now())


def plan(rows: QuerySet[Integration]) -> None:
    """Has these integrations polled and subscribed from now on as their templates say, in batches.

    The first poll is made at once, the others are spread over their intervals.
    """
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    polls = count()
    for batch in batches(keys):
        some = Integration.objects.filter(pk__in=batch)
        # One object for all integrations of a template; with a join each would get its own document.
        found = list(some.prefetch_related("template__published", "revision"))
        for model, method in SCHEDULES:
            wanted = [
                model(integration_id=item.pk, due_at=_first(compiled, polls))
                for item in found
                if item.enabled and (compiled := _methods(item).get(method.name)) is not None
            ]
            if wanted:
                model.objects.bulk_create(
                    wanted,
                    update_conflicts=True,
                    unique_fields=["integration"],
                    update_fields=["due_at", "failures"],
                )
            others = set(batch) - {row.integration_id for row in wanted}
            model.objects.filter(integration__in=others).update(due_at=Now(), failures=0)


def _first(method: Method, polls: Iterator[int]) -> Combinable:
    return in_seconds(method.receiving.interval * (next(polls) * SPREAD % 1) if method.receiving else 0)


def _methods(integration: Integration) -> Mapping[str, Method]:
    try:
        return integration.compiled.methods
    except (DocumentError, LookupError):
        return {}


def connect() -> None:
    """Plans anew whenever an integration is switched, values are saved, or another revision is used."""
    post_save.connect(_integration_saved, Integration, dispatch_uid="calls of an integration")
    post_save.connect(_values_saved, PropertyValues, dispatch_uid="calls with other values")
    post_save.connect(_template_saved, Template, dispatch_uid="calls of a template")


def _integration_saved(
    instance: Integration, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    if not raw and (update_fields is None or {"enabled", "revision"} & set(update_fields)):
        plan(Integration.objects.filter(pk=instance.pk))


def _values_saved(
    instance: PropertyValues, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    if raw or (update_fields is not None and not {"values", "secret_origins"} & set(update_fields)):
        return
    of_account = Q(organization__account=instance.account_id, template=instance.template_id)
    own = Q(pk=instance.integration_id)
    plan(Integration.objects.filter(own if instance.integration_id is not None else of_account))


def _template_saved(
    instance: Template, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    # `Template.revise` publishes, and nothing else does: it names what it saves.
    if not raw and "published" in (update_fields or ()):
        plan(Integration.objects.filter(template=instance))
