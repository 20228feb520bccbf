"""What the values of samples probably are, each with the reason; whoever pasted them may know better."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from django.utils.translation import gettext as _

from integrations.language.filters import FILTERS
from integrations.language.values import Number
from integrations.studio import numbers, words
from integrations.studio.samples import Leaf, Sample, Samples
from integrations.studio.words import placeholder, plain

Role = Literal[
    "to", "from", "text", "file", "file_type", "file_name", "messageid", "reference", "status", "date",
    "error_code", "error_text", "sendername", "credential", "property", "webhook_url", "constant", "ignore",
]  # fmt: skip
_DATE_FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%d/%b/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%a %b %d %H:%M:%S %Y",
)  # fmt: skip
_SCHEMES = {
    "bearer": "API token",
    "basic": "Credentials",
    "app": "API key",
    "key": "API key",
    "token": "API token",
}
_URL = re.compile(r"https?://\S+")


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
class Known:
    """What the person says they used: numbers in any spelling, the text, and what else they may know."""

    to: str = ""
    sender: str = ""
    text: str = ""
    messageid: str = ""
    file_url: str = ""


# By the name of the sample and the key of the leaf.
Choices = Mapping[tuple[str, str], Meaning]
Meanings = Mapping[str, Mapping[str, Meaning]]


def guess(samples: Samples, known: Known = Known(), choices: Choices = {}) -> Meanings:  # noqa: B006
    """The meaning of every leaf, by the names of the samples and the keys of the leaves.

    A choice takes the place of a guess, and is completed where it does not say how the value is written.
    """
    named = samples.named()
    told = {
        name: {leaf.key: choices[name, leaf.key] for leaf in sample.leaves if (name, leaf.key) in choices}
        for name, sample in named.items()
    }
    guesser = _Guesser(samples, known)
    found: dict[str, dict[str, Meaning]] = {}
    for name, sample in named.items():
        guessed = guesser.of(name, sample)
        found[name] = {
            leaf.key: guesser.completed(sample, leaf, told[name][leaf.key], guessed[leaf.key])
            if leaf.key in told[name]
            else guessed[leaf.key]
            for leaf in sample.leaves
        }
    _only_one(found, told, ("answer", "error"), "messageid")
    return _shared(named, found, told)


def is_secret(value: str) -> bool:
    """Whether a value is one that nobody may see: not what documentation writes in its place."""
    name = plain(value)
    known = name in words.CREDENTIAL | words.ACCOUNT or name.endswith(words.CREDENTIAL_ENDS)
    return len(value) >= 4 and placeholder(value) is None and not known


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
    for order in (told, found):
        for name, meanings in order.items():
            for key, _meaning in meanings.items():
                meaning, leaf = found[name][key], named[name].leaf(key)
                if meaning.role in ("credential", "property") and leaf is not None:
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


class _Guesser:
    def __init__(self, samples: Samples, known: Known) -> None:
        self.samples, self.known = samples, known
        leaves = [leaf for sample in samples.named().values() for leaf in sample.leaves]
        self.counts = Counter(leaf.text for leaf in leaves)
        self.answered = (
            {leaf.text for leaf in samples.answer.leaves if leaf.text} if samples.answer else set()
        )
        self.reported = {leaf.text for sample in samples.webhooks for leaf in sample.leaves if leaf.text}

    def of(self, name: str, sample: Sample) -> dict[str, Meaning]:
        """The guesses for a sample's leaves."""
        if sample.kind == "request":
            return {leaf.key: self._in_request(leaf) for leaf in sample.leaves}
        if sample.kind == "webhook":
            return self._in_webhook(sample)
        return self._in_error(sample) if name == "error" else self._in_answer(sample)

    def completed(self, sample: Sample, leaf: Leaf, told: Meaning, guessed: Meaning) -> Meaning:
        """What a person said, with how the value is written where they did not say it."""
        told = replace(told, guessed=False)
        if told.role == guessed.role:
            fields = ("label", "filters", "before", "after", "reason")
            return replace(told, **{name: getattr(told, name) or getattr(guessed, name) for name in fields})
        if told.role in ("to", "from") and not told.filters and not told.before:
            if sample.kind == "request":
                number = self.known.to if told.role == "to" else self.known.sender
                before, filters = numbers.spelling(leaf.value, number, sender=told.role == "from")
                return replace(told, before=before, filters=filters)
            return replace(told, filters=numbers.read_filter(leaf.value))
        if told.role == "date" and not told.filters:
            return replace(told, filters=date_filter(leaf))
        if told.role in ("credential", "property") and not told.label:
            return replace(told, label=_label(leaf, told.role))
        return told

    def _number(self, leaf: Leaf) -> Meaning | None:
        value = leaf.text
        for role, number in (("to", self.known.to), ("from", self.known.sender)):
            sender = role == "from"
            if number and value == number and not numbers.is_number(number):
                return Meaning(
                    "from" if sender else "to", reason=_("It is the number or name that you used.")
                )
            if number and numbers.is_number(value) and numbers.is_same(value, number):
                before, filters = numbers.spelling(leaf.value, number, sender=sender)
                reason = _("These are the digits of the number that you used.")
                return Meaning("from" if sender else "to", "", filters, before, "", reason)
        return None

    def _in_request(self, leaf: Leaf) -> Meaning:
        if leaf.where in ("user", "password"):
            return self._basic(leaf)
        if leaf.where == "header":
            return self._header(leaf)
        if leaf.where == "file":
            return Meaning("file", reason=_("A file is sent here."))
        if found := self._used(leaf):
            return found
        name, value = plain(leaf.name), leaf.text
        written = placeholder(value)
        if leaf.where == "path":
            return self._segment(leaf, written)
        if words.CALLBACK.search(leaf.name.casefold()) and (_URL.match(value) or written is not None):
            return Meaning("webhook_url", reason=_by_name(leaf))
        if found := _account(leaf):
            return found
        is_text = not isinstance(leaf.value, Number | bool) and leaf.value is not None
        if self._is_file(leaf) or (written is not None and "url" in plain(written) and name in words.FILE):
            return Meaning("file", reason=_by_name(leaf))
        fits = numbers.is_number(value) or written is not None
        if name in words.RECIPIENT | words.NUMBER and fits and not self.known.to:
            before, filters = numbers.spelling(leaf.value)
            return Meaning("to", "", filters, before, "", _by_name(leaf))
        if name in words.SENDER and is_text and not self.known.sender:
            before, filters = (
                numbers.spelling(leaf.value, sender=True) if numbers.is_number(value) else ("", "")
            )
            return Meaning("from", "", filters, before, "", _by_name(leaf))
        if (
            name in words.TEXT
            and is_text
            and not self.known.text
            and (" " in value or len(value) > 12 or written)
        ):
            return Meaning("text", reason=_by_name(leaf))
        if written and (role := _role_of_placeholder(written)):
            return Meaning(role, reason=_("The documentation writes %(value)s here.") % {"value": value[:60]})
        return Meaning("constant")

    def _used(self, leaf: Leaf) -> Meaning | None:
        """The number, text or file that the person used."""
        value = leaf.text
        if self.known.text and value.strip() == self.known.text.strip():
            return Meaning("text", reason=_("It is the text that you used."))
        if self.known.file_url and value == self.known.file_url:
            return Meaning("file", reason=_("It is the file that you used."))
        return self._number(leaf)

    def _basic(self, leaf: Leaf) -> Meaning:
        written = placeholder(leaf.text)
        if leaf.where == "password":
            label = words.label_of(written or "") or "Password"
            if len(leaf.text) < 2:
                return Meaning("constant", reason=_("There is no password."))
            return Meaning("credential", label, reason=_("It is the password of Basic authentication."))
        label = words.label_of(written or "") or "User name"
        passwords = [
            sample.basic[1]
            for sample in (self.samples.request, self.samples.file_request)
            if sample is not None and sample.basic is not None
        ]
        if not any(len(password) >= 2 for password in passwords):
            label = words.label_of(written or "") or "API key"
            return Meaning("credential", label, reason=_("It is the user of Basic authentication, alone."))
        return Meaning("property", label, reason=_("It is the user of Basic authentication."))

    def _header(self, leaf: Leaf) -> Meaning:
        name, value = plain(leaf.name), leaf.text
        if name in ("authorization", "xauthorization"):
            scheme, blank, rest = value.partition(" ")
            if not blank or not rest.strip() or not scheme.isalpha():
                scheme, rest = "", value
            written = placeholder(rest)
            label = words.label_of(written or "") or _SCHEMES.get(scheme.casefold()) or words.label_of(scheme)
            before = value[: len(value) - len(rest)]
            reason = _("The header Authorization has the credentials.")
            return Meaning("credential", label or "API key", "", before, "", reason)
        if found := _account(leaf):
            return found
        return self._used(leaf) or Meaning("constant")

    def _segment(self, leaf: Leaf, written: str | None) -> Meaning:
        value = leaf.text
        if written:
            if role := _role_of_placeholder(written):
                return Meaning(
                    role, reason=_("The documentation writes %(value)s here.") % {"value": value[:60]}
                )
            secret = plain(written) in words.CREDENTIAL or plain(written).endswith(words.CREDENTIAL_ENDS)
            label = words.label_of(written) or "Account"
            reason = _("The documentation writes %(value)s here.") % {"value": value[:60]}
            return Meaning("credential" if secret else "property", label, reason=reason)
        is_version = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|v?[0-9.]{1,4}|v[0-9.]+", value)
        is_id = len(value) >= 5 and re.search("[0-9]", value) is not None and not is_version
        if is_id and self.counts[value] > 1:
            label = _label(leaf, "property")
            return Meaning(
                "property", label, reason=_("This value is also in another place, like an account.")
            )
        if is_id and plain(leaf.after).removesuffix("s") in words.ACCOUNT:
            reason = _("It follows “%(name)s” in the path.") % {"name": leaf.after}
            return Meaning("property", _label(leaf, "property"), reason=reason)
        return Meaning("constant")

    def _in_answer(self, sample: Sample) -> dict[str, Meaning]:
        found = {leaf.key: Meaning("ignore") for leaf in sample.leaves}
        ranked = sorted(
            (leaf for leaf in sample.leaves if self._rank(leaf) < _NOT_AN_ID),
            key=lambda leaf: self._rank(leaf),
        )
        for leaf in ranked[:1]:
            reason = _by_name(leaf)
            if leaf.text == self.known.messageid:
                reason = _("It is the id that you named.")
            elif leaf.text in self.reported:
                reason = _("This value returns in a report.")
            found[leaf.key] = Meaning("messageid", reason=reason)
        return found

    def _rank(self, leaf: Leaf) -> int:
        """How probably a value of the answer is the id of the message; the least is the best."""
        value, name = leaf.text, plain(leaf.name)
        if not value or isinstance(leaf.value, bool) or self._number(leaf) or leaf.where == "header":
            return _NOT_AN_ID
        rank = words.IDS.index(name) if name in words.IDS else _NOT_AN_ID
        if value == self.known.messageid:
            return rank - 4 * _NOT_AN_ID
        if len(value) < 4 and not (name in words.IDS and value in self.reported):
            return rank
        is_id = bool(re.search(r"\d", value)) and not re.search(r"\s|://", value) and not date_filter(leaf)
        if value in self.reported and (is_id or name in words.IDS):
            return rank - 2 * _NOT_AN_ID
        if leaf.where == "text" and is_id and len(value) >= 6:
            return rank - 1
        return rank

    def _in_error(self, sample: Sample) -> dict[str, Meaning]:
        found = {leaf.key: Meaning("ignore") for leaf in sample.leaves}
        inside = [leaf for leaf in sample.leaves if leaf.where != "header" and leaf.text]
        for leaf in inside:
            if plain(leaf.name) in words.ERROR_TEXT and " " in leaf.text:
                found[leaf.key] = Meaning("error_text", reason=_by_name(leaf))
                break
        for leaf in inside:
            is_code = len(leaf.text) <= 60 and " " not in leaf.text
            if plain(leaf.name) in words.ERROR_CODE and is_code and not isinstance(leaf.value, bool):
                found[leaf.key] = Meaning("error_code", reason=_by_name(leaf))
                break
        return found

    def _in_webhook(self, sample: Sample) -> dict[str, Meaning]:
        leaves = sample.leaves
        found = {leaf.key: self._constant_of(leaf) for leaf in leaves}
        body = [leaf for leaf in leaves if leaf.where not in ("header", "user", "password")]
        for leaf in leaves:
            if leaf.where == "password":
                reason = _("It is the password of Basic authentication.")
                found[leaf.key] = Meaning("credential", "Webhook password", reason=reason)
            elif leaf.where == "user":
                reason = _("It is the user of Basic authentication.")
                found[leaf.key] = Meaning("property", "Webhook user", reason=reason)
        text = (
            self._first(body, words.TEXT, lambda leaf: leaf.text == self.known.text)
            if self.known.text
            else None
        )
        text = text or self._first(body, words.TEXT, lambda leaf: isinstance(leaf.value, str))
        status = self._status(body)
        returned = next((leaf for leaf in body if self._returns(leaf)), None)
        sender = self._first(body, words.SENDER | words.NUMBER, lambda leaf: bool(leaf.text))
        inbound = text is not None and sender is not None and returned is None
        if not inbound and status is None and returned is None:
            inbound = sender is not None and any(self._is_file(leaf) for leaf in body)
        if inbound and status is not None and words.status_of(status.text) in ("delivered", "failed"):
            inbound = False
        identifier = returned or self._best_id(body)
        if identifier is not None:
            reason = _("This value is also in the answer.") if returned else _by_name(identifier)
            found[identifier.key] = Meaning("messageid", reason=reason)
        taken = {identifier.key} if identifier else set()
        if inbound:
            self._message(body, found, taken, text, sender)
        elif status is not None:
            found[status.key] = Meaning("status", reason=_by_name(status))
            taken.add(status.key)
            self._report(body, found, taken)
        date = next(
            (
                leaf
                for leaf in body
                if leaf.key not in taken
                and found[leaf.key].role in ("ignore", "constant")
                and words.DATE.search(leaf.name.casefold())
                and date_filter(leaf)
            ),
            None,
        )
        if date is not None:
            found[date.key] = Meaning("date", "", date_filter(date), reason=_by_name(date))
        return found

    def _message(
        self,
        body: list[Leaf],
        found: dict[str, Meaning],
        taken: set[str],
        text: Leaf | None,
        sender: Leaf | None,
    ) -> None:
        pairs = [("from", sender), ("text", text)]
        recipient = self._first(body, words.RECIPIENT, lambda leaf: bool(leaf.text) and leaf is not sender)
        if recipient is None:
            other = [leaf for leaf in body if leaf is not sender and self._is(leaf, self.known.sender)]
            recipient = other[0] if other else None
        pairs.append(("to", recipient))
        pairs.append(("sendername", self._first(body, words.NAME, lambda leaf: isinstance(leaf.value, str))))
        for role, leaf in pairs:
            if leaf is not None and leaf.key not in taken:
                taken.add(leaf.key)
                filters = numbers.read_filter(leaf.value) if role in ("from", "to") else ""
                reason = _by_name(leaf)
                if role in ("from", "to", "text", "sendername"):
                    found[leaf.key] = Meaning(role, "", filters, reason=reason)  # type: ignore[arg-type]
        for leaf in body:
            if leaf.key not in taken and self._is_file(leaf):
                taken.add(leaf.key)
                found[leaf.key] = Meaning("file", reason=_by_name(leaf))

    def _report(self, body: list[Leaf], found: dict[str, Meaning], taken: set[str]) -> None:
        for role, names in (("error_code", words.ERROR_CODE), ("error_text", words.ERROR_TEXT)):
            for leaf in body:
                usable = leaf.key not in taken and not isinstance(leaf.value, bool)
                if usable and plain(leaf.name) in names - words.STATUS and plain(leaf.name) not in words.KIND:
                    if role == "error_code" and " " in leaf.text:
                        continue
                    taken.add(leaf.key)
                    filters = "null_if:'0'" if leaf.text == "0" and role == "error_code" else ""
                    made = Meaning("error_code") if role == "error_code" else Meaning("error_text")
                    found[leaf.key] = replace(made, filters=filters, reason=_by_name(leaf))
                    break

    def _constant_of(self, leaf: Leaf) -> Meaning:
        """Whether a value of a webhook says what kind of request it is."""
        value = leaf.text
        if leaf.where == "header":
            if plain(leaf.name) == "authorization" or (_is_credential(leaf)):
                if re.search("sign|hmac|digest", leaf.name.casefold()):
                    return Meaning(
                        "ignore", reason=_("It looks like a signature. Add 'verify' to the document.")
                    )
                before = value[: value.find(" ") + 1]
                reason = _("The provider shows with it that the request is its own.")
                return Meaning("credential", "Webhook token", "", before, "", reason)
            return Meaning("ignore")
        name = plain(leaf.name)
        if name not in words.KIND or not re.fullmatch(r"[A-Za-z][A-Za-z_.:-]{1,39}", value):
            return Meaning("ignore")
        same = [sample.leaf(leaf.key) for sample in self.samples.webhooks]
        others = {other.text for other in same if other is not None}
        if (
            len(self.samples.webhooks) > 1
            and len(same) == sum(other is not None for other in same)
            and len(others) == 1
        ):
            return Meaning("ignore", reason=_("All webhooks have the same value here."))
        return Meaning("constant", reason=_("It says which kind of event this is."))

    def _returns(self, leaf: Leaf) -> bool:
        value = leaf.text
        if value and value == self.known.messageid:
            return True
        if len(value) < 4 and plain(leaf.name) not in words.IDS:
            return False
        is_id = re.search("[0-9]", value) is not None and not re.search(r"\s|://", value)
        named = plain(leaf.name) in words.IDS
        return is_id and value in self.answered and (named or not numbers.is_number(value))

    def _best_id(self, body: list[Leaf]) -> Leaf | None:
        ranked = [
            leaf for leaf in body if plain(leaf.name) in words.IDS and leaf.text and not leaf.text.isspace()
        ]
        return min(ranked, key=lambda leaf: words.IDS.index(plain(leaf.name)), default=None)

    def _status(self, body: list[Leaf]) -> Leaf | None:
        named = [
            leaf for leaf in body if plain(leaf.name) in words.STATUS and leaf.text and not date_filter(leaf)
        ]
        said = [leaf for leaf in named if words.status_of(leaf.text)]
        said = said or [leaf for leaf in body if leaf.text.isalpha() and words.status_of(leaf.text)]
        events = {"event", "eventtype"}
        rest = [leaf for leaf in named if plain(leaf.name) not in events]
        return next(iter([*said, *rest]), None)

    def _first(self, body: list[Leaf], names: frozenset[str], test: Callable[[Leaf], bool]) -> Leaf | None:
        fits = [leaf for leaf in body if plain(leaf.name) in names and test(leaf)]
        return next(iter(fits), None)

    def _is(self, leaf: Leaf, number: str) -> bool:
        return bool(number) and numbers.is_number(leaf.text) and numbers.is_same(leaf.text, number)

    def _is_file(self, leaf: Leaf) -> bool:
        if leaf.where == "file":
            return False
        context = {plain(re.sub(r"\d+$", "", step)) for step in leaf.path if isinstance(step, str)}
        named = bool(context & words.FILE) or plain(leaf.name) in words.FILE
        return named and _URL.fullmatch(leaf.text) is not None


_NOT_AN_ID = 1000


def _by_name(leaf: Leaf) -> str:
    return _("Its name is “%(name)s”.") % {"name": leaf.name[:60]}


def _role_of_placeholder(name: str) -> Role | None:
    base = re.sub(r"[0-9]+$", "", plain(name))
    if base in words.RECIPIENT | words.NUMBER:
        return "to"
    if base in words.SENDER:
        return "from"
    return "text" if base in words.TEXT else None


def _account(leaf: Leaf) -> Meaning | None:
    """A credential or an account, by the name of the value."""
    name, written = plain(leaf.name), placeholder(leaf.text)
    if isinstance(leaf.value, bool) or not leaf.text:
        return None
    for role, names, ends in (
        ("credential", words.CREDENTIAL, words.CREDENTIAL_ENDS),
        ("property", words.ACCOUNT, words.ACCOUNT_ENDS),
    ):
        if name in names or name.endswith(ends):
            label = words.label_of(leaf.name) or words.label_of(written or "")
            made = Meaning("credential") if role == "credential" else Meaning("property")
            return replace(made, label=label or "API key", reason=_by_name(leaf))
    return None


def _is_credential(leaf: Leaf) -> bool:
    found = _account(leaf)
    return found is not None and found.role == "credential"


def _label(leaf: Leaf, role: Role) -> str:
    name = placeholder(leaf.text) or leaf.name
    if leaf.where == "path" and name == leaf.after:
        name = f"{re.sub('s$', '', name)} ID" if name else ""
    return words.label_of(name) or ("API key" if role == "credential" else "Account")


def date_filter(leaf: Leaf) -> str:
    """The filter that reads a date as it is written in a value; "" if it is none that can be read."""
    value = leaf.text.strip()
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
