"""How a provider's response is read: the keys of a method that begin with `response_`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from integrations.language.api_methods import ApiMethod
from integrations.language.bindings import unused_names
from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.frames import Match
from integrations.language.matching import compile_match
from integrations.language.names import RESPONSE
from integrations.language.placeholders import only
from integrations.language.scope import Scope
from integrations.language.sections import check_keys, choice, compile_shape
from integrations.language.shapes import Render
from integrations.language.values import Value, is_number, text

FORMATS = ["", "json", "xml", "form", "text"]
RESULTS = {
    "failed": "the message has failed, and is not sent again",
    "retry": "Patchbay tries again later",
    "throttled": "there were too many requests: Patchbay slows down, and tries again later",
    "opted_out": "the message has failed, because the contact has opted out",
    "unauthorized": "the credentials are wrong: the integration is paused, and its messages wait",
}
RULE_KEYS = {
    "when": "the [condition](#conditions) under which the rule holds; the first rule that holds is used",
    "result": "`failed` (the default), `retry`, `throttled`, `opted_out` or `unauthorized`",
    "code": "the provider's code of the error",
    "text": "a sentence for a person",
}


@dataclass(frozen=True)
class ErrorRule:
    """An element of `response_errors`: its condition, and the result, code and text of the outcome.

    `pointer` is its place in the document. `statuses` are those that the condition names one by one, not in a
    range.
    """

    pointer: str
    when: Condition
    statuses: frozenset[str]
    result: str
    code: Render | None
    text: Render | None


@dataclass(frozen=True)
class ResponseRules:
    """How the response to a method's request is read; its shapes may bind the names in `binds`."""

    binds: frozenset[str]
    format: str
    map: Match | None
    headers: Match | None
    success: Condition
    errors: tuple[ErrorRule, ...]


def compile_response_rules(
    node: Mapping[str, Value], scope: Scope, pointer: str, declared: ApiMethod
) -> ResponseRules:
    """The response keys of a method, whose shapes bind what it declares; problems go to the scope.

    If it declares no names, all own names that the shapes bind are results.
    """
    binds = declared.binds
    scope = replace(scope, used=set())
    form = choice(node, "response_format", FORMATS, scope, pointer)
    rules = replace(scope, names=scope.names | dict.fromkeys(RESPONSE, True))
    errors = _rules(node.get("response_errors", []), rules, child(pointer, "response_errors"))
    shapes = replace(scope, names=dict(scope.names), bindable=binds or frozenset(), exchange=RESPONSE, own={})
    matches: dict[str, Match | None] = {"response_headers": None, "response_map": None}
    for key in matches:
        if key in node:
            matches[key] = compile_match(node[key], shapes, child(pointer, key), elements="first")
    if declared.must_bind and declared.must_bind not in shapes.names:
        reason = f"{declared.name} must bind ${declared.must_bind}$ in 'response_map' or 'response_headers'."
        scope.report(pointer, reason)
    after = replace(shapes, names=shapes.names | dict.fromkeys(RESPONSE, True))
    success = compile_condition(node.get("response_success", {}), after, child(pointer, "response_success"))
    if binds is None:
        binds = frozenset(after.own)
    else:
        unused_names(after)
    for name in sorted(filter(scope.hides, scope.used)):
        reason = f"{name!r} is secret and may not be read here, because people see what a response means."
        scope.refuse(pointer, reason)
    return ResponseRules(binds, form, matches["response_map"], matches["response_headers"], success, errors)


def _rules(node: Value, scope: Scope, pointer: str) -> tuple[ErrorRule, ...]:
    rules = []
    for index, item in enumerate(node if isinstance(node, list) else [node]):
        place = child(pointer, index) if isinstance(node, list) else pointer
        if not isinstance(item, Mapping):
            scope.report(place, "A rule must be an object with 'when' and 'result'.")
            continue
        check_keys(item, RULE_KEYS, scope, place)
        result = text(item.get("result", "failed"))
        if result not in RESULTS:
            scope.report(
                child(place, "result"), f"There is no result {result!r}.", did_you_mean(result, RESULTS)
            )
        when = compile_condition(item.get("when", {}), scope, child(place, "when"))
        code, words = compile_shape("code", item, scope, place), compile_shape("text", item, scope, place)
        rules.append(ErrorRule(place, when, frozenset(_statuses(item.get("when"))), result, code, words))
    return tuple(rules)


def _statuses(condition: Value) -> Iterator[str]:
    """The statuses that a condition names: `{"$status$": 504}` or `{"$status$": [408, 504]}`."""
    if isinstance(condition, list):
        for each in condition:
            yield from _statuses(each)
    elif isinstance(condition, Mapping):
        for key, expected in condition.items():
            whole = only(key)
            if whole is not None and whole.steps == ("status",) and not whole.filters:
                named = expected if isinstance(expected, list) else [expected]
                yield from (text(item) for item in named if is_number(item))
