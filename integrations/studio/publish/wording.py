"""The difference between two documents in sentences for those who publish the second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.language.document import Template
from integrations.language.properties import Property
from integrations.language.values import Value, text

# Sections that are compared as a whole, with their names on the page.
_SECTIONS = {
    "auth": gettext_lazy("How requests are authenticated has changed."),
    "OAuth2": gettext_lazy("How access tokens are obtained has changed."),
    "request_headers": gettext_lazy("The headers of all requests have changed."),
    "limits": gettext_lazy("The limits have changed."),
    "description": gettext_lazy("The description has changed."),
    "logo": gettext_lazy("The logo has changed."),
}


def differences(before: Template | None, after: Template) -> Iterator[str]:
    """What is different in the second document, most important first; nothing if both say the same."""
    if before is None:
        yield _("Organizations can set up %(name)s.") % {"name": after.name}
        return
    if before.id != after.id:
        names = {"old": before.id, "new": after.id}
        yield _("The id changes from %(old)s to %(new)s, and with it the webhook URL.") % names
    if before.name != after.name:
        yield _("The name changes from %(old)s to %(new)s.") % {"old": before.name, "new": after.name}
    yield from _properties(_by_label(before), _by_label(after))
    yield from _methods(before.document.get("API", {}), after.document.get("API", {}))
    yield from _events(before, after)
    for section, sentence in _SECTIONS.items():
        if before.document.get(section) != after.document.get(section):
            yield str(sentence)
    yield from _tables(before.tables, after.tables)


def _by_label(template: Template) -> dict[str, Property]:
    return {item.label: item for item in template.properties}


def _properties(before: Mapping[str, Property], after: Mapping[str, Property]) -> Iterator[str]:
    for label in sorted(after.keys() - before.keys()):
        if after[label].required and after[label].default is None:
            yield _("%(label)s is new, and required: each organization must enter it.") % {"label": label}
        else:
            yield _("%(label)s is new, and optional.") % {"label": label}
    for label in sorted(before.keys() - after.keys()):
        yield _("%(label)s is no longer asked for.") % {"label": label}
    for label in sorted(before.keys() & after.keys()):
        old, new = before[label], after[label]
        if new.required and not old.required:
            yield _("%(label)s is now required.") % {"label": label}
        if old.required and not new.required:
            yield _("%(label)s is now optional.") % {"label": label}
        if old.secret and not new.secret:
            yield _("%(label)s is no longer secret: it must be entered again.") % {"label": label}
        if new.secret and not old.secret:
            yield _("%(label)s is now secret.") % {"label": label}
        if old.default != new.default:
            yield _("The default of %(label)s has changed.") % {"label": label}
        if (old.type, old.choices, old.help) != (new.type, new.choices, new.help):
            yield _("%(label)s is asked for in another way.") % {"label": label}


def _methods(before: Value, after: Value) -> Iterator[str]:
    for name in sorted(after.keys() - before.keys()):
        yield _("The method %(name)s is new.") % {"name": name}
    for name in sorted(before.keys() - after.keys()):
        yield _("The method %(name)s is gone.") % {"name": name}
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old == new:
            continue
        if old.get("request_url") != new.get("request_url"):
            names = {"name": name, "old": text(old.get("request_url")), "new": text(new.get("request_url"))}
            yield _("%(name)s is sent to %(new)s instead of %(old)s.") % names
        if {**old, "request_url": ""} != {**new, "request_url": ""}:
            yield _("%(name)s has changed.") % {"name": name}


def _events(before: Template, after: Template) -> Iterator[str]:
    if before.webhook.verified and not after.webhook.verified:
        yield _("Webhooks are no longer verified: whoever knows the URL can send them.")
    if after.webhook.verified and not before.webhook.verified:
        yield _("Webhooks are verified now.")
    old, new = (_counts(template) for template in (before, after))
    for kind in sorted(old.keys() | new.keys()):
        difference = new.get(kind, 0) - old.get(kind, 0)
        names = {"kind": kind, "count": abs(difference)}
        if difference > 0:
            yield (
                ngettext("One event %(kind)s is new.", "%(count)d events %(kind)s are new.", difference)
                % names
            )
        elif difference < 0:
            yield (
                ngettext("One event %(kind)s is gone.", "%(count)d events %(kind)s are gone.", -difference)
                % names
            )
    if before.document.get("Webhook") != after.document.get("Webhook") and old == new:
        yield _("How webhooks are read has changed.")


def _counts(template: Template) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in template.events:
        found[event.type] = found.get(event.type, 0) + 1
    return found


def _tables(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, {}), after.get(name, {})
        count = sum(old.get(key) != new.get(key) for key in old.keys() | new.keys())
        if count:
            names = {"name": name, "count": count}
            yield (
                ngettext(
                    "One entry of the table %(name)s has changed.",
                    "%(count)d entries of the table %(name)s have changed.",
                    count,
                )
                % names
            )
