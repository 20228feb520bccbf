"""`$placeholders$`: read in a text, resolved to names and filters, compiled to functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import re2

from integrations.language.errors import Problem, did_you_mean
from integrations.language.filters import FILTERS
from integrations.language.values import Number, Table, Value, Variables, is_charset, text, walk

Getter = Callable[[Variables], Value]

STEP = r"[^\W\d](?:[\w -]{0,98}[\w-])?"
_NAME = rf"{STEP}(?:\.{STEP}|\[\d{{1,4}}\])*"
_ARGUMENT = rf"'(?:[^']|'')*+'|-?\d+(?:\.\d+)?|{_NAME}"
_FILTER = rf"[A-Za-z0-9_]+(?::(?:{_ARGUMENT}))*+"
_PLACEHOLDER = re.compile(rf"\$(?P<name>{_NAME})(?P<optional>\??)(?P<filters>(?:\|{_FILTER})*+)\$")
_EACH_FILTER = re.compile(rf"\|([A-Za-z0-9_]+)((?::(?:{_ARGUMENT}))*+)")
_EACH_ARGUMENT = re.compile(rf":({_ARGUMENT})")
_EACH_STEP = re.compile(rf"({STEP})|\[(\d+)\]")
# What may have been meant as a placeholder, and is none.
_ALMOST = re.compile(r"\$[^\W\d][\w .-]*[?|:][^$]*\$")
MAX_FILTERS = 16


@dataclass(frozen=True)
class Call:
    """A filter and its arguments as written; `column` is where its name stands in the text, from 1."""

    name: str
    arguments: tuple[str, ...]
    column: int


@dataclass(frozen=True)
class Placeholder:
    """A placeholder as it was written; `column` is where its `$` stands in the text, from 1."""

    steps: tuple[str | int, ...]
    optional: bool
    filters: tuple[Call, ...]
    source: str
    column: int

    @property
    def root(self) -> str:
        """The name before the first dot or bracket."""
        return str(self.steps[0])


def parse(source: str) -> list[str | Placeholder]:
    """The literals and placeholders of a text, in order; `$$` is a dollar, a lone one stays itself."""
    parts: list[str | Placeholder] = []
    literal, position = "", 0
    while (dollar := source.find("$", position)) >= 0:
        literal += source[position:dollar]
        if found := _PLACEHOLDER.match(source, dollar):
            if literal:
                parts.append(literal)
            literal, position = "", found.end()
            parts.append(_placeholder(found, dollar + 1))
        else:
            literal += "$"
            position = dollar + (2 if source.startswith("$$", dollar) else 1)
    literal += source[position:]
    return [*parts, literal] if literal else parts


def parts_of(source: str, scope: Scope, pointer: str) -> list[str | Placeholder]:
    """The literals and placeholders of a text; what looks like a placeholder and is none gives a warning."""
    parts = parse(source)
    for part in parts:
        found = _ALMOST.search(part) if isinstance(part, str) else None
        place = source.find(found[0]) if found else -1
        # Who wrote $$ meant a dollar.
        if found and place >= 0 and source[place - 1 : place] != "$":
            late = "?" in found[0].partition("|")[2].replace("?|", "")
            suggestion = (
                "The ? stands behind the name: $error_code?|null_if:0$."
                if late
                else "Arguments follow a colon, without spaces: $from|e164:'AU'$."
            )
            scope.warn(pointer, f"{found[0]!r} looks like a placeholder and is none.", suggestion, place + 1)
    return parts


def only(source: Value) -> Placeholder | None:
    """The placeholder that is the whole of a text, or None."""
    parts = parse(source) if isinstance(source, str) and not isinstance(source, Number) else []
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Placeholder) else None


def _placeholder(found: re.Match[str], column: int) -> Placeholder:
    start = found.start("filters") + 1
    filters = tuple(
        Call(each[1], tuple(_EACH_ARGUMENT.findall(each[2])), start + each.start(1))
        for each in _EACH_FILTER.finditer(found["filters"])
    )
    return Placeholder(_steps(found["name"]), bool(found["optional"]), filters, found[0], column)


def _steps(name: str) -> tuple[str | int, ...]:
    return tuple(step if step else int(index) for step, index in _EACH_STEP.findall(name))


@dataclass
class Scope:
    """Which names may be read or bound at a place of the document, and what was found wrong so far.

    `names` maps what may be read to whether it comes from the message (and so may not choose a host);
    `labels` maps properties to whether they are secret; `bindable` are the built-in names a shape may bind,
    `exchange` the parts of a request or response that never are. With `at_key` columns count in the key.
    """

    labels: Mapping[str, bool]
    tables: Mapping[str, Table]
    problems: list[Problem]
    names: dict[str, bool] = field(default_factory=dict)
    bindable: frozenset[str] = frozenset()
    exchange: frozenset[str] = frozenset()
    webhook: bool = False
    used: set[str] = field(default_factory=set)
    own: dict[str, tuple[str, int]] = field(default_factory=dict)
    at_key: bool = False

    def report(
        self,
        pointer: str,
        reason: str,
        suggestion: str = "",
        column: int | None = None,
        *,
        at_key: bool = False,
    ) -> None:
        """Keeps an error for the author of the document."""
        at_key = at_key or self.at_key
        self.problems.append(Problem(pointer, reason, suggestion, column=column, at_key=at_key))

    def warn(self, pointer: str, reason: str, suggestion: str = "", column: int | None = None) -> None:
        """Keeps a warning: the document can be used."""
        self.problems.append(
            Problem(pointer, reason, suggestion, column=column, severity="warning", at_key=self.at_key)
        )

    def within(self, names: Iterable[str]) -> Scope:
        """The same place with more names to read, each from the message."""
        return replace(self, names=self.names | dict.fromkeys(names, True))

    def knows(self, name: str) -> bool:
        """Whether a name may be read here."""
        return name in self.names or name in self.labels

    def from_message(self, placeholder: Placeholder) -> bool:
        """Whether a placeholder's value depends on anything but literals and properties."""
        roots = [placeholder.root]
        roots += [
            str(_steps(item)[0]) for call in placeholder.filters for item in call.arguments if _is_name(item)
        ]
        return any(root not in self.labels and self.names.get(root, True) for root in roots)

    def resolve(
        self, steps: tuple[str | int, ...], pointer: str, column: int, *, as_key: bool = False
    ) -> bool:
        """Checks that a name may be read here, and notes that it is used."""
        root = str(steps[0])
        if not self.knows(root):
            self.report(
                pointer,
                f"There is no variable or property {root!r} here.",
                did_you_mean(root, [*sorted(self.names), *self.labels]),
                column,
            )
            return False
        if self.webhook and self.labels.get(root) and not as_key:
            self.report(
                pointer,
                f"The secret property {root!r} may not be used in the webhook section, "
                "except in 'verify' and as key of an hmac filter.",
                'Give the property "secret": false if it may be shown to the provider.',
                column,
            )
        self.used.add(root)
        if "content" in steps[1:]:
            self.used.add(f"{root}.content")
        return True


def _is_name(argument: str) -> bool:
    return argument[0] != "'" and argument[0] not in "-0123456789"


def getter(placeholder: Placeholder, scope: Scope, pointer: str) -> Getter:
    """A function that gives the placeholder's value from variables; problems are reported to the scope."""
    if placeholder.optional:
        scope.report(
            pointer,
            f"The ? in {placeholder.source!r} has a meaning only where a document is matched.",
            'To leave out what is empty, write the ? behind the key: "key?".',
            placeholder.column,
        )
    scope.resolve(placeholder.steps, pointer, placeholder.column)
    read = _reader(placeholder.steps)
    return _filtered(read, placeholder, scope, pointer) if placeholder.filters else read


def filtering(
    placeholder: Placeholder, scope: Scope, pointer: str
) -> Callable[[Value, Variables], Value] | None:
    """What the placeholder's filters make of a value that is given, or None if it has none."""
    if not placeholder.filters:
        return None
    if len(placeholder.filters) > MAX_FILTERS:
        scope.report(pointer, f"A placeholder has at most {MAX_FILTERS} filters.", column=placeholder.column)
    steps = [_applied(call, scope, pointer) for call in placeholder.filters[:MAX_FILTERS]]

    def apply(value: Value, variables: Variables) -> Value:
        for step in steps:
            value = step(value, variables)
        return value

    return apply


def _reader(steps: tuple[str | int, ...]) -> Getter:
    root, rest = str(steps[0]), steps[1:]
    if not rest:
        return lambda variables: variables.get(root)
    return lambda variables: walk(variables.get(root), rest)


def _filtered(read: Getter, placeholder: Placeholder, scope: Scope, pointer: str) -> Getter:
    apply = filtering(placeholder, scope, pointer)
    assert apply is not None
    return lambda variables: apply(read(variables), variables)


def _applied(call: Call, scope: Scope, pointer: str) -> Callable[[Value, Variables], Value]:
    name, sources, column = call.name, call.arguments, call.column
    found = FILTERS.get(name)
    if found is None:
        scope.report(pointer, f"There is no filter {name!r}.", did_you_mean(name, FILTERS), column)
        return lambda value, variables: value
    if not found.least <= len(sources) <= found.most:
        count = str(found.least) if found.least == found.most else f"{found.least} to {found.most}"
        noun = "argument" if count == "1" else "arguments"
        scope.report(
            pointer, f"The filter {name!r} takes {count} {noun}, not {len(sources)}.", found.doc, column
        )
        return lambda value, variables: value
    fixed: list[Value] = []
    readers: list[Getter] = []
    for index, source in enumerate(sources):
        if _is_name(source):
            steps = _steps(source)
            key = name.startswith("hmac_") and index == 0
            scope.resolve(steps, pointer, column, as_key=key)
            readers.append(_reader(steps))
            continue
        constant: Value = source[1:-1].replace("''", "'") if source[0] == "'" else Number(source)
        constant = _special(found.argument if index == 0 else "", constant, scope, pointer, column)
        fixed.append(constant)
        readers.append(lambda variables, constant=constant: constant)  # type: ignore[misc]
    if found.argument in ("table", "regex") and not fixed:
        scope.report(pointer, f"The first argument of {name!r} must be a quoted literal.", column=column)
    if "content" in fixed:
        scope.used.add("media.content")  # as in $media|pluck:'content'$
    if not sources and found.default and found.default in scope.names:
        readers.append(_reader((found.default,)))
    elif len(fixed) == len(sources):
        return lambda value, variables: found(value, *fixed)
    return lambda value, variables: found(value, *[reader(variables) for reader in readers])


def _special(kind: str, constant: Value, scope: Scope, pointer: str, column: int) -> Value:
    if kind == "table":
        if constant not in scope.tables:
            suggestion = did_you_mean(constant, scope.tables) or "Write it under 'tables'."
            scope.report(pointer, f"There is no table {constant!r}.", suggestion, column)
        return scope.tables.get(constant, Table({}))
    if kind == "charset" and not is_charset(text(constant)):
        scope.report(pointer, f"{constant!r} is not a character set.", column=column)
    if kind == "regex":
        return regex(constant, scope, pointer, column)
    return constant


def regex(source: str, scope: Scope, pointer: str, column: int | None = None) -> Value:
    """A compiled regular expression of the linear-time engine; a broken one is reported."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(source, options)
    except re2.error as error:
        detail = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        scope.report(pointer, f"The regular expression {source!r} cannot be used: {detail}.", column=column)
        return re2.compile("")
