"""Requests and answers that documentation shows as text: HTTP, a URL, or a body alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import unquote, urljoin

from django.utils.translation import gettext as _

from integrations import bodies
from integrations.language.mending import mend
from integrations.language.multipart import parse_multipart
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value, load, well_formed
from integrations.studio.example.curl import BeyondWords, Call, basic, call_of, commands_in
from integrations.studio.example.sample_limits import (
    HOST,
    MAX_CHARACTERS,
    MAX_LEVELS,
    PLACEHOLDER_HOST,
    UnreadableText,
    checked,
)
from integrations.studio.example.samples import Kind, Part, Sample
from integrations.studio.example.shell_words import NoEnd

_STATUS_LINE = re.compile(r"HTTP/[\d.]+[ \t]+(\d{3})\b.*")
_REQUEST_LINE = re.compile(r"([A-Z]{3,7})[ \t]+(\S.*)")
_VERSION = re.compile(r"HTTP/[\d.]+")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
_KNOWN_HEADERS = re.compile(r"(?im)^(content-type|authorization|host|accept|user-agent|x-[\w-]+):")
_FENCE = re.compile(r"(?m)^[ \t]*```.*\n?")
_PAIRS = re.compile(r"[^\s=&?<{\[]+=[^\n]*(?:\n[^\s=&]+=[^\n]*)*")
_PLUS = re.compile(r"(=)\+(?=\d{5})")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")
_USER = re.compile(r"(?:https?://)?([^/?#@]*)@")
_AUTHORITY = re.compile(r"(?i)(https?://)([^/?#]*)")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def read_text(text: str, kind: Kind) -> Sample:
    """The sample that a text shows, be it a curl command or HTTP. Raises UnreadableText."""
    if kind != "response" and any(True for _command in commands_in(text)):
        return replace(read_curl(text), kind=kind)
    return read_http(text, kind)


def read_curl(text: str) -> Sample:
    """The request that a curl command makes, with prose around it or not. Raises UnreadableText.

    Options that say nothing about the request are passed over. Limits: 256 KiB of text, and those of
    `checked`.
    """
    text = _fitting(text)
    problem = _("There is no curl command. Paste one that begins with curl and names a URL.")
    found: Call | None = None
    for command in commands_in(text):
        try:
            call = call_of(command)
        except NoEnd as error:
            problem = _("A quote has no end: %(quote)s… Paste the whole command.") % {"quote": error.args[0]}
            continue
        except BeyondWords as error:
            problem = str(error)
            continue
        found = found or call
        if "://" in call.url:  # the word curl may also be in the text around the command
            return checked(_of_call(call))
    if found is None:
        raise UnreadableText(problem)
    return checked(_of_call(found))


def read_http(text: str, kind: Kind | None = None) -> Sample:
    """The request or answer that a text shows: with its first line and headers, or only a URL or a body.

    `kind` says what is wanted; without it, a status line or a bare body is an answer, and anything else a
    request. Raises UnreadableText. Limits: 256 KiB of text, and those of `checked`.
    """
    lines = _FENCE.sub("", _fitting(text).replace("\r\n", "\n").replace("\r", "\n")).strip("\n \t\ufeff")
    if not lines:
        raise UnreadableText(_("Nothing is pasted. Paste what the documentation shows."))
    first, _newline, rest = lines.partition("\n")
    if status := _STATUS_LINE.fullmatch(first):
        if kind not in (None, "response"):
            raise UnreadableText(_("This is an answer. Paste a request: with GET or POST, a URL, or a body."))
        headers, body = _head(rest)
        return checked(_with_body(Sample("response", headers=headers, status=int(status[1])), body))
    if (asked := _REQUEST_LINE.fullmatch(_without_version(first))) and _is_target(asked[2]):
        if kind == "response":
            raise UnreadableText(_("This is a request. Paste the answer to it: its status line or body."))
        headers, body = _head(rest)
        return checked(_with_body(_request(asked[1], asked[2], headers, kind or "request"), body))
    if re.fullmatch(r"https?://\S+|\?\S+", lines):
        if kind == "response":
            raise UnreadableText(_("This is a URL. Paste the answer to it: its status line or body."))
        return checked(_request("GET", lines, (), kind or "request"))
    headers, body = _head(lines) if _has_head(lines) else ((), lines)
    if kind == "request":
        raise UnreadableText(
            _("The request has no URL. Paste a curl command, or begin with POST and the URL.")
        )
    method = "POST" if kind == "webhook" else ""
    return checked(_with_body(Sample(kind or "response", method, headers=headers), body))


def _fitting(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise UnreadableText(_("The text is longer than 256 KiB. Paste one request or answer only."))
    return well_formed(text)


def _without_version(line: str) -> str:
    """A request line without HTTP/1.1 at its end."""
    line = line.rstrip(" \t")
    words = line.rsplit(None, 1)
    return words[0] if len(words) == 2 and _VERSION.fullmatch(words[1]) else line


def _is_target(target: str) -> bool:
    return target.startswith(("/", "http://", "https://", "{", "$", "<")) or target == "*"


def _has_head(lines: str) -> bool:
    """Whether a text begins with headers, of which one is well known, and a blank line."""
    head, blank, _body = lines.partition("\n\n")
    return bool(blank) and all(map(_HEADER.fullmatch, head.split("\n"))) and bool(_KNOWN_HEADERS.search(head))


def _head(lines: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The headers at the beginning of the lines, and what follows them."""
    headers: list[tuple[str, list[str]]] = []
    rest = lines.split("\n")
    end = len(rest)
    for place, line in enumerate(rest):
        if not line.strip():
            end = place + 1
            break
        if headers and line[0] in " \t":
            headers[-1][1].append(line.strip())
        elif found := _HEADER.fullmatch(line):
            headers.append((found[1], [found[2].strip()]))
        else:
            end = place
            break
    joined = tuple((name, " ".join(values)) for name, values in headers)
    return joined, "\n".join(rest[end:]).strip("\n")


def _request(method: str, target: str, headers: tuple[tuple[str, str], ...], kind: Kind) -> Sample:
    host = next((value for name, value in headers if name.casefold() == "host"), "")
    if host and target.startswith("/"):
        target = f"{'' if '://' in host else 'https://'}{host.rstrip('/')}{target}"
    url, notes = _tidied(target) if kind == "request" else (target, ())
    return Sample(kind, method, url, _cleaned(headers), notes=notes)


def _cleaned(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, _CONTROLS.sub("", well_formed(value)).strip())
        for name, value in headers
        if _HEADER.fullmatch(f"{name}:")
    )


def _tidied(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL with a scheme, without a fragment, blanks, user or dots, and what was changed in it."""
    notes: tuple[str, ...] = ()
    url = _CONTROLS.sub("", well_formed(url)).strip().partition("#")[0].replace("\\", "")
    if not re.match(r"(?i)https?://", url) and not PLACEHOLDER_HOST.match(url):
        url = f"https://{url}"
        notes = (_("The URL has no https://; it was added."),)
    if parts := _AUTHORITY.match(url):
        host = parts[2].rpartition("@")[2]
        url = f"{parts[1].lower()}{host}{url[parts.end() :]}"
        if _DOTS.search(url[len(parts[1]) + len(host) :].partition("?")[0]) and HOST.fullmatch(host):
            url = urljoin(url, url[len(parts[1]) + len(host) :])
    return url.replace(" ", "%20"), notes


def _of_call(call: Call) -> Sample:
    url, notes = _tidied(call.url)
    notes = (*call.notes, *notes)
    headers = list(call.headers)
    body = call.body
    if call.query:
        url += ("&" if "?" in url else "?") + _PLUS.sub(r"\1%2B", call.query)
    if body and not any(name.casefold() == "content-type" for name, _value in headers):
        try:
            is_json = isinstance(_json(body), dict | list)
        except ValueError:
            is_json = False
        headers.append(("Content-Type", MEDIA_TYPES["json" if is_json else "form"]))
        if is_json:
            notes += (_("The body is JSON, although the command does not say so in a header Content-Type."),)
    user = call.user
    if user is None and (found := _USER.match(call.url)):
        user = basic(unquote(found[1]))
    if user is not None and not any(name.casefold() == "authorization" for name, _value in headers):
        headers.append(("Authorization", user))
    if call.parts:
        headers = [item for item in headers if item[0].casefold() != "content-type"]
    method, kept = call.method.upper(), _cleaned(tuple(headers))
    sample = Sample("request", method, url, kept, parts=call.parts, notes=notes)
    return _with_body(sample, body) if body else sample


def _with_body(sample: Sample, text: str) -> Sample:
    """The sample with a body, which must be what its content type says. Raises UnreadableText."""
    text = well_formed(text)
    declared = sample.header("Content-Type")
    kind = bodies.essence(declared)
    if not text.strip():
        return sample
    if kind.startswith("multipart/"):
        return replace(sample, parts=_parts(text, declared))
    starts = text.lstrip()[0]
    if kind == MEDIA_TYPES["form"] or (not kind and starts not in "{[<" and _PAIRS.fullmatch(text.strip())):
        joined = "&".join(line.strip().strip("&") for line in text.strip().split("\n"))
        if not kind and sample.kind == "response":
            return replace(sample, body=text.strip().encode())
        headers = sample.headers if kind else (*sample.headers, ("Content-Type", MEDIA_TYPES["form"]))
        body = _PLUS.sub(r"\1%2B", joined.replace("\t", " "))
        return replace(sample, headers=headers, body=body.encode())
    if kind.endswith("json") or (not kind and starts in "{["):
        try:
            _json(text)
        except ValueError as error:
            mended = mend(text, (), MAX_LEVELS) if '"event_type"' not in text else None
            if mended is None:
                raise UnreadableText(
                    _("The JSON cannot be read: %(problem)s. Paste it as a whole, without “…”.")
                    % {"problem": error}
                ) from None
            text = mended.text
        return replace(sample, body=text.strip().encode())
    content = text.strip().encode()
    if kind.endswith("xml") or (not kind and starts == "<"):
        try:
            bodies.parse(content, "text/xml")
        except ValueError as error:
            raise UnreadableText(
                _("%(problem)s Paste the whole document, from its first < to its last >.")
                % {"problem": error}
            ) from None
        if not kind:
            headers = (*sample.headers, ("Content-Type", "text/xml"))
            sample = sample if sample.kind == "response" else replace(sample, headers=headers)
    return replace(sample, body=content)


def _json(text: str) -> Value:
    try:
        return load(text)
    except json.JSONDecodeError as error:
        problem = _("%(reason)s in line %(line)d, column %(column)d")
        reason = {"reason": error.msg, "line": error.lineno, "column": error.colno}
        raise ValueError(problem % reason) from None
    except RecursionError:
        raise ValueError(_("it is nested too deeply")) from None


def _parts(text: str, content_type: str) -> tuple[Part, ...]:
    try:
        found = parse_multipart(text.replace("\n", "\r\n").encode(), content_type)
    except ValueError as error:
        raise UnreadableText(
            _("%(problem)s Paste the whole request, with its header Content-Type.") % {"problem": error}
        ) from None
    parts = []
    for name, value in found.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                filename = str(item.get("filename") or "file")
                parts.append(Part(name, "", filename, str(item.get("content_type") or "")))
            else:
                parts.append(Part(name, str(item).replace("\r\n", "\n")))
    return tuple(parts)
