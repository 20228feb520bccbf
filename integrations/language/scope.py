"""The names that a place in the document may read or bind, and the problems found there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from integrations.language.errors import Problem, did_you_mean, shortened
from integrations.language.names import BUILT_IN
from integrations.language.placeholders import Placeholder
from integrations.language.values import Table, Value, Variables


@dataclass
class Scope:
    """The names that a place in the document may read or bind, and the problems found so far.

    `names` maps each readable name to whether its value comes from the message (and so may not choose a
    host). `labels` maps properties to whether they are secret; `addresses` are those of type url, `private`
    the variables made of other secrets. `bindable` are the built-in names that a shape may bind, `exchange`
    the parts of a request or response that none may. `derived` are the secrets of which something else is
    made, by a filter or a condition. With `at_key`, columns count in the key. A `stored` document was
    accepted by an earlier version: what is refused only since then is a warning. `compared` collects the
    properties whose values webhooks carry, `claims` how `verify` reads them. What `answers_anyone` is sent to
    whoever calls the webhook. With `blank_texts`, a text may be empty if files are bound. An `alternative` is
    one of several shapes, of which another may match.
    """

    labels: Mapping[str, bool]
    tables: Mapping[str, Table]
    problems: list[Problem]
    names: dict[str, bool] = field(default_factory=dict)
    bindable: frozenset[str] = frozenset()
    exchange: frozenset[str] = frozenset()
    webhook: bool = False
    used: set[str] = field(default_factory=set)
    compared: set[str] = field(default_factory=set)
    claims: list[tuple[str, Callable[[Variables], Value]]] = field(default_factory=list)
    own: dict[str, tuple[str, int]] = field(default_factory=dict)
    at_key: bool = False
    addresses: frozenset[str] = frozenset()
    private: set[str] = field(default_factory=set)
    derived: set[str] = field(default_factory=set)
    stored: bool = False
    answers_anyone: bool = False
    blank_texts: bool = False
    alternative: bool = False

    def report(
        self,
        pointer: str,
        reason: str,
        suggestion: str = "",
        column: int | None = None,
        *,
        at_key: bool = False,
    ) -> None:
        """Records an error for the author of the document."""
        at_key = at_key or self.at_key
        reason, suggestion = shortened(reason), shortened(suggestion)
        self.problems.append(Problem(pointer, reason, suggestion, column=column, at_key=at_key))

    def warn(self, pointer: str, reason: str, suggestion: str = "", column: int | None = None) -> None:
        """Records a warning; the document can still be used."""
        reason, suggestion = shortened(reason), shortened(suggestion)
        self.problems.append(
            Problem(pointer, reason, suggestion, column=column, severity="warning", at_key=self.at_key)
        )

    def refuse(self, pointer: str, reason: str, suggestion: str = "", column: int | None = None) -> None:
        """Records an error in a document that is saved, and a warning in one that is stored."""
        (self.warn if self.stored else self.report)(pointer, reason, suggestion, column)

    def warn_of_oracle(self, name: str, pointer: str, column: int) -> None:
        """Warns of a signature over what anybody may send, in an answer to them."""
        reason = (
            f"Without 'verify', whoever calls the webhook gets what they send signed: {name!r} answers them."
        )
        suggestion = "Add 'verify', or use a key that signs nothing else."
        self.warn(pointer, reason, suggestion, column)

    def within(self, names: Iterable[str]) -> Scope:
        """The same place with more readable names, all of which come from the message."""
        return replace(self, names=self.names | dict.fromkeys(names, True))

    def knows(self, name: str) -> bool:
        """Whether a name may be read here."""
        return name in self.names or name in self.labels

    def from_message(self, placeholder: Placeholder) -> bool:
        """Whether a placeholder's value depends on anything besides literals and properties."""
        return any(root not in self.labels and self.names.get(root, True) for root in placeholder.roots)

    def hides(self, name: str) -> bool:
        """Whether a name stands for a secret, or for a variable made of one."""
        return self.labels.get(name, name in self.private or name == "access_token")

    def is_private(self, name: str) -> bool:
        """Whether a name stands for a secret that is no address, or for a variable made of one."""
        secret = self.labels.get(name, False) and name not in self.addresses
        return secret or (name in self.private and name not in self.labels)

    def resolve(
        self, steps: tuple[str | int, ...], pointer: str, column: int, *, as_key: bool = False
    ) -> bool:
        """Checks that a name may be read here, and records that it is used."""
        root = str(steps[0])
        if not self.knows(root):
            reason = f"There is no variable or property {root!r} here."
            if root in BUILT_IN:
                reason = f"The variable {root!r} has no value here."
            self.report(pointer, reason, did_you_mean(root, [*sorted(self.names), *self.labels]), column)
            return False
        if self.webhook and self.labels.get(root) and not as_key:
            self.report(
                pointer,
                f"In the webhook section, the secret property {root!r} may be used only in 'verify' and as "
                "the key of an hmac filter.",
                'Add "secret": false to the property if the provider may see it.',
                column,
            )
        if self.answers_anyone and root in self.private:
            self.warn_of_oracle(root, pointer, column)
        self.used.add(root)
        if "content" in steps[1:]:
            self.used.add(f"{root}.content")
        return True
