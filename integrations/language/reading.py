"""The text of a document: its limits, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from integrations.language.errors import DocumentError, Problem, json_problem
from integrations.language.mending import Mended, mend
from integrations.language.values import Value, cleaned, load, raw

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_KEY = 256 * 1024, 32, 2000, 500


def read_document(
    source: str | bytes | Mapping[str, Any], keys: Collection[str]
) -> tuple[Mended | None, dict[str, Value]]:
    """The object that a text holds, within the limits, and the text; None if it was no text.

    A text that is almost JSON is mended; `keys` are those of a document. Raises DocumentError.
    """
    written: Mended | None = None
    try:
        if isinstance(source, Mapping):
            document = cleaned(source)
            size = len(raw(document))
        else:
            words = source.decode("utf-8-sig") if isinstance(source, bytes) else source.removeprefix("\ufeff")
            size = len(source if isinstance(source, bytes) else raw(source))
            if size > MAX_BYTES:
                raise ValueError
            written, document = _loaded(words, keys)
    except json.JSONDecodeError as error:
        raise DocumentError([json_problem(error)]) from None
    except UnicodeDecodeError:
        raise DocumentError([Problem("", "The document is not valid UTF-8.")]) from None
    except RecursionError:
        raise DocumentError(
            [Problem("", f"The document is nested more than {MAX_DEPTH} levels deep.")]
        ) from None
    except ValueError as error:
        reason = str(error) or f"The document is larger than {MAX_BYTES // 1024} KiB."
        raise DocumentError([Problem("", reason)]) from None
    if size > MAX_BYTES:
        raise DocumentError([Problem("", f"The document is larger than {MAX_BYTES // 1024} KiB.")])
    if not isinstance(document, dict):
        raise DocumentError([Problem("", "A template must be a JSON object.")])
    if _depth(document) > MAX_DEPTH:
        raise DocumentError([Problem("", f"The document is nested more than {MAX_DEPTH} levels deep.")])
    if (longest := _longest_key(document)) > MAX_KEY:
        reason = f"A key may have at most {MAX_KEY} characters; one has {longest:,}."
        raise DocumentError([Problem("", reason)])
    nodes = _nodes({key: value for key, value in document.items() if key != "tables"})
    if nodes > MAX_NODES:
        raise DocumentError(
            [Problem("", f"The document has {nodes} values outside 'tables'; the limit is {MAX_NODES}.")]
        )
    return written, document


def _loaded(words: str, keys: Collection[str]) -> tuple[Mended, Value]:
    try:
        return Mended(words, words, range(len(words) + 1)), cleaned(load(words, depth=MAX_DEPTH))
    except json.JSONDecodeError:
        mended = mend(words, keys, MAX_DEPTH)
        if mended is None:
            raise
        return mended, cleaned(load(mended.text, depth=MAX_DEPTH))


def _children(value: Value) -> list[Value]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _depth(value: Value) -> int:
    return 1 + max(map(_depth, _children(value)), default=0) if isinstance(value, dict | list) else 0


def _nodes(value: Value) -> int:
    return 1 + sum(map(_nodes, _children(value)))


def _longest_key(value: Value) -> int:
    keys = max(map(len, value), default=0) if isinstance(value, dict) else 0
    return max(keys, max(map(_longest_key, _children(value)), default=0))
