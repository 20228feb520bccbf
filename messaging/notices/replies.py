"""Answers by mail: a signed address for each person and conversation, and the mail that comes to it."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from html.parser import HTMLParser
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Conversation, Message
from messaging.outbound.submit import submit
from portal.account import demand
from portal.models import User

DAYS = 14
_USER, _CONVERSATION, _HOURS, _MARK = 5, 6, 4, 10  # bytes
ABOVE = "#### "  # begins the line of a notice above which its answer stands
_QUOTED = re.compile(
    r">|-{2,} ?original message|_{10,}$|-- $|(from|von|de|da|van) ?: .*@", re.IGNORECASE
)  # each begins a quoted mail, or a signature, in one of the common mail programs
_ATTRIBUTION = re.compile(r"[0-9@]")  # “On 3 May 2026, Ann <a@x.example> wrote:”
MAX_HEADER = 8192  # bytes; and of all headers that are read, of all parts
MAX_HEADERS = 32 * 1024
# Lines that may begin a part, or a header: Python takes a minute for a million.
MAX_PARTS, MAX_LINES = 10_000, 2000
MAX_BODY = 4 * 1024 * 1024  # characters of the text, as it is encoded
MAX_HTML = 512 * 1024
# What may hold further parts: Python takes minutes for some hundreds of these within each other.
_NESTED = re.compile(rb"multipart|rfc822", re.IGNORECASE)
MAX_NESTED = 60
_TO = ("delivered-to", "x-original-to", "to", "cc")
_READ = (
    *(*_TO, "from", "message-id", "auto-submitted", "precedence", "return-path", "list-id"),
    *("content-type", "content-disposition", "content-transfer-encoding"),
)
# With the lines by which they go on, in whatever part.
_HEADERS = re.compile(rb"(?im)^(?:%s):.*(?:\n[ \t].*)*" % "|".join(_READ).encode())
# What Python's parsers raise for broken headers, character sets and HTML.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)


class NotForUs(Exception):
    """A mail that no person wrote as an answer, such as an automatic one; nobody needs to hear of it."""


def is_configured() -> bool:
    """Whether mail comes back: its address is set."""
    return bool(settings.REPLY_ADDRESS)


def address_for(user: User, conversation: Conversation) -> str:
    """The address by which the user answers in the conversation, for `DAYS` days."""
    until = int(time.time() // 3600) + DAYS * 24
    bound = ((user.pk, _USER), (conversation.pk, _CONVERSATION), (until, _HOURS))
    body = b"".join(value.to_bytes(size, "big") for value, size in bound)
    token = base64.b32encode(body + _mark(body)).decode().rstrip("=").lower()
    name, _at, domain = settings.REPLY_ADDRESS.partition("@")
    return f"{name}+{token}@{domain}"


def receive(raw: bytes, recipient: str = "") -> Message:
    """Files the answer in a mail as its sender's message, once. Raises Refused, or NotForUs.

    `recipient` is the address that the mail came to, if the mail server says so; else its headers are read.
    """
    # Where the mail server says whom it is for, it is not read for anybody else.
    token = _known(_token([recipient])) if recipient else b""
    try:
        read = _read(raw)
    except _UNREADABLE:
        raise Refused(_("This mail cannot be read.")) from None
    if read.automatic:
        raise NotForUs
    user, conversation = _bound(token or _known(_token(read.recipients)))
    if read.sender != user.email:
        raise Refused(_("Only the person who got the notice can answer it, from the same address."))
    if demand.is_missing(user):
        raise Refused(_("You must set up a second factor first. Sign in to do so, and answer in the inbox."))
    text = answer_of(read.text)
    if not text:
        raise Refused(_("There is no text above the quoted message."))
    named = read.name or hashlib.sha256(raw).hexdigest()
    uuid = uuid5(NAMESPACE_URL, f"mail:{user.pk}:{conversation.pk}:{named}")
    return submit(user, conversation.number, conversation.contact, text=text, uuid=uuid)


@dataclass(frozen=True)
class _Mail:
    automatic: bool
    recipients: list[str]
    sender: str
    name: str
    text: str


def _read(raw: bytes) -> _Mail:
    """What a mail says; raises _UNREADABLE for one that no mail program writes."""
    _check(raw)
    mail = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return _Mail(
        _is_automatic(mail),
        _recipients(mail),
        parseaddr(str(mail.get("From", "")))[1].lower(),
        str(mail.get("Message-ID", "")).encode(errors="replace").decode(),
        _text(mail).encode(errors="replace").decode(),  # some character sets have halves of characters
    )


def _check(raw: bytes) -> None:
    """Raises ValueError for a mail that would take minutes to be read."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    head, _blank, _body = lines.partition(b"\n\n")
    # The time that Python takes for a header, if only to see whether it has parts, grows with the square of
    # its length.
    sizes = [len(header) for header in _HEADERS.findall(lines)]
    if (
        len(_NESTED.findall(raw)) > MAX_NESTED
        or lines.count(b"\n--") > MAX_PARTS
        or head.count(b"\n") > MAX_LINES
        or max(sizes, default=0) > MAX_HEADER
        or sum(sizes) > MAX_HEADERS
    ):
        raise ValueError


def _is_automatic(mail: EmailMessage) -> bool:
    """Whether a program has written it: an absence note, a bounce, a list. Answering these makes loops."""
    return (
        str(mail.get("Auto-Submitted", "no")).strip().lower() != "no"
        or str(mail.get("Precedence", "")).strip().lower() in ("bulk", "junk", "list", "auto_reply")
        or str(mail.get("Return-Path", "")).strip() == "<>"
        or any(mail.get(name) for name in ("List-Id", "X-Autoreply", "X-Autorespond"))
        or mail.get_content_type() == "multipart/report"
    )


def answer_of(text: str) -> str:
    """What stands above the quoted notice and the signature."""
    kept: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if ABOVE in line or _QUOTED.match(line):
            break
        kept.append(line.rstrip())
    else:
        return "\n".join(kept).strip()
    above, _blank, last = "\n".join(kept).rstrip().rpartition("\n\n")
    return (above if last.endswith(":") and _ATTRIBUTION.search(last) else "\n".join(kept)).strip()


def _mark(body: bytes) -> bytes:
    return salted_hmac("messaging.notices.replies", body, algorithm="sha256").digest()[:_MARK]


def _recipients(mail: EmailMessage) -> list[str]:
    return [str(value) for name in _TO for value in mail.get_all(name, [])]


def _token(recipients: Iterable[str]) -> bytes:
    name, _at, domain = settings.REPLY_ADDRESS.lower().partition("@")
    for _label, address in getaddresses(list(recipients)):
        local, _at, host = address.lower().partition("@")
        before, _plus, token = local.partition("+")
        if (before, host) == (name, domain) and token:
            try:
                return base64.b32decode(token.upper() + "=" * (-len(token) % 8))
            except ValueError:
                continue
    raise Refused(_("This address is not one that Patchbay has given out."))


def _known(token: bytes) -> bytes:
    """What is bound by a token of ours. Raises Refused."""
    body, mark = token[:-_MARK], token[-_MARK:]
    if len(body) != _USER + _CONVERSATION + _HOURS or not hmac.compare_digest(mark, _mark(body)):
        raise Refused(_("This address is not one that Patchbay has given out."))
    return body


def _bound(body: bytes) -> tuple[User, Conversation]:
    """Whose answer it is, and in which conversation. Raises Refused."""
    user_key, rest = int.from_bytes(body[:_USER], "big"), body[_USER:]
    if int.from_bytes(rest[_CONVERSATION:], "big") < time.time() // 3600:
        raise Refused(_("This notice is too old to be answered by mail. Answer in the inbox."))
    user = User.objects.filter(pk=user_key, is_active=True).first()
    if user is None:
        raise Refused(_("This address is not one that Patchbay has given out."))
    own = Conversation.objects.for_user(user).select_related("number", "contact")
    conversation = own.filter(pk=int.from_bytes(rest[:_CONVERSATION], "big")).first()
    if conversation is None:
        raise Refused(_("You do not take part in this conversation any more."))
    return user, conversation


def _text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain", "html"))
    if part is None:
        return ""
    if len(part.get_payload()) > MAX_BODY:
        raise ValueError
    try:
        found = str(part.get_content())
    except (LookupError, ValueError):  # a character set that nobody knows
        payload = part.get_payload(decode=True)
        found = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return _plain(found[:MAX_HTML]) if part.get_content_subtype() == "html" else found


class _Plain(HTMLParser):
    """Collects the text of a mail in HTML, without what it quotes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("blockquote", "style", "script", "title"):
            self._hidden += 1
        elif tag in ("br", "p", "div", "li", "tr"):
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("blockquote", "style", "script", "title"):
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(re.sub(r"\s+", " ", data))


def _plain(html: str) -> str:
    parser = _Plain()
    parser.feed(html)
    return "\n".join(line.strip() for line in "".join(parser.found).split("\n"))
