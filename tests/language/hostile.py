"""The worst documents of many kinds, each as large as a document may be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

SIZE, NODES = 256 * 1024, 1950
Document = dict[str, Any]


def document(**sections: Any) -> Document:
    return {"id": "acme", "name": "Acme", **sections}


def sends(parameters: Any = None, **keys: Any) -> Document:
    method = {"request_url": "https://a.example/", "request_parameters": parameters, **keys}
    return document(API={"SendMessage": method})


def receives(events: list[Document], **section: Any) -> Document:
    return document(Webhook={"events": events, **section})


def message(shape: Any) -> Document:
    return {"event_type": "message", "request_parameters": {"from": "$from$", "shape": shape}}


def repeated(piece: str) -> str:
    """A method whose text is nothing but repetitions of a piece, with a number for each `{}`."""
    pieces, size = [], 0
    while size < SIZE - 1000:
        pieces.append(piece.replace("{}", str(len(pieces))))
        size += len(json.dumps(pieces[-1])) - 2
    return json.dumps(sends("".join(pieces)))


def nested(key: str, levels: int, leaf: Any) -> Any:
    for _ in range(levels):
        leaf = {key: leaf}
    return leaf


def each_in_each(levels: int) -> Any:
    leaf: Any = "$item0$"
    for level in range(levels):
        leaf = {"$each": "$media$", "$as": f"item{levels - 1 - level}", "$value": leaf}
    return [leaf]


TEXTS = {
    "unknown placeholders": "$n{}$",
    "unknown filters": "$to|upperr{}$",
    "unknown tables": "$to|map:'t{}'$",
    "bad regular expressions": "$to|match:'(x{}'$",
    "bad dates": "$to|strptime:'%d{}%d'$",
    "one placeholder, often": "$text$",
    "as many filters as may be": "$to" + "|trim" * 16 + "$",
    "what looks like placeholders": "$to$ $a{} |b$ ",
    "quotes in dollars": "$a|b:'",
    "quotes in quotes": "$a|b:'''x",
    "arguments in arguments": "$a|strptime:'$a|b:':'",
    "dollars": "$",
    "dollars and names": "$a",
    "steps": "$a.b",
    "indexes": "$a[1]",
    "spaces in steps": "$to.a" + " " * 97 + "b",
    "escapes": "\n$nope$",
    "surrogates": "\U0001f600$nöpe$",
}
KINDS: dict[str, Callable[[], str | Document]] = {
    **{name: lambda piece=piece: repeated(piece) for name, piece in TEXTS.items()},  # type: ignore[misc]
    "unknown keys": lambda: document(API={}, **{f"unknown key {i} {'x' * 90}": 1 for i in range(NODES)}),
    "almost keys": lambda: sends(**{f"request_paramete{i}rs": 1 for i in range(NODES)}),
    "unknown methods": lambda: document(API={f"SendMessage{i}{'x' * 90}": 1 for i in range(NODES)}),
    "similar properties": lambda: {
        **sends([f"$Property nomber {i}$" for i in range(900)]),
        "properties": [f"Property number {i}" for i in range(900)],
    },
    "long similar properties": lambda: {
        **sends([f"$P{'x' * 90}{i}z$" for i in range(900)]),
        "properties": [f"P{'x' * 90}{i}" for i in range(900)],
    },
    "a chain of filters": lambda: sends(f"$to{'|upper' * 40_000}$"),
    "a chain of arguments": lambda: sends(f"$to|strptime{':1' * 120_000}$"),
    "a long argument": lambda: sends(f"$to|or:'{'x' * 250_000}'$"),
    "a name without end": lambda: sends("$a" + " " * 250_000),
    "a long name": lambda: sends(f"$to{'.a' * 120_000}$"),
    "a giant text": lambda: sends("x" * 255_000),
    "a giant key": lambda: sends({"x" * 120_000: {str(i): 1 for i in range(NODES)}}),
    "a giant key of placeholders": lambda: sends({"$text$" * 40_000: 1}),
    "a giant condition": lambda: sends(when={f"${'a' * 250_000}": 1}),
    "a giant id": lambda: document(API={}) | {"id": "x" * 255_000},
    "a giant label": lambda: document(API={}, properties=["-!" * 120_000]),
    "a giant event type": lambda: receives([{"event_type": "messageStatu" * 20_000}]),
    "a giant number": lambda: (
        '{"id": "acme", "name": "A", "API": {}, "limits": {"per_second": ' + "9" * 250_000 + "}}"
    ),
    "a giant pattern": lambda: receives([message("x" * 250_000 + "$_$")]),
    "a giant regular expression": lambda: sends(when={"$text$": {"matches": "(a|b)*c" * 35_000}}),
    "regular expressions": lambda: sends(
        when={"$text$": [{"matches": rf"(\pL|\pN){{200}}{i}"} for i in range(640)]}
    ),
    "classes of characters": lambda: sends(
        when={"$text$": [{"matches": rf"\pL{{14}}{i}"} for i in range(640)]}
    ),
    "one of classes of characters": lambda: sends(when={"$text$": {"matches": r"\p{L}" * 40_000}}),
    "one of repetitions": lambda: sends(when={"$text$": {"matches": "a{1,1000}" * 26_000}}),
    "large regular expressions": lambda: sends(
        when={"$text$": [{"matches": rf"(a|b){{190}}{i}"} for i in range(640)]}
    ),
    "a table of a giant name": lambda: document(
        API={}, tables={"x" * 128_000: {str(i): "" for i in range(11_000)}}
    ),
    "a huge table": lambda: document(API={}, tables={"t": {f"{i}-{i + 1}": "" for i in range(13_000)}}),
    "a long list in a table": lambda: document(API={}, tables={"t": {"a": [0] * 85_000}}),
    "many tables": lambda: document(API={}, tables={f"t{i}": {} for i in range(18_000)}),
    "deep and wide": lambda: sends(nested("k" * 400, 26, {str(i): "$nope$" for i in range(NODES)})),
    "too deep": lambda: '{"a":' * 40_000 + "1" + "}" * 40_000,
    "brackets": lambda: "[" * 262_000,
    "wide alternatives": lambda: receives([message({"$first": [f"$own{i}$" for i in range(NODES - 20)]})]),
    "deep alternatives": lambda: receives([message(nested("$first", 12, ["$content$"] * 100))]),
    "unused names": lambda: receives(
        [message({str(i): f"$sendernam{'e' * 80}{i}$" for i in range(NODES - 20)})]
    ),
    "loops in loops": lambda: sends(each_in_each(20)),
    "loops": lambda: sends(
        [{"$each": "$media$", "$as": f"item{i}", "$value": f"$item{i}$"} for i in range(480)]
    ),
    "defaults of many events": lambda: receives(
        [{}] * 950, event_type="ignore", request_parameters={str(i): "x" for i in range(950)}
    ),
    "a text of many events": lambda: receives(
        [{}] * 1900, event_type="ignore", variables={"a": "$body$" * 40_000}
    ),
    "a pattern of many events": lambda: receives(
        [{}] * 1900, event_type="ignore", request_parameters="x" * 240_000 + "$_$"
    ),
    "a condition of many events": lambda: receives(
        [{}] * 1900, event_type="ignore", when={"$body$": {"matches": r"(\pL|\pN){300}"}}
    ),
    "events with long paths": lambda: receives(
        [{"event_type": "ignore", "path": f"{'p' * 300}{i}"} for i in range(600)]
    ),
    "wrong statuses": lambda: receives(
        [
            {
                "event_type": "messageStatus",
                "request_parameters": {"a": "$status$", "b": "$messageid$"},
                "status_map": {f"{i}-{i + 1}": "deliverd" for i in range(NODES - 20)},
            }
        ]
    ),
    "wrong verify types": lambda: receives([{"event_type": "ignore"}], verify=[{"type": "hmacc"}] * 900),
    "headers of all methods": lambda: document(
        request_headers={f"X-{i}": "$nope$" for i in range(NODES)},
        API={
            name: {"request_url": "https://a.example/"}
            for name in ("SendMessage", "SendFile", "CheckCredentials")
        },
    ),
    "a chain of variables": lambda: sends(
        "x", variables={f"v{i}": f"$w{i}$" if i else "$text$" for i in range(NODES - 20)}
    ),
    "a long URL": lambda: sends(request_url="https://a.example/" + "$text$" * 40_000),
    "a long host": lambda: sends(request_url="https://" + "$text$" * 40_000),
    "a long query of OAuth": lambda: document(
        API={},
        auth={
            "type": "OAuth2",
            "client_id": "x",
            "token_endpoint": "https://a.example/",
            "flow_type": "password",
            "token_parameters": "&".join(f"a{i}=$nope$" for i in range(18_000)),
        },
    ),
    "keys twice": lambda: '{"id": "acme", "API": {},' + ",".join(['"name": "x"'] * 21_000) + "}",
    "keys twice under a long key": lambda: (
        '{"id": "acme", "name": "A", "API": {}, "' + "x" * 400 + '": {' + ",".join(['"a":1'] * 40_000) + "}}"
    ),
    "an error at the end": lambda: repeated("$nope$")[:-1] + "x",
    "a text without end": lambda: '{"a":"' + '\\"' * 130_000,
    "lines": lambda: "\n" * 262_000 + "{",
    "errors on many lines": lambda: (
        json.dumps(document())[:-1]
        + ', "API": {"SendMessage": {"request_url": "https://a.example/", "request_parameters": ['
        + ",".join("\n" * 120 + f'"$nope{i}$"' for i in range(1800))
        + "]}}}"
    ),
}


def text_of(kind: str) -> str:
    made = KINDS[kind]()
    return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)
