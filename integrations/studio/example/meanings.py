"""What values of samples mean: the roles that they can have, and what tells them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from django.utils.translation import gettext as _

from integrations.language.filters import FILTERS
from integrations.language.values import Number, is_string
from integrations.studio.example import numbers, private, words
from integrations.studio.example.samples import Leaf, Sample, Samples
from integrations.studio.example.words import placeholder, plain

Role = Literal[
    "to", "from", "text", "file", "file_type", "file_name", "messageid", "reference", "status", "date",
    "error_code", "error_text", "sendername", "credential", "property", "webhook_url", "constant", "ignore",
]  # fmt: skip
_LONGEST_DATE = 100  # characters
_DATE_FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%d/%b/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%a %b %d %H:%M:%S %Y",
)  # fmt: skip
URL = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Meaning:
    """What a value is: its role, the label of its property, and its filters as in `digits|unjson`.

    `before` and `after` are parts of the value that are always the same. It is `guessed` until a person has
    said it; `reason` is a sentence.
    """

    role: Role
    label: str = ""
    filters: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""
    guessed: bool = True


@dataclass(frozen=True)
class SampleMessage:
    """What the person says they used: numbers in any spelling, the text, and what else they may know."""

    to: str = ""
    sender: str = ""
    text: str = ""
    messageid: str = ""
    file_url: str = ""


# By the name of the sample and the key of the leaf.
Choices = Mapping[tuple[str, str], Meaning]
Meanings = Mapping[str, Mapping[str, Meaning]]


class Context:
    """What the samples say together, and what the person says they used.

    `counts` are how often a value is in all samples, `answered` and `reported` the values of the answer and
    of the webhooks. `seen` are the roles whose values the request has just as the person says, `references`
    the values that the request names a message with, and that return. `parties` are the numbers that are said
    to be whose a message is from or to. `brief` are texts of one word in requests, which have no other text.
    `named_apart` are values of requests that a credential's name belongs to which is further up or beside
    them.
    """

    def __init__(self, samples: Samples, known: SampleMessage) -> None:
        self.samples, self.known = samples, known
        leaves = [leaf for sample in samples.named().values() for leaf in sample.leaves]
        self.counts = Counter(leaf.text for leaf in leaves)
        named = [leaf for leaf in leaves if is_party(leaf, words.SENDER | words.RECIPIENT)]
        self.parties = {leaf.text for leaf in named if numbers.is_number(leaf.text)}
        answered = samples.answer.leaves if samples.answer is not None else ()
        self._texts = _spellings(known.text, {leaf.text.strip() for leaf in leaves})
        self.answered = {leaf.text for leaf in answered if leaf.text}
        self.reported = {leaf.text for sample in samples.webhooks for leaf in sample.leaves if leaf.text}
        sent = samples.request.leaves if samples.request is not None else ()
        returned = self.answered | self.reported
        self.references = {leaf.text for leaf in sent if is_reference(leaf) and leaf.text in returned}
        self.seen = {meaning.role for leaf in sent if (meaning := self.used(leaf)) is not None}
        requests = [sample for sample in (samples.request, samples.file_request) if sample is not None]
        self.brief = {leaf for sample in requests for leaf in _brief_text(sample)}
        self.named_apart = {leaf: name for sample in requests for leaf, name in named_apart(sample).items()}

    def number(self, leaf: Leaf) -> Meaning | None:
        """What a number is that the person used."""
        value = leaf.text
        for role, number in (("to", self.known.to), ("from", self.known.sender)):
            sender = role == "from"
            if number and value == number and not numbers.is_number(number):
                reason = _("It is the number or name that you used.")
                return Meaning("from" if sender else "to", reason=reason)
            if number and numbers.is_number(value) and numbers.is_same(value, number):
                before, filters = numbers.spelling(leaf.value, number, sender=sender)
                reason = _("These are the digits of the number that you used.")
                return Meaning("from" if sender else "to", "", filters, before, "", reason)
        return None

    def used(self, leaf: Leaf) -> Meaning | None:
        """The number, text or file that the person used."""
        value = leaf.text
        if self.is_text(leaf):
            return Meaning("text", reason=_("It is the text that you used."))
        if self.known.file_url and value == self.known.file_url:
            return Meaning("file", reason=_("It is the file that you used."))
        return self.number(leaf)

    def is_text(self, leaf: Leaf) -> bool:
        """Whether a value is the text that the person used."""
        return leaf.text.strip() in self._texts

    def is_file(self, leaf: Leaf) -> bool:
        """Whether a value is the URL of a file, by the names around it."""
        if leaf.where == "file":
            return False
        context = {plain(re.sub(r"\d+$", "", step)) for step in leaf.path if isinstance(step, str)}
        named = bool(context & words.FILE) or plain(leaf.name) in words.FILE
        return named and URL.fullmatch(leaf.text) is not None


def _spellings(text: str, values: Collection[str]) -> set[str]:
    """Those of the values that are the text which a person used; if need be, in another case or in quotes."""
    wanted = text.strip(" \t\n\"'“”").casefold()
    if not wanted or text.strip() in values:
        return {text.strip()} & {*values} - {""}
    return {value for value in values if value.strip("\"'“”").casefold() == wanted}


def _brief_text(sample: Sample) -> list[Leaf]:
    """The first text of one word, if the sample has no other text."""
    named = [
        leaf
        for leaf in sample.leaves
        if plain(leaf.name) in words.TEXT and leaf.where not in ("header", "path") and is_string(leaf.value)
    ]
    if any(words.is_sentence(leaf.text) for leaf in named):
        return []
    return [leaf for leaf in named if words.is_brief_text(leaf.text)][:1]


def is_reference(leaf: Leaf) -> bool:
    """Whether a value is the customer's own id of a message, by its name."""
    return plain(leaf.name) in words.REFERENCE and isinstance(leaf.value, str) and bool(leaf.text)


def is_party(leaf: Leaf, names: frozenset[str]) -> bool:
    """Whether a value is the number or name of somebody, by its own name or that of what it is in."""
    if plain(leaf.name) in names:
        return True
    around = {plain(step) for step in leaf.path[:-1] if isinstance(step, str)}
    return plain(leaf.name) in words.NUMBER and bool(around & names)


def is_secret(value: str) -> bool:
    """Whether a value is one that nobody may see: not what documentation writes in its place."""
    return len(value) >= 4 and not words.stands_for_credential(value)


def scheme_of(value: str) -> str:
    """The word before the credentials in a header, with its blank; "" without one."""
    scheme, blank, rest = value.partition(" ")
    is_word = scheme.isalpha() and (scheme[0].isupper() or scheme in ("bearer", "basic", "token", "key"))
    return scheme + blank if blank and rest.strip() and is_word and len(scheme) <= 12 else ""


def by_name(leaf: Leaf) -> str:
    """The reason for a guess by the name of a value."""
    return _("Its name is “%(name)s”.") % {"name": leaf.name[:60]}


def account(leaf: Leaf) -> Meaning | None:
    """A credential or an account, by the name of the value."""
    name, written = plain(leaf.name), placeholder(leaf.text)
    if isinstance(leaf.value, bool) or not leaf.text:
        return None
    for role, names, ends in (
        ("credential", words.CREDENTIAL, words.CREDENTIAL_ENDS),
        ("property", words.ACCOUNT, words.ACCOUNT_ENDS),
    ):
        last = words.label_of(leaf.name).casefold().rpartition(" ")[2]  # X-Key is a key
        if name in names or name.endswith(ends) or (role == "credential" and last in names):
            label = words.label_of(leaf.name) or words.label_of(written or "")
            if " " in (said := words.label_of(written or "")) and plain(said) in name:
                label = said  # of PRODUCTTOKEN, only <product token> shows that it is two words
            made = Meaning("credential") if role == "credential" else Meaning("property")
            return replace(made, label=label or "API key", reason=by_name(leaf))
    return None


def named_apart(sample: Sample) -> dict[Leaf, str]:
    """The values that belong to the name of a credential further up, or beside them as in a pair; with it."""
    texts = {(leaf.where, leaf.path): leaf.text for leaf in sample.leaves}
    found = {}
    for leaf in sample.leaves:
        if leaf.where not in ("json", "xml"):
            continue
        above = [
            step for step in leaf.path[:-1] if isinstance(step, str) and plain(step) not in private.UNSURE
        ]
        beside = [
            texts.get((leaf.where, (*leaf.path[:place], name)), "")
            for place, step in enumerate(leaf.path)
            if step in private.PAIR_VALUES
            for name in private.PAIR_NAMES
        ]
        if name := next(filter(words.is_private, (*above, *beside)), ""):
            found[leaf] = name
    return found


def is_credential(leaf: Leaf) -> bool:
    """Whether a value is a credential, by its name."""
    found = account(leaf)
    return found is not None and found.role == "credential"


def property_label(leaf: Leaf, role: Role) -> str:
    """The label of the property for a value, made of its name."""
    name = placeholder(leaf.text) or leaf.name
    if leaf.where == "path" and name == leaf.after:
        name = f"{re.sub('s$', '', name)} ID" if name else ""
    return words.label_of(name) or ("API key" if role == "credential" else "Account")


def date_filter(leaf: Leaf) -> str:
    """The filter that reads a date as it is written in a value; "" if it is none that can be read."""
    value = leaf.text.strip()
    if len(value) > _LONGEST_DATE:
        return ""
    if re.fullmatch(r"1[0-9]{9}(\.[0-9]+)?", value):
        return "epoch"
    if re.fullmatch(r"1[0-9]{12}", value):
        return "epoch:1000"
    if value.isdigit():
        written = re.fullmatch(r"20[0-9]{12}", value) and words.DATE.search(leaf.name.casefold())
        return "strptime:'%Y%m%d%H%M%S'" if written else ""
    if isinstance(leaf.value, Number) or not re.search(r"[0-9].*[-/: ]", value):
        return ""
    if re.fullmatch(r"\d{4}-\d\d-\d\d([T ].*)?|\w{3}, .*", value) and FILTERS["iso"](value) is not None:
        return "iso"
    for form in _DATE_FORMATS:
        if FILTERS["strptime"](value, form) is not None:
            return f"strptime:'{form}'"
    return ""
