"""Has the secrets of many integrations go where somebody has said, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import compared_values, origins
from integrations.models import Integration, PropertyValues
from integrations.origins import Ask
from integrations.properties import ACCESS_TOKEN, Credentials, credentials_of
from portal import audit
from portal.batches import batches
from portal.models import User

Answers = Collection[str]  # each is an `Ask.answer`


@transaction.atomic
def confirm_each(answers: Mapping[int, Answers], user: User, *, for_account: bool) -> set[Ask]:
    """Lets secrets go where their integrations, by key, ask for it; returns what was asked and is answered.

    What is not asked any more is left out, also where an organization has replaced the account's secret by
    its own meanwhile, and so are secrets of the account unless the user may answer for it. Takes the same
    number of queries for each batch. The caller has the integrations reviewed.
    """
    return {ask for keys in batches(sorted(answers)) for ask in _confirm(keys, answers, user, for_account)}


def allow(reached: Mapping[int, Mapping[str, Iterable[str]]], user: User | None) -> None:
    """Lets secrets, by the key of their values and their label, go to these origins. Needs a transaction."""
    locked = PropertyValues.objects.select_for_update(no_key=True).only("secret_origins")  # decrypts nothing
    rows = list(locked.filter(pk__in=list(reached)).order_by(*compared_values.ORDER))
    for row in rows:
        for label, found in reached[row.pk].items():
            if (row.secret_origins or {}).get(label) is not None or label == ACCESS_TOKEN:
                row.confirm(label, found, user)
    PropertyValues.objects.bulk_update(rows, ["secret_origins"])
    PropertyValues.objects.filter(pk__in=list(reached)).update(changed_at=timezone.now())


def _confirm(
    keys: Collection[int], answers: Mapping[int, Answers], user: User, for_account: bool
) -> set[Ask]:
    rows = list(Integration.objects.ready().filter(pk__in=keys).order_by("pk"))
    given = _given(rows, answers, for_account)
    if lacking := [row for row, asks in given if any(holder is None for _ask, holder in asks)]:
        PropertyValues.objects.bulk_create(
            [PropertyValues(integration=row, blank=True) for row in lacking], ignore_conflicts=True
        )
        given = _given(rows, answers, for_account)
    reached: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    said: dict[tuple[tuple[str, str], ...], list[Integration]] = defaultdict(list)
    for row, asks in given:
        for ask, holder in asks:
            assert holder is not None
            reached[holder][ask.label].add(ask.origin)
        said[tuple(sorted((ask.label, ask.origin) for ask, _holder in asks))].append(row)
    allow(reached, user)
    for pairs, integrations in said.items():
        changes = {f"{label} → {origin}": ("", _("confirmed")) for label, origin in pairs}
        audit.record_each(audit.Action.ORIGINS_CONFIRMED, integrations, user, changes)
    return {ask for _row, asks in given for ask, _holder in asks}


def _given(
    rows: Iterable[Integration], answers: Mapping[int, Answers], for_account: bool
) -> list[tuple[Integration, list[tuple[Ask, int | None]]]]:
    """What is asked and answered, each with the key of the values that hold the secret."""
    known: dict[int, Credentials] = credentials_of(rows)
    found = []
    for row in rows:
        credentials = known[row.pk]
        asks = origins.asks_of(row.compiled, credentials, origins.fixed_for(row))
        theirs = [ask for ask in asks if ask.origin and (for_account or not ask.inherited)]
        if answered := [ask for ask in theirs if ask.answer in answers[row.pk]]:
            found.append((row, [(ask, credentials.holders[ask.label]) for ask in answered]))
    return found
