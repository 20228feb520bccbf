"""Messages as programs write and see them: read from JSON, submitted, and told in JSON."""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

from django.utils.crypto import salted_hmac

from integrations.language.values import cleaned
from messaging import numbers
from messaging.api import problems
from messaging.api.problems import Problem
from messaging.errors import LimitReached, Refused
from messaging.models import Message, Number
from messaging.outbound.enqueue import not_yours
from messaging.outbound.submit import submit_soon
from messaging.statuses import Direction, Status
from portal.memory import Memory
from portal.models import User

MAX_KEY = 200
FIELDS = ("from", "to", "text")

_numbers: Memory[tuple[int, str], Number] = Memory()


class Wanted(NamedTuple):
    """What a program wants sent, each as it will be kept."""

    sender: str
    to: str
    text: str


class Taken(NamedTuple):
    """A message that is on its way, and whether it was before."""

    uuid: UUID
    wanted: Wanted
    replayed: bool

    def as_json(self) -> dict[str, str]:
        """What every request with the same key is answered; `told` says what has come of it since."""
        sender, to, text = self.wanted
        return {"id": str(self.uuid), "status": "queued", "from": sender, "to": to, "text": text}


async def send(user: User, body: bytes, key: str | None) -> Taken:
    """Submits what the body asks for, once for a key. Raises Problem; then nothing is stored."""
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise Problem(problems.MALFORMED, f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
    given = read(body)
    number = _number(user, given["from"].strip())
    wanted = Wanted(number.number, _address(given["to"], number), given["text"].replace("\r\n", "\n"))
    uuid = uuid4() if key is None else uuid5(_namespace(), f"{user.pk} {key}")
    try:
        stored = await submit_soon(user, number, wanted.to, text=wanted.text, uuid=uuid)
    except LimitReached as refusal:
        raise Problem(problems.LIMIT, str(refusal), headers={"retry-after": "60"}) from None
    except Refused as refusal:
        raise Problem(problems.REFUSED, str(refusal)) from None
    if stored.before is not None and _content(stored.before) != wanted:
        raise Problem(problems.KEY_REUSED, "Another message was sent with this Idempotency-Key.")
    return Taken(uuid, wanted, replayed=stored.before is not None)


def read(body: bytes) -> dict[str, str]:
    """The three texts of the JSON; what databases do not take in them becomes U+FFFD. Raises Problem."""
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Problem(problems.MALFORMED, "The body is not in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem(problems.MALFORMED, f"The body is not JSON: {error}.") from None
    except (ValueError, RecursionError):
        raise Problem(problems.MALFORMED, "The body is not JSON that can be read.") from None
    if not isinstance(found, dict):
        raise Problem(problems.MALFORMED, "The body is no JSON object.")
    for name in found:
        if name not in FIELDS:
            raise Problem(
                problems.MALFORMED,
                f"A message has from, to and text; {name[:40]!r} is not known.",
                "/" + name[:40].replace("~", "~0").replace("/", "~1"),
            )
    for name in FIELDS:
        if not isinstance(found.get(name), str):
            said = "is not a text" if name in found else "is missing"
            raise Problem(problems.MALFORMED, f"{name!r} {said}.", f"/{name}")
    return {name: cleaned(found[name]) for name in FIELDS}


def told(user: User, uuid: UUID) -> dict[str, Any] | None:
    """What has become of a message out of the user's conversations."""
    found = (
        Message.objects.for_user(user)
        .filter(uuid=uuid, direction=Direction.OUT)
        .values(
            "status",
            "status_code",
            "status_text",
            "text",
            "created_at",
            "changed_at",
            "conversation__number__number",
            "conversation__contact__address",
        )
        .first()
    )
    if found is None:
        return None
    return {
        "id": str(uuid),
        "status": Status(found["status"]).name.lower(),
        "status_code": found["status_code"] or None,
        "status_text": found["status_text"] or None,
        "from": found["conversation__number__number"],
        "to": found["conversation__contact__address"],
        "text": found["text"],
        "created_at": _moment(found["created_at"]),
        "changed_at": _moment(found["changed_at"]),
    }


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(problems.MALFORMED, "A name stands twice in the JSON.")
    return found


def _number(user: User, given: str) -> Number:
    """The user's number that is written so. `submit` asks again whether the user may send through it."""

    def load() -> Number | None:
        try:
            written = numbers.parse(given).number
        except ValueError as error:
            raise Problem(problems.REFUSED, str(error), "/from") from None
        mine = Number.objects.for_user(user).filter(number=written).select_related("organization")
        found = list(mine[:2])
        if len(found) > 1:
            raise Problem(
                problems.REFUSED, f"{written} is a sender of several of your organizations.", "/from"
            )
        return found[0] if found else None

    number = _numbers.get((user.pk, given), load)
    if number is None:
        raise Problem(problems.REFUSED, str(not_yours()), "/from")
    return number


def _address(given: str, number: Number) -> str:
    try:
        return numbers.parse(given, number.country).number
    except ValueError as error:
        raise Problem(problems.REFUSED, str(error), "/to") from None


def _content(message: Message) -> Wanted:
    conversation = message.conversation
    return Wanted(conversation.number.number, conversation.contact.address, message.text)


@functools.cache
def _namespace() -> UUID:
    """What makes uuids of keys that nobody else can foretell, and take beforehand."""
    return UUID(bytes=salted_hmac("messaging.api", "").digest()[:16])


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
