"""What the values of samples probably are, each with the reason; whoever pasted them may know better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from django.utils.translation import gettext as _

from integrations.studio.example import numbers
from integrations.studio.example.answer_guesses import in_answer, in_error
from integrations.studio.example.meanings import (
    Choices,
    Context,
    Meaning,
    Meanings,
    Role,
    SampleMessage,
    date_filter,
    property_label,
)
from integrations.studio.example.request_guesses import in_request
from integrations.studio.example.samples import Leaf, Sample, Samples
from integrations.studio.example.webhook_guesses import in_webhook


def guess(samples: Samples, known: SampleMessage, choices: Choices) -> Meanings:
    """The meaning of every leaf, by the names of the samples and the keys of the leaves.

    A choice takes the place of a guess, and is completed where it does not say how the value is written.
    """
    named = samples.named()
    told = {
        name: {leaf.key: choices[name, leaf.key] for leaf in sample.leaves if (name, leaf.key) in choices}
        for name, sample in named.items()
    }
    context = Context(samples, known)
    found: dict[str, dict[str, Meaning]] = {}
    for name, sample in named.items():
        guessed = _guessed(context, name, sample)
        found[name] = {
            leaf.key: _completed(context, sample, leaf, told[name][leaf.key], guessed[leaf.key])
            if leaf.key in told[name]
            else guessed[leaf.key]
            for leaf in sample.leaves
        }
    _only_one(found, told, ("answer", "error"), "messageid")
    return _shared(named, found, told)


def _guessed(context: Context, name: str, sample: Sample) -> dict[str, Meaning]:
    if sample.kind == "request":
        return {leaf.key: in_request(context, leaf) for leaf in sample.leaves}
    if sample.kind == "webhook":
        return in_webhook(context, sample)
    return in_error(sample) if name == "error" else in_answer(context, sample)


def _completed(context: Context, sample: Sample, leaf: Leaf, told: Meaning, guessed: Meaning) -> Meaning:
    """What a person said, with how the value is written where they did not say it."""
    told = replace(told, guessed=False)
    if told.role == guessed.role:
        fields = ("label", "filters", "before", "after", "reason")
        return replace(told, **{name: getattr(told, name) or getattr(guessed, name) for name in fields})
    if told.role in ("to", "from") and not told.filters and not told.before:
        if sample.kind == "request":
            number = context.known.to if told.role == "to" else context.known.sender
            before, filters = numbers.spelling(leaf.value, number, sender=told.role == "from")
            return replace(told, before=before, filters=filters)
        return replace(told, filters=numbers.read_filter(leaf.value))
    if told.role == "date" and not told.filters:
        return replace(told, filters=date_filter(leaf))
    if told.role in ("credential", "property") and not told.label:
        return replace(told, label=property_label(leaf, told.role))
    return told


def _only_one(found: dict[str, dict[str, Meaning]], told: Meanings, names: Iterable[str], role: Role) -> None:
    """Takes back a guess where a person has said that another leaf has this role."""
    for name in names:
        if any(meaning.role == role for meaning in told.get(name, {}).values()):
            for key, meaning in found[name].items():
                if meaning.role == role and key not in told[name]:
                    found[name][key] = Meaning("ignore")


def _shared(named: Mapping[str, Sample], found: dict[str, dict[str, Meaning]], told: Meanings) -> Meanings:
    """Equal credentials and properties of all samples are one, with one label."""
    values: dict[str, Meaning] = {}
    orders: list[tuple[Meanings, tuple[Role, ...]]]
    orders = [(told, ("credential", "property")), (found, ("credential",)), (found, ("property",))]
    for order, roles in orders:
        for name, meanings in order.items():
            for key, _meaning in meanings.items():
                meaning, leaf = found[name][key], named[name].leaf(key)
                if meaning.role in roles and leaf is not None:
                    value = _inner(leaf.text, meaning)
                    if len(value) >= 4:
                        values.setdefault(value, meaning)
    for name, meanings in found.items():
        for leaf in named[name].leaves:
            meaning = meanings[leaf.key]
            value = _inner(leaf.text, meaning)
            same = values.get(value)
            if same is None or leaf.key in told[name]:
                continue
            if meaning.role in ("credential", "property", "constant", "ignore"):
                reason = meaning.reason or _("It is the same value as %(label)s.") % {"label": same.label}
                meanings[leaf.key] = replace(meaning, role=same.role, label=same.label, reason=reason)
    return found


def _inner(value: str, meaning: Meaning) -> str:
    return value[len(meaning.before) : len(value) - len(meaning.after)]
