"""What the values of answers probably are."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from integrations.studio.example import numbers, words
from integrations.studio.example.meanings import Context, Meaning, by_name, date_filter
from integrations.studio.example.samples import Leaf, Sample
from integrations.studio.example.words import plain

_NOT_AN_ID = 1000


def in_answer(context: Context, sample: Sample) -> dict[str, Meaning]:
    """What the values of an answer are: one is the id of the message."""
    found = {leaf.key: Meaning("ignore") for leaf in sample.leaves}
    ranked = sorted(
        (leaf for leaf in sample.leaves if _rank(context, leaf) < _NOT_AN_ID),
        key=lambda leaf: _rank(context, leaf),
    )
    for leaf in ranked[:1]:
        reason = by_name(leaf)
        if leaf.text == context.known.messageid:
            reason = _("It is the id that you named.")
        elif leaf.text in context.reported:
            reason = _("This value returns in a report.")
        found[leaf.key] = Meaning("messageid", reason=reason)
    return found


def _rank(context: Context, leaf: Leaf) -> int:
    """How probably a value of the answer is the id of the message; the least is the best."""
    value, name = leaf.text, plain(leaf.name)
    if not value or isinstance(leaf.value, bool) or context.number(leaf) or leaf.where == "header":
        return _NOT_AN_ID
    named = name in words.RECIPIENT | words.SENDER | words.NUMBER and numbers.is_number(value)
    is_party = named or value in context.parties
    if value in context.references or (is_party and value != context.known.messageid):
        return _NOT_AN_ID
    rank = words.IDS.index(name) if name in words.IDS else _NOT_AN_ID
    if value == context.known.messageid:
        return rank - 4 * _NOT_AN_ID
    if len(value) < 4 and not (name in words.IDS and value in context.reported):
        return rank
    is_id = bool(re.search(r"\d", value)) and not re.search(r"\s|://", value) and not date_filter(leaf)
    if value in context.reported and (is_id or name in words.IDS):
        return rank - 2 * _NOT_AN_ID
    if leaf.where == "text" and is_id and len(value) >= 6:
        return rank - 1
    return rank


def in_error(sample: Sample) -> dict[str, Meaning]:
    """What the values of a refusal are: its code, and its text."""
    found = {leaf.key: Meaning("ignore") for leaf in sample.leaves}
    inside = [leaf for leaf in sample.leaves if leaf.where != "header" and leaf.text]
    for leaf in inside:
        if plain(leaf.name) in words.ERROR_TEXT and " " in leaf.text:
            found[leaf.key] = Meaning("error_text", reason=by_name(leaf))
            break
    for leaf in inside:
        is_code = len(leaf.text) <= 60 and " " not in leaf.text
        if plain(leaf.name) in words.ERROR_CODE and is_code and not isinstance(leaf.value, bool):
            found[leaf.key] = Meaning("error_code", reason=by_name(leaf))
            break
    return found
