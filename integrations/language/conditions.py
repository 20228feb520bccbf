"""Conditions: an object is AND, a list is OR, and `{"$expression$": expected}` is a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from integrations.language.budget import spend
from integrations.language.errors import child, did_you_mean
from integrations.language.expressions import getter, prefixed, regex
from integrations.language.placeholders import only
from integrations.language.scope import Scope
from integrations.language.values import (
    ANY,
    Value,
    Variables,
    decimal,
    is_empty,
    is_string,
    plain,
    text,
)

Condition = Callable[[Variables], bool]
Test = Callable[[Value], bool]

_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
}
OPERATORS = {
    "not": "does not meet what is expected, or is unset",
    "lt": "is a number that is less",
    "lte": "is a number that is less or equal",
    "gt": "is a number that is greater",
    "gte": "is a number that is greater or equal",
    "matches": "matches the regular expression (RE2) anywhere",
}


def compile_condition(node: Value, scope: Scope, pointer: str) -> Condition:
    """A function that tells whether the condition holds for given variables; problems go to the scope."""
    spend(1)
    if isinstance(node, list):
        return _any(
            [compile_condition(item, scope, child(pointer, index)) for index, item in enumerate(node)]
        )
    if not isinstance(node, Mapping):
        scope.report(pointer, "A condition must be an object (all must hold) or a list (one must hold).")
        return lambda variables: False
    tests = [_test(key, expected, scope, child(pointer, key)) for key, expected in node.items()]
    return _all(tests)


def _test(key: str, expected: Value, scope: Scope, pointer: str) -> Condition:
    expression = only(key)
    if expression is None:
        suggestion = prefixed(key) or 'Write conditions as {"$name$": expected}.'
        scope.report(pointer, f"{key!r} is not a single placeholder.", suggestion, at_key=True)
        return lambda variables: False
    read = getter(expression, replace(scope, at_key=True), pointer)
    holds = _expectation(expected, scope, pointer)

    def test(variables: Variables) -> bool:
        spend(1)
        value = read(variables)
        return True if value is ANY else holds(plain(value))

    return test


def _all(tests: list[Test]) -> Test:
    """Holds if each test does; mostly there is one."""
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _any(tests: list[Test]) -> Test:
    """Holds if some test does."""
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _expectation(expected: Value, scope: Scope, pointer: str) -> Test:
    spend(1)
    if isinstance(expected, bool):
        return lambda value: is_empty(value) is not expected
    if isinstance(expected, list):
        return _any([_expectation(item, scope, child(pointer, index)) for index, item in enumerate(expected)])
    if isinstance(expected, Mapping):
        return _all(
            [_operator(name, operand, scope, child(pointer, name)) for name, operand in expected.items()]
        )
    if expected is None:
        return lambda value: value is None
    literal = text(expected)
    return lambda value: text(value) == literal


def _operator(name: str, operand: Value, scope: Scope, pointer: str) -> Test:
    if name == "not":
        inner = _expectation(operand, scope, pointer)
        return lambda value: not inner(value)
    if name == "matches":
        if not is_string(operand):
            scope.report(pointer, "'matches' needs a regular expression in a string.")
            return lambda value: False
        pattern = regex(operand, scope, pointer)
        return lambda value: pattern.search(text(value)) is not None
    if name in _COMPARISONS:
        bound = decimal(operand)
        if bound is None:
            scope.report(pointer, f"{name!r} needs a number, not {text(operand)!r}.")
            return lambda value: False
        compare = _COMPARISONS[name]
        return lambda value: (number := decimal(value)) is not None and compare(number, bound)
    suggestion = did_you_mean(name, OPERATORS)
    scope.report(pointer, f"There is no operator {name!r}.", suggestion, at_key=True)
    return lambda value: False
