"""From a draft to what organizations use: what would change, who must confirm what, and the way back."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from integrations import calls, compared_values, holds, oauth, origins, shared_tokens
from integrations.confirming import confirm_each
from integrations.language.document import Template as Compiled
from integrations.models import Integration, Template, TemplateRevision, webhook_url
from integrations.origins import Ask
from integrations.properties import credentials_before_and_after
from integrations.studio.publish.wording import differences
from portal import audit
from portal.batches import batches
from portal.models import Organization, User


@dataclass
class Change:
    """What happens if a template's revision is published for everybody, or for some organizations."""

    template: Template
    revision: TemplateRevision
    organizations: Collection[int] | None = None

    @property
    def before(self) -> Compiled | None:
        """What is published now."""
        return self.template.published.compiled if self.template.published else None

    @cached_property
    def words(self) -> list[str]:
        """What is different, in sentences."""
        return list(differences(self.before, self.revision.compiled))

    @property
    def lines(self) -> list[str]:
        """The difference between the two documents as text."""
        before = self.template.published.source if self.template.published else ""
        found = difflib.unified_diff(before.splitlines(), self.revision.source.splitlines(), lineterm="", n=3)
        return list(found)[2:]

    @property
    def moves(self) -> bool:
        """Whether the webhook URL changes."""
        return self.template.published is not None and self.revision.compiled.id != self.template.service_id

    @property
    def urls(self) -> tuple[str, str]:
        """The account's webhook URL as it is, and as the revision would have it."""
        owner = self.template.account.accountid if self.template.account else "…"
        return webhook_url(self.template.service_id, owner), webhook_url(self.revision.compiled.id, owner)

    @cached_property
    def integrations(self) -> list[Integration]:
        """The integrations that will use the revision, and do not use it yet."""
        using = Integration.objects.ready().filter(template=self.template)
        if self.organizations is None:
            using = using.filter(Q(revision=None) | Q(revision=self.revision))
        else:
            using = using.filter(organization__in=self.organizations)
        return [
            item
            for item in using.order_by("organization__name")
            if (item.revision or self.template.published) != self.revision
        ]

    @cached_property
    def origins(self) -> dict[Ask, set[int]]:
        """What secrets will newly be sent where, with the keys of the integrations that each concerns."""
        found: dict[Ask, set[int]] = defaultdict(set)
        for item, ask in self._asks:
            if ask.origin:
                found[ask].add(item.pk)
        return dict(sorted(found.items()))

    @cached_property
    def needing(self) -> dict[str, list[Organization]]:
        """The organizations that will have to enter a value before messages are sent, by its label."""
        found: dict[str, list[Organization]] = defaultdict(list)
        for item, ask in self._asks:
            if not ask.origin:
                found[ask.label].append(item.organization)
        return dict(found)

    @cached_property
    def _asks(self) -> list[tuple[Integration, Ask]]:
        return [pair for batch in batches(self.integrations) for pair in self._asked(batch)]

    def _asked(self, integrations: Collection[Integration]) -> Iterator[tuple[Integration, Ask]]:
        compiled = self.revision.compiled
        used, known = credentials_before_and_after(integrations, compiled)
        for item in integrations:
            fixed = origins.fixed_for(item)
            before = set(origins.asks_of(item.compiled, used[item.pk], fixed))
            after = origins.asks_of(compiled, known[item.pk], fixed)
            yield from ((item, ask) for ask in after if ask not in before)


def publish(change: Change, user: User, answers: Collection[str] = (), *, moves: bool = False) -> None:
    """Has the organizations use the revision; the secrets in `answers` may go to their new origins.

    `answers` are those of `Ask.answer`; for all else, the integrations wait. If everybody uses it,
    those that were pinned to the revision follow what is published again; if only some do, they are pinned.
    Raises ValidationError for an id that is taken or, unless it `moves`, would change the webhook URL; and if
    another revision than the change is compared with has been published meanwhile.
    """
    confirmed = {ask: keys for ask, keys in change.origins.items() if ask.answer in answers}
    integrations = {item.pk: item for item in change.integrations}
    asked: dict[int, set[str]] = defaultdict(set)
    for ask, keys in confirmed.items():
        for key in keys:
            asked[key].add(ask.answer)
    with transaction.atomic():
        compared_with = change.template.published_id
        change.template.lock()
        if change.template.published_id != compared_with:
            raise overtaken(change.template)
        if change.organizations is None:

            def settle() -> None:
                pinned = change.template.integrations.filter(revision=change.revision)
                _pin(pinned, None, change.revision.number)
                confirm_each(asked, user, for_account=True)

            # It looks at who has to wait once it is known what is confirmed.
            change.template.publish(change.revision, moves=moves, settle=settle)
            return
        _pin(Integration.objects.filter(pk__in=integrations), change.revision, change.revision.number)
        change.revision.mark_published()
        confirm_each(asked, user, for_account=True)
        if any(ask.inherited for ask in confirmed):  # others wait for the same answer
            holds.review_template(change.template)
        else:
            holds.review(integrations)


def overtaken(template: Template) -> ValidationError:
    """Somebody else has published a revision since the change was looked at."""
    number = template.published.number if template.published else 0
    said = _("Revision %(number)d has been published meanwhile. See what changes now, and publish again.")
    return ValidationError(said % {"number": number})


def _pin(integrations: QuerySet[Integration], revision: TemplateRevision | None, number: int) -> None:
    """Pins integrations to a revision, or those that are pinned to it to none; `number` is the revision's.

    Takes the same number of queries for each batch, and keeps what depends on the revision.
    """
    rows = Integration.objects.filter(pk__in=list(integrations.values_list("pk", flat=True)))
    if revision is not None:
        shared_tokens.drop_revised(rows, revision)
    rows.update(revision=revision)
    if revision is not None:
        oauth.request_first(rows, revision)
    compared_values.renew_for(rows)
    calls.plan(rows)
    said = ("", str(number)) if revision is not None else (str(number), "")
    changes = {str(_("pinned revision")): said}
    audit.record_each(audit.Action.CHANGED, rows.select_related("template", "organization"), None, changes)
