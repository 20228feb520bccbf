"""What a sample may be, so that a document can say it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from integrations.language.values import Value, well_formed
from integrations.studio.example.samples import Sample, size_of

MAX_CHARACTERS, MAX_BYTES, MAX_VALUES, MAX_LEVELS, MAX_KEY = 256 * 1024, 48 * 1024, 300, 12, 200
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLACEHOLDER_HOST = re.compile(r"\$\{?\w+\}?|\{\{?[^{}/]+\}?\}|<[^<>/]+>")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class UnreadableText(ValueError):
    """A text that is no request or answer; the message is a sentence that says what to paste."""


def checked(sample: Sample) -> Sample:
    """The sample, if a document can say it. Raises UnreadableText.

    Limits: 48 KiB, 300 values, 12 levels, keys of 200 characters. A request needs a method of the language
    and the URL of a host, which may be a placeholder.
    """
    words = [sample.url, *(value for _name, value in sample.headers), *(part.text for part in sample.parts)]
    size = len(sample.body) + sum(len(well_formed(word).encode()) for word in words)
    if size > MAX_BYTES:
        raise UnreadableText(_("The sample is larger than 48 KiB. Paste a shorter one."))
    if sample.form in ("json", "xml", "form"):
        values, levels = size_of(sample.tree)
    else:
        values, levels = len(sample.parts), 1
    count = values + len(sample.query) + len(sample.bare) + len(sample.headers) + len(sample.segments)
    if count > MAX_VALUES or levels > MAX_LEVELS:
        raise UnreadableText(
            _("The sample has more than 300 values, or more than 12 levels. Paste a shorter one.")
        )
    if _longest_key([sample.query, sample.tree, [part.name for part in sample.parts]]) > MAX_KEY:
        raise UnreadableText(_("A name in the sample is longer than 200 characters. Paste a shorter sample."))
    if sample.kind != "request":
        return sample
    if sample.method not in METHODS:
        raise UnreadableText(
            _("%(method)s requests cannot be sent. Paste one of GET, POST, PUT, PATCH or DELETE.")
            % {"method": sample.method[:20]}
        )
    base = re.match(r"(?:https?://)?([^/?#]*)", sample.url)
    host = base[1] if base else ""
    try:
        fits = PLACEHOLDER_HOST.search(host) or (
            HOST.fullmatch(sample.host) and urlsplit(sample.url).port != 0
        )
    except ValueError:
        fits = None
    if not fits:
        raise UnreadableText(
            _("The request has no URL that begins with https:// and a host. Paste the whole request.")
        )
    return sample


def _longest_key(value: Value) -> int:
    if isinstance(value, dict):
        return max((max(len(key), _longest_key(item)) for key, item in value.items()), default=0)
    return max(map(_longest_key, value), default=0) if isinstance(value, list) else 0
