"""Access tokens that the secrets of an account have obtained: none of them becomes an organization's.

Whose a token is follows from the secrets that obtain it. If a revision obtains it with an organization's own
instead, that organization's administrators answer for where tokens go: for new ones, and not for the old.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db.models import QuerySet

from integrations.compared_values import ORDER
from integrations.language.errors import DocumentError
from integrations.models import AccessToken, Integration, PropertyValues, TemplateRevision
from integrations.properties import ACCESS_TOKEN, Credentials, credentials_of
from portal.batches import batches
from portal.encryption import WrongKey


def drop(before: Mapping[int, Credentials], after: Mapping[int, Credentials]) -> None:
    """Deletes the tokens that were the account's, and are no longer; both by the integrations' keys."""
    _delete(_of_account(before) - _of_account(after))


def drop_revised(integrations: QuerySet[Integration], revision: TemplateRevision) -> None:
    """Deletes those of integrations that are about to use the revision.

    Where a value cannot be read, the token stays: nothing is sent with it.
    """
    keys = list(integrations.exclude(access_token=None).order_by("pk").values_list("pk", flat=True))
    for batch in batches(keys):
        rows = list(Integration.objects.ready().filter(pk__in=batch))
        if dropped := _readable(rows, None) - _readable(rows, revision):
            # In the order in which publishing and confirming lock them: whoever saves values meanwhile waits.
            values = PropertyValues.objects.filter(integration__in=dropped).order_by(*ORDER)
            list(values.select_for_update(no_key=True).values_list("pk"))
            using = Integration.objects.filter(pk__in=dropped).order_by("pk")
            list(using.select_for_update(no_key=True).values_list("pk"))
            _delete(dropped)


def _of_account(credentials: Mapping[int, Credentials]) -> set[int]:
    return {key for key, found in credentials.items() if ACCESS_TOKEN in found.inherited}


def _readable(rows: list[Integration], revision: TemplateRevision | None) -> set[int]:
    """Those whose token is the account's with the revision, or the one in use, as far as it can be read."""
    try:
        return _of_account(credentials_of(rows, revision.compiled if revision is not None else None))
    except (WrongKey, DocumentError):
        return {key for row in rows for key in _readable([row], revision)} if len(rows) > 1 else set()


def _delete(keys: Collection[int]) -> None:
    AccessToken.objects.filter(integration__in=keys).delete()
