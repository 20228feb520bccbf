"""A request of a Postman collection (v2.0 or v2.1), with its saved answers, read as samples by example."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import dump, load
from integrations.studio.example.by_example import Draft as Example
from integrations.studio.example.by_example import by_example
from integrations.studio.example.curl import basic
from integrations.studio.example.guesses import guess
from integrations.studio.example.meanings import Meaning, SampleMessage
from integrations.studio.example.sample_limits import UnreadableText, checked
from integrations.studio.example.samples import Part, Sample, Samples
from integrations.studio.example.words import is_random, label_of
from integrations.studio.importers.postman_collection import (
    Request,
    collection_of,
    fields_of,
    is_own,
    quoted,
    requests_of,
    text_of,
    values_of,
)
from integrations.studio.importers.report import (
    Draft,
    ImportProblem,
    ImportReport,
    chosen,
    is_credential,
)

_DYNAMIC = re.compile(r"\{\{\s*(\$\w+)")
_IN_JSON = re.compile(r'("(?:[^"\\]|\\.)*+")|\{\{\s*([^{}]{1,80}?)\s*\}\}')
_ROLES = {
    "to": gettext_lazy("the recipient"),
    "from": gettext_lazy("the sender"),
    "text": gettext_lazy("the text"),
    "file": gettext_lazy("a file"),
    "messageid": gettext_lazy("the provider's id of the message"),
    "reference": gettext_lazy("our id of the message"),
    "webhook_url": gettext_lazy("the webhook URL"),
    "credential": gettext_lazy("a secret property"),
    "property": gettext_lazy("a property"),
    "error_code": gettext_lazy("the code of an error"),
    "error_text": gettext_lazy("the text of an error"),
}


def fits(text: str) -> bool:
    """Whether the text is a collection."""
    try:
        collection_of(text)
    except ImportProblem:
        return False
    return True


def read(text: str, name: str) -> ImportReport:
    """The document for a request, chosen by its name, with its folders or without. Raises ImportProblem."""
    collection = collection_of(text)
    requests = list(requests_of(collection, "", (), {}))
    if not requests:
        raise ImportProblem(_("There is no request in this collection."))
    names = [request.name for request in requests]
    alone = [each for each in names if each.rpartition(" / ")[2].casefold() == name.casefold()]
    several = _("There are several requests. Choose the one that sends a text:")
    return _Importer(requests[chosen(names, alone[0] if len(alone) == 1 else name, several)]).report()


class _Importer:
    def __init__(self, request: Request) -> None:
        self.request, self.draft = request, Draft()
        self.secret_names: set[str] = set()
        for key, value in request.variables.items():
            if is_credential(key):
                self.draft.hide(value)
        self.node: dict[str, Any] = request.item["request"]

    def report(self) -> ImportReport:
        try:
            samples = self._samples()
        except UnreadableText as error:
            raise ImportProblem(
                _("The request “%(name)s” cannot be read: %(problem)s")
                % {"name": self.request.name[:100], "problem": error}
            ) from None
        example = by_example(samples, choices=self._credentials(samples))
        if not example.document.get("API"):
            problem = _("The request “%(name)s” cannot be written in a document.")
            raise ImportProblem(problem % {"name": self.request.name[:100]})
        self._tell(samples, example)
        return self.draft.checked(example.document)

    def _credentials(self, samples: Samples) -> dict[tuple[str, str], Meaning]:
        """What the collection says is a credential, or a name does, although the value looks like none."""
        found = {}
        guessed = guess(samples, SampleMessage(), {})["request"]
        for leaf in samples.request.leaves if samples.request else ():
            named = leaf.name in self.secret_names or is_credential(leaf.name)
            if guessed[leaf.key].role == "constant" and leaf.text and (named or is_random(leaf.text)):
                found["request", leaf.key] = Meaning("credential", label_of(leaf.name) or "API key")
                self.draft.hide(leaf.text)
        return found

    def _tell(self, samples: Samples, example: Example) -> None:
        """Says what each value was taken for, and what was not taken."""
        self.draft.take(
            _("The request “%(name)s” is how a text is sent.") % {"name": self.request.name[:100]}
        )
        meanings = example.meanings
        found = set()
        for name, sample in samples.named().items():
            for leaf in sample.leaves:
                meaning = meanings[name][leaf.key]
                found.add(meaning.role)
                if meaning.role in _ROLES:
                    said = {"place": leaf.label or leaf.where, "role": str(_ROLES[meaning.role])}
                    said["role"] += f" “{meaning.label}”" if meaning.label else ""
                    self.draft.take(_("“%(place)s” is %(role)s.") % said)
        for role in ("to", "text"):
            if role not in found:
                self.draft.leave(
                    _("Nothing in the request looks like %(role)s. Mark it in the studio.")
                    % {"role": str(_ROLES[role])}
                )
        if samples.answer is None:
            self.draft.leave(_("There is no saved answer, so the provider's id of a message is not known."))
        self.draft.leave(_("A collection says nothing of webhooks. Add samples of them in the studio."))
        for variable in dict.fromkeys(_DYNAMIC.findall(dump(self.node))):
            self.draft.leave(
                _("The variable %(name)s of Postman has no counterpart.") % {"name": variable[:60]}
            )
        for note in example.notes:
            self.draft.leave(note)
        for event in self.request.item.get("event") or []:
            if isinstance(event, dict):
                self.draft.leave_key(text_of(event.get("listen")) or "event", _("Scripts are not run."))

    def _samples(self) -> Samples:
        request = self._sample()
        answer = error = None
        responses = self.request.item.get("response")
        for each in responses if isinstance(responses, list) else ():
            status = text_of(each.get("code")) if isinstance(each, dict) else ""
            if not re.fullmatch(r"[1-5]\d\d", status):
                continue
            try:
                sample = checked(self._answer(each, int(status)))
            except UnreadableText as problem:
                self.draft.leave_key(text_of(each.get("name")) or "response", str(problem))
                continue
            if status[0] == "2":
                answer = answer or sample
            elif status[0] in "45":
                error = error or sample
        return Samples(request, answer=answer, error=error)

    def _answer(self, node: dict[str, Any], status: int) -> Sample:
        headers = tuple(
            (name, value)
            for name, value in fields_of(node.get("header"))
            if name.casefold() == "content-type"
        )
        return Sample(
            "response", headers=tuple(headers), body=text_of(node.get("body")).strip().encode(), status=status
        )

    def _sample(self) -> Sample:
        method = text_of(self.node.get("method")).upper() or "GET"
        headers = [
            (name, self.request.known(value)) for name, value in fields_of(self.node.get("header")) if name
        ]
        url = self._url()
        query: list[tuple[str, str]] = []
        self._authorize(headers, query)
        if query:
            pairs = urlencode([(name, value) for name, value in query], quote_via=quote, safe="{}$<>")
            url += ("&" if "?" in url else "?") + pairs
        headers = [(name, value) for name, value in headers if name.isprintable() and "\n" not in value]
        body, parts = self._body(headers)
        return checked(Sample("request", method, url, tuple(headers), body.encode(), parts))

    def _url(self) -> str:
        node = self.node.get("url")
        if isinstance(node, dict):
            raw = text_of(node.get("raw"))
            if not raw:
                host, path = node.get("host"), node.get("path")
                raw = ".".join(map(text_of, host)) if isinstance(host, list) else text_of(host)
                segments = map(text_of, path) if isinstance(path, list) else [text_of(path)]
                raw = f"{text_of(node.get('protocol')) or 'https'}://{raw}/" + "/".join(segments)
            query = node.get("query")
            self._leave_disabled(query)
            if isinstance(query, list):
                pairs = [f"{quoted(key)}={quoted(value)}" for key, value in fields_of(query) if key]
                raw = raw.partition("?")[0] + ("?" + "&".join(pairs) if pairs else "")
            for key, value in values_of(node.get("variable")).items():
                if value and not is_own(key) and "{{" not in value:
                    raw = re.sub(rf"(?<=/):{re.escape(key)}(?=[/?#]|$)", lambda _m: quote(value), raw)  # noqa: B023
        else:
            raw = text_of(node)
        url = self.request.known(raw).strip()
        return url if "://" in url.partition("?")[0] or url.startswith("{{") else f"https://{url}"

    def _authorize(self, headers: list[tuple[str, str]], query: list[tuple[str, str]]) -> None:
        """Writes what the nearest `auth` adds to the request."""
        auth = next((each for each in reversed(self.request.auths) if isinstance(each, dict)), None)
        kind = text_of(auth.get("type")) if auth else ""
        if auth is None or kind in ("", "noauth"):
            return
        fields = auth.get(kind)
        said = {
            key: self.request.known(text_of(value))
            for key, value in (fields.items() if isinstance(fields, dict) else values_of(fields).items())
        }
        if kind == "basic":
            user, password = said.get("username", ""), said.get("password", "")
            headers.append(("Authorization", basic(f"{user}:{password}")))
        elif kind == "bearer":
            headers.append(("Authorization", f"Bearer {said.get('token') or '<token>'}"))
        elif kind == "apikey":
            pair = said.get("key") or "X-Api-Key", said.get("value") or "<api key>"
            (query if said.get("in") == "query" else headers).append(pair)
            self.secret_names.add(pair[0])
        else:
            self.draft.leave_key(
                f"auth / {kind}", _("Write “auth” or “OAuth2” in the document; the reference shows how.")
            )
            return
        self.draft.take(_("“auth / %(kind)s” is how requests are authorized.") % {"kind": kind})

    def _body(self, headers: list[tuple[str, str]]) -> tuple[str, tuple[Part, ...]]:
        node = self.node.get("body")
        if not isinstance(node, dict) or node.get("disabled") is True:
            return "", ()
        mode = text_of(node.get("mode"))
        declared = next((value for name, value in headers if name.casefold() == "content-type"), "")
        if mode == "raw":
            return self._raw(text_of(node.get("raw")), node, headers, declared), ()
        fields = node.get(mode) if mode in ("urlencoded", "formdata") else None
        self._leave_disabled(fields)
        if mode == "urlencoded":
            if not declared:
                headers.append(("Content-Type", MEDIA_TYPES["form"]))
            return urlencode(
                [(key, self.request.known(value)) for key, value in fields_of(fields) if key]
            ), ()
        if mode == "formdata":
            headers[:] = [item for item in headers if item[0].casefold() != "content-type"]
            return "", tuple(self._parts(fields))
        if mode:
            self.draft.leave_key(f"body / {mode}")
        return "", ()

    def _leave_disabled(self, fields: Any) -> None:
        for each in fields if isinstance(fields, list) else ():
            if isinstance(each, dict) and each.get("disabled") is True:
                self.draft.leave_key(text_of(each.get("key")), _("It is disabled."))

    def _parts(self, fields: Any) -> Iterator[Part]:
        for each in fields if isinstance(fields, list) else ():
            key = text_of(each.get("key")) if isinstance(each, dict) else ""
            if not key or each.get("disabled") is True:
                continue
            if each.get("type") == "file":
                yield Part(key, "", "file", text_of(each.get("contentType")))
            else:
                yield Part(key, self.request.known(text_of(each.get("value"))))

    def _raw(self, raw: str, node: dict[str, Any], headers: list[tuple[str, str]], declared: str) -> str:
        options = node.get("options")
        raw_options = options.get("raw") if isinstance(options, dict) else None
        language = text_of(raw_options.get("language")) if isinstance(raw_options, dict) else ""
        body = self.request.known(raw).strip()
        kind = (declared or language).lower()
        is_json = "json" in kind or (not kind and body[:1] in ("{", "["))
        if is_json:
            quoted = _IN_JSON.sub(lambda found: found[1] or json.dumps(f"{{{{{found[2]}}}}}"), body)
            try:
                load(quoted)
                body = quoted
            except (ValueError, RecursionError) as error:
                raise ImportProblem(_("The body is not JSON: %(problem)s") % {"problem": error}) from None
        if not declared and body:
            kinds = {"xml": "text/xml", "text": "text/plain"}
            kind = MEDIA_TYPES["json"] if is_json else kinds.get(language, "text/plain")
            headers.append(("Content-Type", kind))
        return body
