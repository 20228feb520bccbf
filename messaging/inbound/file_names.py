"""What a fetched file says about itself: its name and its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import urlsplit

from integrations.language.data_filters import filename

_SMIL = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE[^>]*>\s*)?<smil[\s>]", re.I)


def name_of(url: str, headers: Mapping[str, str]) -> str:
    """The name by Content-Disposition (RFC 6266), else the last segment of the URL, decoded; else ""."""
    link = urlsplit(url)
    given = _disposed(headers.get("content-disposition", ""))
    if not given and link.scheme in ("http", "https"):
        given = filename(url)
    # Neither a path, as some old mail programs send it, nor marks that hide what is written belong to it.
    name = given.replace("\\", "/").rpartition("/")[2]
    return "".join(each if each.isprintable() else " " * each.isspace() for each in name).strip()


def _disposed(disposition: str) -> str:
    message = Message()
    message["content-disposition"] = " ".join(disposition.split())
    found = [value for key, value in message.get_params([], "content-disposition") if key == "filename"]
    # `filename*`, which names its charset, goes before `filename`.
    found.sort(key=lambda value: not isinstance(value, tuple))
    name = collapse_rfc2231_value(found[0], "replace") if found else ""
    try:
        # Many servers write UTF-8 where ISO 8859-1 should stand.
        return name.encode("latin-1").decode()
    except UnicodeError:
        return name


def is_smil(head: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a file is the layout of a multimedia message, in SMIL, by its type or its first bytes."""
    kind = headers.get("content-type", "").partition(";")[0].strip().casefold()
    return kind.startswith("application/smil") or _SMIL.match(head) is not None
