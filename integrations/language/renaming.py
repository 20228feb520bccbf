"""A document under another id and name, otherwise as it was written."""

from __future__ import annotations

import json
import re

from integrations.language.document import KEYS, compile_document
from integrations.language.errors import DocumentError
from integrations.language.reading import read_document
from integrations.language.source import places

_TEXT, _NUMBER = re.compile(r'(?:[^"\\]|\\.)*+'), re.compile(r"[^\s,{}\[\]]+")


def renamed(source: str, service_id: str, name: str) -> str:
    """The text with another id and name; comments and all else remain.

    Where that is not possible, it is the same document as plain JSON. Raises DocumentError for a text that
    holds no document, or if the id or name cannot be used.
    """
    written, document = read_document(source, KEYS)
    assert written is not None
    wanted = {"id": service_id, "name": name}
    found, text = places(written.text), source.removeprefix("\ufeff")
    changes = []
    for key, value in wanted.items():
        place, itself = found.at(f"/{key}")
        quoted = written.text[place.value - 1] == '"'
        match = (_TEXT if quoted else _NUMBER).match(written.text, place.value) if itself else None
        if match is None:
            break
        word = json.dumps(value, ensure_ascii=False)
        origins = written.origins[match.start()], written.origins[match.end()]
        changes.append((*origins, word[1:-1] if quoted else word))
    for begin, end, word in sorted(changes, reverse=True):
        text = text[:begin] + word + text[end:]
    try:
        compiled = compile_document(text)
        if (compiled.id, compiled.name) == (service_id, name):
            return text
    except DocumentError:
        pass
    text = json.dumps({**document, **wanted}, indent=2, ensure_ascii=False)
    compile_document(text)
    return text
