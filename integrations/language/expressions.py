"""Placeholders compiled to functions, which look up a name's value and apply the filters."""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from integrations.language import phones
from integrations.language.budget import spend
from integrations.language.dates import wrong_strftime, wrong_strptime
from integrations.language.errors import did_you_mean, shortened
from integrations.language.filters import FILTERS
from integrations.language.patterns import Pattern
from integrations.language.placeholders import STEP, Call, Placeholder, is_name, only, parse, steps_of
from integrations.language.scope import Scope
from integrations.language.values import Number, Table, Value, Variables, is_charset, text, walk

Getter = Callable[[Variables], Value]
MAX_FILTERS = 16
_DATES = {"strptime": wrong_strptime, "strftime": wrong_strftime}
# The placeholders of other languages, and two dollars after a number that were meant to end and begin one.
_FOREIGN = re.compile(rf"\{{\{{ *({STEP}) *\}}\}}|\$\{{ *({STEP}) *\}}")
_DOLLARS = re.compile(rf"\$\d[^$\s]*\$\$(?P<name>{STEP})\$")
# Text that may be meant as a placeholder but is not: a broken filter, or a known name without its last `$`.
_ALMOST = re.compile(rf"\$ *(?P<name>{STEP}) *(?P<filters>[?|:][^$]*)?\$?")
_PREFIX = re.compile(r"\.[A-Za-z_][\w-]*:")  # of a name of XML, in a path: $response.soap:Envelope$


def parts_of(source: str, scope: Scope, pointer: str) -> list[str | Placeholder]:
    """The literals and placeholders of a text; warns of text that only looks like a placeholder."""
    spend(source.count("$") // 2 + len(source) // 100)
    parts = parse(source)
    for other in _FOREIGN.finditer(source):
        suggestion = f"Write ${other[1] or other[2]}$."
        scope.warn(pointer, f"{other[0]!r} is plain text.", suggestion, other.start() + 1)
    for other in _DOLLARS.finditer(source):
        name = other["name"]
        reason = f"{other[0]!r} is plain text: a name begins with a letter, and '$$' is a dollar sign."
        scope.warn(pointer, reason, f"Put something between the number and ${name}$.", other.start() + 1)
    start = 0
    for part in parts:
        if isinstance(part, Placeholder):
            start = part.column - 1 + len(part.source)
        elif found := _ALMOST.search(part):
            _warn_of(found, source, start, scope, pointer)
    return parts


def prefixed(source: str) -> str:
    """How to write a path with prefixes of XML, which are not read; else ""."""
    bare = _PREFIX.sub(".", source)
    return f"Names of XML have no prefix here: write {bare}." if bare != source and only(bare) else ""


def _warn_of(found: re.Match[str], source: str, start: int, scope: Scope, pointer: str) -> None:
    """Warns of a match in the literal that begins at `start`."""
    place = source.find(found[0], start)
    if place < 0 or source[place - 1 : place] == "$":
        return  # $$ is a dollar, and intended
    if found["filters"] and found[0][-1] == "$":
        late = "?" in found["filters"][1:].replace("?|", "")
        suggestion = "Write filters and arguments without spaces: $from|e164:'AU'$."
        suggestion = "Put the ? right after the name: $error_code?|null_if:0$." if late else suggestion
    elif scope.knows(found["name"]):
        suggestion = prefixed(source) or f"Write ${found['name']}$, or $$ for a dollar."
    else:
        return
    scope.warn(pointer, f"{found[0]!r} looks like a placeholder but is plain text.", suggestion, place + 1)


def getter(placeholder: Placeholder, scope: Scope, pointer: str) -> Getter:
    """A function that returns the placeholder's value for given variables; problems go to the scope."""
    if placeholder.optional:
        scope.report(
            pointer,
            f"The ? in {placeholder.source!r} has a meaning only in matching.",
            'To leave out an empty value, put the ? after the key: "key?".',
            placeholder.column,
        )
    scope.resolve(placeholder.steps, pointer, placeholder.column)
    if scope.answers_anyone and scope.from_message(placeholder):
        for call in placeholder.filters:
            key = call.arguments[0] if call.name.startswith("hmac_") and call.arguments else "'"
            if is_name(key) and scope.labels.get(str(steps_of(key)[0])):
                scope.warn_of_oracle(key, pointer, placeholder.column)
    if placeholder.filters or scope.at_key:  # a condition is written as a key
        scope.derived.update(filter(scope.hides, placeholder.roots))
    read = _reader(placeholder.steps)
    return _filtered(read, placeholder, scope, pointer) if placeholder.filters else read


def filtering(
    placeholder: Placeholder, scope: Scope, pointer: str, *, of_sender: bool = False
) -> Callable[[Value, Variables], Value] | None:
    """A function that applies the placeholder's filters to a value, or None if it has no filters.

    What is no number, or is too short for one, passes the filters of numbers as it is if it is `of_sender`: a
    text from it is not lost.
    """
    if not placeholder.filters:
        return None
    if len(placeholder.filters) > MAX_FILTERS:
        scope.report(
            pointer, f"A placeholder can have at most {MAX_FILTERS} filters.", column=placeholder.column
        )
    steps = [_applied(call, scope, pointer) for call in placeholder.filters[:MAX_FILTERS]]
    if of_sender:
        calls = zip(placeholder.filters, steps, strict=False)
        steps = [_kept(step) if call.name in ("plus", "e164") else step for call, step in calls]

    def apply(value: Value, variables: Variables) -> Value:
        for step in steps:
            value = step(value, variables)
        return value

    return apply


def _kept(step: Callable[[Value, Variables], Value]) -> Callable[[Value, Variables], Value]:
    def apply(value: Value, variables: Variables) -> Value:
        found = step(value, variables)
        return value if found is None or len(text(found)) <= phones.SHORTEST else found

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
        for source in filter(is_name, sources):
            scope.resolve(steps_of(source), pointer, column, as_key=True)
        return lambda value, variables: value
    if not found.least <= len(sources) <= found.most:
        count = str(found.least) if found.least == found.most else f"{found.least} to {found.most}"
        count, noun = (count if count != "0" else "no"), "argument" if count == "1" else "arguments"
        scope.report(
            pointer, f"The filter {name!r} takes {count} {noun}, not {len(sources)}.", found.doc, column
        )
        return lambda value, variables: value
    fixed: list[Value] = []
    readers: list[Getter] = []
    for index, source in enumerate(sources):
        if is_name(source) and found.argument in ("table", "regex") and index == 0:
            reason = f"The first argument of {name!r} must be a quoted text."
            scope.report(pointer, reason, f"Write {name}:'{source}'.", column)
            return lambda value, variables: value
        if is_name(source):
            steps = steps_of(source)
            key = name.startswith("hmac_") and index == 0
            scope.resolve(steps, pointer, column, as_key=key)
            readers.append(_reader(steps))
            continue
        constant: Value = source[1:-1].replace("''", "'") if source[0] == "'" else Number(source)
        kind = found.argument if index == 0 or found.argument in _DATES else ""
        constant = _special(kind, constant, scope, pointer, column)
        fixed.append(constant)
        readers.append(lambda variables, constant=constant: constant)  # type: ignore[misc]
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
            suggestion = did_you_mean(constant, scope.tables) or "Add it to 'tables'."
            scope.report(pointer, f"There is no table {constant!r}.", suggestion, column)
        return scope.tables.get(constant, Table({}))
    if kind == "charset" and not is_charset(text(constant)):
        scope.report(pointer, f"{constant!r} is not a known character set.", column=column)
    if kind == "regex":
        return regex(constant, scope, pointer, column)
    if kind in _DATES and (wrong := _DATES[kind](text(constant))):
        (scope.warn if scope.stored else scope.report)(pointer, wrong, column=column)
    return constant


def regex(source: str, scope: Scope, pointer: str, column: int | None = None) -> Value:
    """The regular expression, compiled by the linear-time engine; reports an invalid or too large one."""
    try:
        return Pattern(source)
    except re2.error as error:
        detail = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        words = shortened(repr(source), 100)
        scope.report(pointer, f"The regular expression {words} is not valid: {detail}.", column=column)
        return Pattern("")
