"""Property values: an organization's own override those of its account, and secrets stay secret."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from integrations.language.document import Template
from integrations.language.properties import check_values
from integrations.language.values import text
from integrations.models import AccessToken, Integration, PropertyValues
from integrations.redact import Redactor

ACCESS_TOKEN = "access_token"  # noqa: S105 (a name)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one integration works with, and where its secrets may be sent.

    `values` are its property values and a valid access token, by label. `holders` has the secrets among them,
    each with the key of the PropertyValues that it belongs to (the access token: whose secrets obtain it);
    `inherited` are those of the account. `allowed` has a pair of label and origin for each place to which a
    secret may be sent. `cleared` are stored as secret but no longer secret in the document: they count as
    blank until they are entered again. `private` is all that must not be shown, used or not. `signing` are
    those with which requests are only signed: they are confirmed as the others, in other words.
    """

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    holders: Mapping[str, int | None] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()
    allowed: frozenset[tuple[str, str]] = frozenset()
    cleared: frozenset[str] = frozenset()
    private: tuple[str, ...] = field(default=(), repr=False)
    signing: frozenset[str] = frozenset()

    def redactor(self, *more: str) -> Redactor:
        """Masks all that is private, and `more`."""
        return Redactor([*self.private, *more])


@dataclass(frozen=True, slots=True)
class VisibleValues:
    """What a page may know of stored values: those that are not secret, and which secrets are `saved`.

    The value of a label that is `cleared` must be entered again.
    """

    values: Mapping[str, Any]
    saved: frozenset[str]
    cleared: frozenset[str]


def values_of(integrations: Iterable[Integration]) -> dict[int, dict[str, Any]]:
    """The `values` of `credentials_of`."""
    return {key: found.values for key, found in credentials_of(integrations).items()}


def credentials_of(
    integrations: Iterable[Integration], document: Template | None = None
) -> dict[int, Credentials]:
    """The credentials of each integration, by its key, in one query for all integrations.

    Where there are access tokens, they take one more query for all integrations. With a `document`, they are
    what they would be if it were the one in use.
    """
    return _credentials(list(integrations), document)[0]


def credentials_before_and_after(
    integrations: Iterable[Integration], document: Template
) -> list[dict[int, Credentials]]:
    """What `credentials_of` returns without and with a document, from the same rows."""
    return _credentials(list(integrations), None, document)


def _credentials(
    integrations: Collection[Integration], *documents: Template | None
) -> list[dict[int, Credentials]]:
    """The credentials of each integration for each document; None stands for the one in use."""
    used = {item.pk: [document or item.compiled for document in documents] for item in integrations}
    wanted = Q(integration__in=list(used))
    for account_id, template_id in {
        (item.organization.account_id, item.template_id) for item in integrations
    }:
        wanted |= Q(account=account_id, template=template_id)
    own: dict[int, PropertyValues] = {}
    inherited: dict[tuple[int | None, int | None], PropertyValues] = {}
    for row in PropertyValues.objects.filter(wanted):
        if row.integration_id is not None:
            own[row.integration_id] = row
        else:
            inherited[row.account_id, row.template_id] = row
    connected = [key for key, found in used.items() if any(each.grant is not None for each in found)]
    tokens = {
        token.integration_id: token
        for token in (AccessToken.objects.filter(integration__in=connected) if connected else ())
    }
    made: list[dict[int, Credentials]] = [{} for _ in documents]
    for item in integrations:
        shared = inherited.get((item.organization.account_id, item.template_id))
        for credentials, compiled in zip(made, used[item.pk], strict=True):
            credentials[item.pk] = combined(compiled, own.get(item.pk), shared, tokens.get(item.pk))
    return made


def combined(
    compiled: Template,
    own: PropertyValues | None,
    inherited: PropertyValues | None = None,
    token: AccessToken | None = None,
) -> Credentials:
    """The credentials that follow from stored rows."""
    known = {item.label: item for item in compiled.properties}
    secret = {label for label, item in known.items() if item.secret}
    given: dict[str, PropertyValues] = {}
    private: list[str] = []
    for row in filter(None, (inherited, own)):
        given |= dict.fromkeys(row.values, row)
        for label, value in row.values.items():
            if label in secret or row.stored_as_secret(label, label in secret):
                private += _texts(value)
    kept = {label for label, row in given.items() if row.stored_as_secret(label, label in secret)}
    cleared = frozenset((kept & known.keys()) - secret)
    values, _errors = check_values(
        compiled.properties,
        {label: row.values[label] for label, row in given.items() if label not in cleared},
    )
    for label in cleared:
        values.pop(label, None)  # its default
    holders: dict[str, PropertyValues | None] = {
        label: given[label] for label in kept & values.keys() if not _is_blank(given[label].values[label])
    }
    if compiled.grant is not None:
        # A value that is cleared has obtained the token as well, as long as no other takes its place.
        obtaining = compiled.grant.reads & (holders.keys() | cleared)
        shared = any(given[name] is inherited for name in obtaining)
        holders[ACCESS_TOKEN] = inherited if inherited is not None and shared else own
        if token is not None:
            private += [text(value) for value in token.secrets.values() if value]
            if token.is_good:
                values[ACCESS_TOKEN] = token.secrets["access_token"]
    allowed = {
        (label, origin)
        for label, holder in holders.items()
        if holder is not None
        for origin in holder.origins_of(label)
    }
    return Credentials(
        values,
        {label: row.pk if row else None for label, row in holders.items()},
        frozenset(label for label, row in holders.items() if row is not None and row is inherited),
        frozenset(allowed),
        cleared,
        tuple(dict.fromkeys(private)),
        compiled.signing_keys,
    )


def shown(compiled: Template, row: PropertyValues | None) -> VisibleValues:
    """What a page may know of a row."""
    values: dict[str, Any] = {}
    saved, cleared = set(), set()
    for item in compiled.properties:
        if row is None or _is_blank(row.values.get(item.label)):
            continue
        if item.secret:
            saved.add(item.label)
        elif row.stored_as_secret(item.label, item.secret):
            cleared.add(item.label)
        else:
            values[item.label] = row.values[item.label]
    return VisibleValues(values, frozenset(saved), frozenset(cleared))


def store(integration: Integration, values: Mapping[str, Any]) -> PropertyValues:
    """Replaces the organization's own values, as `replace` does."""
    row, _made = PropertyValues.objects.get_or_create(integration=integration)
    return replace(row, integration.compiled, values)


def replace(row: PropertyValues, compiled: Template, values: Mapping[str, Any]) -> PropertyValues:
    """Stores other values in a row, as `change` does."""
    change(row, compiled, values)
    row.save(update_fields=["values", "secret_origins", "changed_at"])
    return row


def change(row: PropertyValues, compiled: Template, values: Mapping[str, Any]) -> None:
    """Gives a row other values, secret where the document says so; what is new may go nowhere yet."""
    known = row.secret_origins or {}
    secret = [item.label for item in compiled.properties if item.secret and item.label in values]
    confirmed = {label: known.get(label, {}) for label in secret if row.values.get(label) == values[label]}
    if compiled.grant is not None:
        confirmed[ACCESS_TOKEN] = known.get(ACCESS_TOKEN, {})
    row.values = dict(values)
    row.secret_origins = {label: {} for label in secret} | confirmed


def _texts(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if not _is_blank(item):
            yield str(item)


def _is_blank(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())
