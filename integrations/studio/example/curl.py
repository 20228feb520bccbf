"""A curl command: the request that its options describe."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations.language.sections import MEDIA_TYPES
from integrations.studio.example.samples import Part
from integrations.studio.example.shell_words import words_of

_COMMAND = re.compile(r"(?m)(?:^|(?<=[\s$>#`]))curl(?:\.exe)?(?=[ \t\\^`])")
MAX_WORK = 256 * 1024  # characters
_ADDRESS = re.compile(r"\w\.\w|/|:\d|^[$<{]|^localhost")
_SHORT = {
    "X": "request", "H": "header", "d": "data", "F": "form", "u": "user", "G": "get", "b": "cookie",
    "A": "user-agent", "e": "referer", "I": "head", "T": "upload-file", "o": "output", "w": "write-out",
    "m": "max-time", "x": "proxy", "E": "cert", "c": "cookie-jar", "D": "dump-header", "K": "config",
    "r": "range", "Q": "quote", "C": "continue-at", "U": "proxy-user", "y": "speed-time", "Y": "speed-limit",
    "z": "time-cond", "t": "telnet-option", "P": "ftp-port",
}  # fmt: skip
# Options with a value that says nothing about the request.
_PASSED_OVER = frozenset(
    """
    output write-out max-time connect-timeout retry retry-delay retry-max-time cacert capath cert cert-type
    key key-type pass proxy proxy-user resolve connect-to interface limit-rate cookie-jar dump-header config
    range quote continue-at speed-time speed-limit time-cond telnet-option ftp-port proto proto-default
    ciphers tls-max tls13-ciphers dns-servers keepalive-time max-redirs max-filesize trace trace-ascii stderr
    expect100-timeout unix-socket noproxy local-port output-dir rate aws-sigv4 pinnedpubkey
    """.split()  # noqa: SIM905 (a list of names reads better without quotes)
)
_FLAGS = frozenset(
    """
    silent show-error insecure location compressed include verbose fail globoff no-buffer http1.0 http1.1
    http2 http3 ipv4 ipv6 tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 ssl-reqd basic anyauth remote-name parallel
    progress-bar no-progress-meter fail-with-body location-trusted path-as-is tcp-nodelay no-keepalive disable
    fail-early remote-header-name retry-connrefused retry-all-errors post301 post302 post303 raw create-dirs
    styled-output netrc tr-encoding
    """.split()  # noqa: SIM905
)
_WITHOUT_VALUE = ("get", "head", "digest", "ntlm", "negotiate")


class BeyondWords(ValueError):
    """A command that makes no request; the message is a sentence."""


@dataclass
class Call:
    """What a command says: `query` is what -G puts into the URL, `user` a value for Authorization."""

    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    parts: tuple[Part, ...] = ()
    user: str | None = None
    query: str = ""
    body: str = ""
    notes: tuple[str, ...] = ()
    get: bool = False
    json: bool = False


def commands_in(text: str) -> Iterator[str]:
    """Where curl commands may begin in a text, each with all that follows: the first 50.

    They end sooner if reading them all takes long: the first, and further ones of 256 KiB together.
    """
    work = MAX_WORK
    for index, found in enumerate(islice(_COMMAND.finditer(text), 50)):
        work -= len(text) - found.end() if index else 0
        if work < 0:
            return
        yield text[found.end() :]


def call_of(command: str) -> Call:
    """What a command says, without the word curl. Raises NoEnd and BeyondWords."""
    call = Call()
    words = words_of(command)
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        for name, value in _options(word):
            if value is None and _takes_value(name, words[position : position + 1]):
                value = words[position] if position < len(words) else ""
                position += 1
            _apply(call, name, value or "")
    if not call.url:
        raise BeyondWords(_("The curl command names no URL. Paste the whole command, to its last line."))
    return _completed(call)


def _options(word: str) -> Iterator[tuple[str, str | None]]:
    """The options in a word, with the value if that is in it, too; anything but an option is the URL."""
    if word.startswith("--") and len(word) > 2:
        name, equals, value = word[2:].partition("=")
        yield name, value if equals else None
    elif word.startswith("-") and len(word) > 1:
        for index, letter in enumerate(word[1:], 2):
            name = _SHORT.get(letter, letter)
            if letter in _SHORT and name not in ("get", "head"):
                yield name, word[index:].removeprefix("=") or None
                return
            yield name, ""
    elif _ADDRESS.search(word):
        yield "url", word


def _takes_value(name: str, following: list[str]) -> bool:
    if name in _FLAGS or name in _WITHOUT_VALUE:
        return False
    if name in _APPLIED or name in _PASSED_OVER:
        return True
    # Of an option that nobody knows, the next word is the value, unless it is an option or the URL.
    return bool(following) and not following[0].startswith(("-", "http://", "https://"))


def _apply(call: Call, name: str, value: str) -> None:
    if name in _APPLIED:
        _APPLIED[name](call, value)
    elif name not in _PASSED_OVER and name not in _FLAGS and len(name) > 1:
        call.notes += (_("The option --%(name)s is not known and was passed over.") % {"name": name[:40]},)


def _url(call: Call, value: str) -> None:
    call.url = call.url or value


def _method(call: Call, value: str) -> None:
    call.method = value


def _header(call: Call, value: str) -> None:
    name, colon, rest = value.partition(":")
    if colon and rest.strip():
        call.headers.append((name.strip(), rest.strip()))


def _data(call: Call, value: str) -> None:
    if value.startswith("@"):
        call.notes += (_file_note(value[1:]),)
    else:
        call.data.append(value)


def _urlencoded(call: Call, value: str) -> None:
    place = re.search("[=@]", value)
    name = value[: place.start()] if place else ""
    content = value[place.end() :] if place else value
    if place and place[0] == "@":
        call.notes += (_file_note(content),)
        return
    encoded = quote(content, safe="")
    call.data.append(f"{name}={encoded}" if name else encoded)


def _json(call: Call, value: str) -> None:
    call.json = True
    if value.startswith("@"):
        call.notes += (_file_note(value[1:]),)
    else:
        call.data[-1:] = ["".join([*call.data[-1:], value])]


def _form(call: Call, value: str) -> None:
    name, _equals, content = value.partition("=")
    options: dict[str, str] = {}
    if quoted := re.match(r'"((?:[^"\\]|\\.)*)"', content):
        options = _form_options(content[quoted.end() :])
        content = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        found = re.search(r";\s*(?:type|filename|headers|encoder)=", content)
        options = _form_options(content[found.start() :]) if found else {}
        content = content[: found.start()] if found else content
    kind = options.get("type", "")
    if content.startswith("@"):
        path = content[1:].strip('"')
        filename = options.get("filename") or re.split(r"[/\\]", path)[-1] or "file"
        call.parts += (Part(name, "", filename, kind),)
    elif content.startswith("<"):
        call.notes += (_file_note(content[1:]),)
    else:
        call.parts += (Part(name, content, options.get("filename", ""), kind),)


def _form_options(text: str) -> dict[str, str]:
    return {
        found[1]: found[2].strip().strip('"')
        for found in re.finditer(r'(type|filename|headers|encoder)=("[^"]*"|[^;]*)', text)
    }


def _form_text(call: Call, value: str) -> None:
    name, _equals, content = value.partition("=")
    call.parts += (Part(name, content),)


def basic(user: str) -> str:
    """The value of Authorization for `user:password`, or for a user alone."""
    pair = user if ":" in user else f"{user}:"
    return "Basic " + base64.b64encode(pair.encode("utf-8", "replace")).decode()


def _user(call: Call, value: str) -> None:
    call.user = basic(value)


def _bearer(call: Call, value: str) -> None:
    call.user = f"Bearer {value}"


def _cookie(call: Call, value: str) -> None:
    if "=" in value:
        call.headers.append(("Cookie", value))


def _upload(call: Call, value: str) -> None:
    call.method = call.method or "PUT"
    call.notes += (_file_note(value),)


def _unsupported(call: Call, value: str) -> None:
    call.notes += (_("Digest, NTLM and Negotiate are not supported; Basic is written instead."),)


def _file_note(path: str) -> str:
    note = _("What is in the file %(path)s is not in the command. Paste it in its place.")
    return note % {"path": path[:60]}


def _get(call: Call, value: str) -> None:
    call.get = True


def _head(call: Call, value: str) -> None:
    call.method = call.method or "HEAD"


def _named_header(name: str) -> Callable[[Call, str], None]:
    def apply(call: Call, value: str) -> None:
        call.headers.append((name, value))

    return apply


def _completed(call: Call) -> Call:
    data = "&".join(call.data)
    if call.get:
        call.query = data
    else:
        call.body = data
    call.method = call.method or ("POST" if (data or call.parts) and not call.get else "GET")
    if call.json:
        known = {name.casefold() for name, _value in call.headers}
        for name in ("Content-Type", "Accept"):
            if name.casefold() not in known:
                call.headers.append((name, MEDIA_TYPES["json"]))
    return call


_APPLIED: dict[str, Callable[[Call, str], None]] = {
    "url": _url, "request": _method, "header": _header, "data": _data, "data-ascii": _data,
    "data-binary": _data, "data-raw": lambda call, value: call.data.append(value),
    "data-urlencode": _urlencoded, "json": _json, "form": _form, "form-string": _form_text, "user": _user,
    "oauth2-bearer": _bearer, "cookie": _cookie, "user-agent": _named_header("User-Agent"),
    "referer": _named_header("Referer"), "get": _get, "head": _head, "upload-file": _upload,
    "digest": _unsupported, "ntlm": _unsupported, "negotiate": _unsupported,
}  # fmt: skip
