"""The declarations of API methods: each is called, and says what the reference needs."""

from __future__ import annotations

import re

import pytest

from integrations.language import api_methods
from integrations.language.api_methods import METHODS, ApiMethod
from integrations.language.document import compile_document
from integrations.language.names import BUILT_IN
from tests.processes import ROOT

CONSTANTS = {name: item for name, item in vars(api_methods).items() if isinstance(item, ApiMethod)}
CALLERS = [
    path.read_text()
    for room in ("integrations", "messaging")
    for path in ROOT.glob(f"{room}/**/*.py")
    if not path.is_relative_to(ROOT / "integrations/language")
    and not path.is_relative_to(ROOT / "integrations/sandbox")
]


def test_every_declaration_is_in_the_table() -> None:
    assert {item.name: item for item in CONSTANTS.values()} == METHODS


@pytest.mark.parametrize("constant", CONSTANTS)
def test_every_method_is_called(constant: str) -> None:
    """Without a caller, a template could describe a method whose request is never made."""
    call = re.compile(rf"\b{constant}\.name\b")
    assert any(call.search(source) for source in CALLERS)


@pytest.mark.parametrize("name", METHODS)
def test_a_declaration_says_what_the_reference_needs(name: str) -> None:
    method = METHODS[name]
    assert method.purpose and method.called_when
    assert method.variables <= BUILT_IN


@pytest.mark.parametrize("name", METHODS)
def test_a_method_compiles_under_its_name(name: str) -> None:
    method = {"request_url": "https://api.example.com/"}
    if METHODS[name].must_bind:
        method["response_map"] = f"${METHODS[name].must_bind}$"
    document = {"id": "acme", "name": "Acme", "API": {name: method}}
    template = compile_document(document)
    assert [*template.methods] == [name]
    assert template.methods[name].per_file is METHODS[name].per_file
