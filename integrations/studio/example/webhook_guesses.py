"""What the values of webhook requests probably are."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.translation import gettext as _

from integrations.studio.example import numbers, words
from integrations.studio.example.meanings import (
    Context,
    Meaning,
    Role,
    by_name,
    date_filter,
    is_credential,
    is_party,
    scheme_of,
)
from integrations.studio.example.samples import Leaf, Sample
from integrations.studio.example.words import plain


def in_webhook(context: Context, sample: Sample) -> dict[str, Meaning]:
    """What the values of a webhook request are: of a message that arrives, or of a report."""
    leaves = sample.leaves
    found = {leaf.key: _constant_of(context, leaf) for leaf in leaves}
    body = [leaf for leaf in leaves if leaf.where not in ("header", "user", "password")]
    for leaf in leaves:
        if leaf.where == "password":
            reason = _("It is the password of Basic authentication.")
            found[leaf.key] = Meaning("credential", "Webhook password", reason=reason)
        elif leaf.where == "user":
            reason = _("It is the user of Basic authentication.")
            found[leaf.key] = Meaning("property", "Webhook user", reason=reason)
    text = next((leaf for leaf in body if context.is_text(leaf)), None) or _first(
        body, words.TEXT, lambda leaf: isinstance(leaf.value, str)
    )
    status = _status(body)
    returned = next((leaf for leaf in body if _returns(context, leaf)), None)
    ours = next((leaf for leaf in body if leaf.text in context.references), None)
    sender = next((leaf for leaf in body if leaf.text and is_party(leaf, words.SENDER)), None)
    sender = sender or next((leaf for leaf in body if _is_anybody(leaf)), None)
    # Documentation often has one id in all its samples: a text that arrives has it, too, but no status.
    is_new = status is None or (returned is None and ours is None)
    inbound = text is not None and sender is not None and is_new
    if not inbound and status is None and returned is None and ours is None:
        inbound = sender is not None and any(context.is_file(leaf) for leaf in body)
    if inbound and status is not None and words.status_of(status.text) in ("delivered", "failed"):
        inbound = False
    identifier = returned or _best_id(body)
    if ours is not None and returned in (None, ours):
        identifier = ours
        found[ours.key] = Meaning("reference", reason=_("It is the reference of the request."))
    elif identifier is not None:
        reason = _("This value is also in the answer.") if returned else by_name(identifier)
        found[identifier.key] = Meaning("messageid", reason=reason)
    taken = {identifier.key} if identifier else set()
    if inbound:
        _message(context, body, found, taken, text, sender)
    elif status is not None:
        found[status.key] = Meaning("status", reason=by_name(status))
        taken.add(status.key)
        _report(body, found, taken)
    free = [leaf for leaf in body if found[leaf.key].role in ("ignore", "constant")]
    named = [leaf for leaf in free if words.DATE.search(leaf.name.casefold())]
    date = next((leaf for leaf in named if date_filter(leaf)), None)
    if date is not None:
        found[date.key] = Meaning("date", "", date_filter(date), reason=by_name(date))
    return found


def _message(
    context: Context,
    body: list[Leaf],
    found: dict[str, Meaning],
    taken: set[str],
    text: Leaf | None,
    sender: Leaf | None,
) -> None:
    others = [leaf for leaf in body if leaf.text and leaf is not sender]
    recipient = next((leaf for leaf in others if is_party(leaf, words.RECIPIENT)), None)
    if recipient is None:
        other = [leaf for leaf in body if leaf is not sender and _is_number(leaf, context.known.sender)]
        recipient = next(iter(other), None)
    name = _first(body, words.NAME, lambda leaf: isinstance(leaf.value, str))
    name = name or next((leaf for leaf in body if _is_sender_s(leaf)), None)
    roles: list[tuple[Role, Leaf | None]]
    roles = [("from", sender), ("text", text), ("to", recipient), ("sendername", name)]
    for role, leaf in roles:
        if leaf is not None and leaf.key not in taken:
            taken.add(leaf.key)
            filters = numbers.read_filter(leaf.value) if role in ("from", "to") else ""
            found[leaf.key] = Meaning(role, "", filters, reason=by_name(leaf))
    for leaf in body:
        if leaf.key not in taken and context.is_file(leaf):
            taken.add(leaf.key)
            found[leaf.key] = Meaning("file", reason=by_name(leaf))


def _report(body: list[Leaf], found: dict[str, Meaning], taken: set[str]) -> None:
    roles: list[tuple[Role, frozenset[str]]]
    roles = [("error_code", words.ERROR_CODE), ("error_text", words.ERROR_TEXT)]
    for role, names in roles:
        names = names - words.STATUS - words.KIND
        is_code = role == "error_code"
        for leaf in body:
            usable = leaf.key not in taken and not isinstance(leaf.value, bool)
            if usable and plain(leaf.name) in names and not (is_code and " " in leaf.text):
                taken.add(leaf.key)
                filters = "null_if:'0'" if leaf.text == "0" and is_code else ""
                found[leaf.key] = Meaning(role, "", filters, reason=by_name(leaf))
                break


def _constant_of(context: Context, leaf: Leaf) -> Meaning:
    """Whether a value of a webhook says what kind of request it is."""
    value = leaf.text
    if leaf.where == "header":
        if plain(leaf.name) != "authorization" and not is_credential(leaf):
            return Meaning("ignore")
        if re.search("sign|hmac|digest", leaf.name.casefold()):
            return Meaning("ignore", reason=_("It looks like a signature. Add 'verify' to the document."))
        reason = _("The provider shows with it that the request is its own.")
        return Meaning("credential", "Webhook token", "", scheme_of(value), "", reason)
    name = plain(leaf.name)
    if name not in words.KIND or _is_sender_s(leaf) or not re.fullmatch(r"[A-Za-z][A-Za-z_.:-]{1,39}", value):
        return Meaning("ignore")
    same = [sample.leaf(leaf.key) for sample in context.samples.webhooks]
    if len(same) > 1 and all(other is not None and other.text == value for other in same):
        return Meaning("ignore", reason=_("All webhooks have the same value here."))
    return Meaning("constant", reason=_("It says which kind of event this is."))


def _is_anybody(leaf: Leaf) -> bool:
    """Whether a value is a number, without saying whose; not that of the recipient."""
    named = plain(leaf.name) in words.NUMBER
    return bool(leaf.text) and named and not is_party(leaf, words.RECIPIENT)


def _is_sender_s(leaf: Leaf) -> bool:
    """Whether a value is the name of who wrote, by what it is in."""
    around = {plain(step) for step in leaf.path[:-1] if isinstance(step, str)}
    return plain(leaf.name) == "name" and bool(around & (words.SENDER | {"contact", "profile"}))


def _returns(context: Context, leaf: Leaf) -> bool:
    value = leaf.text
    if value and value == context.known.messageid:
        return True
    if len(value) < 4 and plain(leaf.name) not in words.IDS:
        return False
    is_id = re.search("[0-9]", value) is not None and not re.search(r"\s|://", value)
    named = plain(leaf.name) in words.IDS
    is_else = numbers.is_number(value) or bool(date_filter(leaf))
    return is_id and value in context.answered and (named or not is_else)


def _best_id(body: list[Leaf]) -> Leaf | None:
    ranked = [
        leaf for leaf in body if plain(leaf.name) in words.IDS and leaf.text and not leaf.text.isspace()
    ]
    return min(ranked, key=lambda leaf: words.IDS.index(plain(leaf.name)), default=None)


def _status(body: list[Leaf]) -> Leaf | None:
    named = [
        leaf for leaf in body if plain(leaf.name) in words.STATUS and leaf.text and not date_filter(leaf)
    ]
    said = [leaf for leaf in named if words.status_of(leaf.text)]
    said = said or [leaf for leaf in body if leaf.text.isalpha() and words.status_of(leaf.text)]
    events = {"event", "eventtype"}
    rest = [leaf for leaf in named if plain(leaf.name) not in events]
    return next(iter([*said, *rest]), None)


def _first(body: list[Leaf], names: frozenset[str], test: Callable[[Leaf], bool]) -> Leaf | None:
    return next((leaf for leaf in body if plain(leaf.name) in names and test(leaf)), None)


def _is_number(leaf: Leaf, number: str) -> bool:
    return bool(number) and numbers.is_number(leaf.text) and numbers.is_same(leaf.text, number)
