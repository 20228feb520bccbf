"""What the values of requests probably are."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from integrations.language.values import Number
from integrations.studio.example import numbers, private, words
from integrations.studio.example.meanings import (
    URL,
    Context,
    Meaning,
    Role,
    account,
    by_name,
    is_reference,
    property_label,
    scheme_of,
)
from integrations.studio.example.samples import Leaf
from integrations.studio.example.words import placeholder, plain

_SCHEMES = {
    "bearer": "API token",
    "basic": "Basic credentials",
    "app": "API key",
    "key": "API key",
    "token": "API token",
}


def in_request(context: Context, leaf: Leaf) -> Meaning:
    """What a value of a request is; a constant if nothing tells."""
    if leaf.where in ("user", "password"):
        return _basic(context, leaf)
    if leaf.where == "header":
        return _header(context, leaf)
    if leaf.where == "file":
        return Meaning("file", reason=_("A file is sent here."))
    if found := context.used(leaf):
        return found
    name, value = plain(leaf.name), leaf.text
    written = placeholder(value)
    if leaf.where in ("path", "bare"):
        return _segment(context, leaf, written)
    if words.CALLBACK.search(leaf.name.casefold()) and (URL.match(value) or written is not None):
        return Meaning("webhook_url", reason=by_name(leaf))
    if value in context.references and is_reference(leaf):
        return Meaning("reference", reason=_("This value returns, so that you find the message."))
    if found := account(leaf):
        return found
    is_text = not isinstance(leaf.value, Number | bool) and leaf.value is not None
    if context.is_file(leaf) or (written is not None and "url" in plain(written) and name in words.FILE):
        return Meaning("file", reason=by_name(leaf))
    fits = numbers.is_number(value) or written is not None
    if name in words.RECIPIENT | words.NUMBER and fits and "to" not in context.seen:
        before, filters = numbers.spelling(leaf.value)
        return Meaning("to", "", filters, before, "", by_name(leaf))
    if name in words.SENDER and is_text and "from" not in context.seen:
        before, filters = numbers.spelling(leaf.value, sender=True) if numbers.is_number(value) else ("", "")
        return Meaning("from", "", filters, before, "", by_name(leaf))
    reads_as_text = words.is_sentence(value) or leaf in context.brief
    if name in words.TEXT and is_text and reads_as_text and "text" not in context.seen:
        return Meaning("text", reason=by_name(leaf))
    if written and (role := _role_of_placeholder(written)):
        return Meaning(role, reason=_("The documentation writes %(value)s here.") % {"value": value[:60]})
    return _apart(context, leaf) or _random(leaf) or Meaning("constant")


def _apart(context: Context, leaf: Leaf) -> Meaning | None:
    """A credential whose name is not its own: `{"token": {"value": …}}`, `{"name": "token", "value": …}`."""
    name = context.named_apart.get(leaf, "")
    last = leaf.path[-1] if leaf.path else ""
    if not name or not leaf.text or not (last in private.PAIR_VALUES or isinstance(last, int)):
        return None
    reason = _("It is the value of “%(name)s”.") % {"name": name[:60]}
    return Meaning("credential", words.label_of(name) or "API key", reason=reason)


def _random(leaf: Leaf) -> Meaning | None:
    """A credential that has no name of one: rather asked of customers than written in the document."""
    if not words.is_random(leaf.text):
        return None
    label = property_label(leaf, "credential")
    return Meaning("credential", label, reason=_("It looks like a key that was made by a machine."))


def _basic(context: Context, leaf: Leaf) -> Meaning:
    written = placeholder(leaf.text)
    if leaf.where == "password":
        label = words.label_of(written or "") or "Password"
        if len(leaf.text) < 2:
            return Meaning("constant", reason=_("There is no password."))
        return Meaning("credential", label, reason=_("It is the password of Basic authentication."))
    label = words.label_of(written or "") or "User name"
    passwords = [
        sample.basic[1]
        for sample in (context.samples.request, context.samples.file_request)
        if sample is not None and sample.basic is not None
    ]
    if not any(len(password) >= 2 for password in passwords):
        label = words.label_of(written or "") or "API key"
        return Meaning("credential", label, reason=_("It is the user of Basic authentication, alone."))
    return Meaning("property", label, reason=_("It is the user of Basic authentication."))


def _header(context: Context, leaf: Leaf) -> Meaning:
    name, value = plain(leaf.name), leaf.text
    if name in ("authorization", "xauthorization"):
        before = scheme_of(value)
        scheme, written = before.strip(), placeholder(value[len(before) :])
        label = words.label_of(written or "") or _SCHEMES.get(scheme.casefold()) or words.label_of(scheme)
        reason = _("The header Authorization has the credentials.")
        return Meaning("credential", label or "API key", "", before, "", reason)
    if found := account(leaf):
        return found
    return context.used(leaf) or _random(leaf) or Meaning("constant")


def _segment(context: Context, leaf: Leaf, written: str | None) -> Meaning:
    value = leaf.text
    if written:
        if role := _role_of_placeholder(written):
            return Meaning(role, reason=_("The documentation writes %(value)s here.") % {"value": value[:60]})
        secret = plain(written) in words.CREDENTIAL or plain(written).endswith(words.CREDENTIAL_ENDS)
        label = words.label_of(written) or "Account"
        reason = _("The documentation writes %(value)s here.") % {"value": value[:60]}
        return Meaning("credential" if secret else "property", label, reason=reason)
    is_version = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|v?[0-9.]{1,4}|v[0-9.]+", value)
    is_id = len(value) >= 5 and re.search("[0-9]", value) is not None and not is_version
    if is_id and context.counts[value] > 1:
        label = property_label(leaf, "property")
        return Meaning("property", label, reason=_("This value is also in another place, like an account."))
    if is_id and plain(leaf.after).removesuffix("s") in words.ACCOUNT:
        reason = _("It follows “%(name)s” in the path.") % {"name": leaf.after}
        return Meaning("property", property_label(leaf, "property"), reason=reason)
    return _random(leaf) or Meaning("constant")


def _role_of_placeholder(name: str) -> Role | None:
    base = re.sub(r"[0-9]+$", "", plain(name))
    if base in words.RECIPIENT | words.NUMBER:
        return "to"
    if base in words.SENDER:
        return "from"
    return "text" if base in words.TEXT else None
