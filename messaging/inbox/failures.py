"""Why a text has not arrived, and what to do: sentences for people, never a provider's raw answer."""

from __future__ import annotations

import re

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Message
from messaging.statuses import Status

LONGEST = 160
# The beginning of `integrations.responses.summary`: after it, the provider's body.
_SUMMARY = re.compile(r"The provider responded with status (\d{3})(?:: (?P<body>.*)|\.)", re.DOTALL)
# Braces, tags, URLs, names of settings, and numbers or words that only a program reads.
_TECHNICAL = re.compile(
    r"[{}\[\]<>|\\\x00-\x1f\x7f]|https?:|www\.|\w+_\w+|\b[A-Z]{2,}[a-z]*[A-Z]\w*|[\"']\s*[:=]|\w=\w"
    r"|\b[0-9a-f]{16,}\b|\bstatus \d{3}\b"
)
_OF_CODE = {"21610": "opted_out", "21614": "number", "21211": "number", "20003": "credentials"}
# The first that is found in what was said decides.
_WORDS = (
    ("opted_out", r"opt(?:ed)?[ -]?out|unsubscrib|replied (?:with )?stop|stop list|blacklist|block ?list"),
    ("expired", r"\bexpired\b"),
    ("credit", r"insufficient|balance|\bcredits?\b|status 402|suspended|deactivated"),
    (
        "credentials",
        r"\bstatus 40[137]\b|credential|unauthori[sz]|not authori[sz]ed|authenticat|api[ _]?key"
        r"|access token|password|forbidden|permission|no provider"
        r"|switched off|administrator confirms|could not be rendered",
    ),
    (
        "length",
        r"too long|too large|too big|status 413|max(?:imum)? (?:length|size)"
        r"|exceed\w* .*(?:length|size|char)",
    ),
    (
        "number",
        r"(?:invalid|not (?:a )?valid|unknown|unallocated|unreachable|unsupported|bad|incorrect|malformed)"
        r"[\w ']*(?:number|destination|recipient|subscriber|phone|\bto\b|msisdn|handset)"
        r"|(?:number|destination|recipient|subscriber|phone|msisdn|handset)[\w ']*"
        r"(?:invalid|not valid|unknown|unreachable|unsupported|does not exist|not in service)|landline",
    ),
)
_SENTENCES: dict[str, str | Promise] = {
    "opted_out": gettext_lazy(
        "The contact does not want messages from this number. They can text START to get messages again."
    ),
    "expired": gettext_lazy(
        "It could not be sent in time, and is not tried any more. Send it again if it still matters."
    ),
    "credit": gettext_lazy(
        "Your organization’s account at the provider has no credit, or is suspended. Tell your "
        "administrator, and send it again afterwards."
    ),
    "credentials": gettext_lazy(
        "The connection to the provider must be corrected. Tell your administrator, who finds the reason "
        "with the message, and send it again afterwards."
    ),
    "length": gettext_lazy(
        "It is too large for the provider. Shorten the text or send fewer or smaller files."
    ),
    "number": gettext_lazy("Texts cannot be sent to this number. Check the number, or call."),
}


def why(message: Message) -> str:
    """Why an outbound message has not arrived and what to do about it; "" if there is nothing to say."""
    if not message.is_outbound or message.arrived:
        return ""
    if message.status == Status.CANCELED:
        return message.status_text  # our own words
    if message.status == Status.UNKNOWN:
        return _(
            "The provider did not answer. Ask the contact before you send it again: otherwise they may get "
            "it twice."
        )
    if not message.status_text and message.status != Status.FAILED:
        return ""
    kind = _kind(message.status_code, message.status_text)
    if message.is_waiting:
        if kind in ("credit", "credentials"):
            return _(
                "The connection to the provider must be corrected. Tell your administrator; nothing is lost."
            )
        return _("The provider could not take it yet. You need not do anything: Patchbay tries again.")
    if kind:
        return str(_SENTENCES[kind])
    if words := readable(message.status_text):
        return words
    return _(
        "The provider refused it. Check the number and the text; if it is refused again, tell your "
        "administrator, who can see the provider's answer."
    )


def _kind(code: str, text: str) -> str:
    if code in _OF_CODE:
        return _OF_CODE[code]
    said = text.casefold()
    return next((kind for kind, words in _WORDS if re.search(words, said)), "")


def readable(text: str) -> str:
    """The text if it reads like a sentence, else ""; of a summary of a response, what the provider said."""
    found = _SUMMARY.fullmatch(text.strip())
    words = " ".join(((found["body"] or "") if found else text).split())
    if len(words) > LONGEST or " " not in words or not words[:1].isalpha() or _TECHNICAL.search(words):
        return ""
    return words
