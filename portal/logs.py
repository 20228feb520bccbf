"""The log: one line for each event, readable or JSON, with ids and without content or secrets.

Everything is logged through the standard library, by us and by libraries alike, and formatted here. What a
line may contain is decided here, too, not where it is written: the fields in FIELDS and no others, where an
error happened but not its text (which may quote a row or a request), and sentences with numbers, addresses
and whatever looks like a secret masked.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import structlog
from structlog.types import EventDict, Processor

MASK = "***"
FIELDS = frozenset(
    [
        "timestamp",
        "level",
        "logger",
        "event",
        "exception",
        "request_id",
        "task",
        "task_id",
        "message_id",
        "event_id",
    ]
)
# Errors of Python itself, and of the connection to the database, speak of code and of servers.
_PLAIN = frozenset(
    [
        "builtins.AttributeError",
        "builtins.ImportError",
        "builtins.ModuleNotFoundError",
        "builtins.NameError",
        "builtins.TypeError",
        "builtins.NotImplementedError",
        "builtins.RecursionError",
        "builtins.MemoryError",
        "builtins.AssertionError",
        "builtins.OSError",
        "builtins.ConnectionError",
        "builtins.ConnectionRefusedError",
        "builtins.ConnectionResetError",
        "builtins.BrokenPipeError",
        "builtins.TimeoutError",
        "django.core.exceptions.ImproperlyConfigured",
        "django.db.utils.OperationalError",
        "django.db.utils.InterfaceError",
    ]
)
_ROOT = str(Path(__file__).resolve().parent.parent) + os.sep
_MOST_FRAMES = 12

# Variables of the environment whose values are never written, whoever quotes them.
_SECRET_VARIABLES = re.compile(r"(SECRET|PASSWORD|TOKEN|KEYS?|DATABASE_URL|REDIS_URL)(_ID)?\Z")
# Headers for the collector of traces, as name=value, separated by commas; values are percent-encoded.
_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS\Z")
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # URLs: who signs in there, and what is asked.
    (re.compile(r"(?<=://)[^/@\s'\"]+@"), f"{MASK}@"),
    (re.compile(r"\?[^\s'\"<>]*=[^\s'\"<>]*"), f"?{MASK}"),
    # Links that open something for whoever has them.
    (re.compile(r"(?<=/media/)[^\s'\"]+"), MASK),
    (re.compile(r"(?<=/captures/)[^\s'\"]+"), MASK),
    (re.compile(r"(?<=/understood/)[^\s'\"]+"), MASK),
    (re.compile(r"(?<=/password/reset/key/)[^\s'\"]+"), MASK),
    (re.compile(r"(?<=/account/email/)[^\s'\"]+"), MASK),
    (re.compile(r"(?<=/account/invitation/)[^\s'\"]+"), MASK),
    # The path behind a webhook's owner is the provider's, and may be its password.
    (re.compile(r"(/services/[\w-]{1,64}/a\d{20}/)[^\s'\"]+"), rf"\1{MASK}"),
    (re.compile(r"\b(Bearer|Basic|Digest|Token)\s+[^\s'\",;]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\bpb_[\w-]{8,}"), MASK),
    (
        re.compile(
            r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[ _-]?key|authorization|cookie|signature))"
            r"(['\"]?\s*[:=]\s*)(['\"]?)[^\s'\",;&]+"
        ),
        rf"\1\2\3{MASK}",
    ),
    # People: e-mail addresses, and telephone numbers. (Ids of accounts have 20 digits.)
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), MASK),
    (re.compile(r"\+\s?\d(?:[\s().-]?\d){5,16}"), MASK),
    (re.compile(r"(?<![\w.-])\d{10,15}(?![\w-])"), MASK),
)


def configuration(form: str, level: str) -> dict[str, Any]:
    """The value of Django's LOGGING; `form` is "json" or "lines"."""
    nothing_of_its_own = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"event": {"()": formatter, "form": form}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "event"}},
        "root": {"handlers": ["console"], "level": level.upper()},
        "loggers": {
            "django": nothing_of_its_own | {"level": "INFO"},
            "django.server": nothing_of_its_own,
            "_granian": nothing_of_its_own,
            "granian.access": nothing_of_its_own,
            "celery": {"level": "WARNING"},
            "kombu": {"level": "ERROR"},
            "waitress": {"level": "ERROR"},
            "opentelemetry": {"level": "WARNING"},
        },
    }


def formatter(form: str = "") -> structlog.stdlib.ProcessorFormatter:
    """The formatter of all records; without `form`, of PATCHBAY_LOG_FORMAT (for granian's own process)."""
    form = form or os.environ.get("PATCHBAY_LOG_FORMAT") or "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False) if form == "json" else _line,
        ],
    )


def message_id(uuid: UUID) -> dict[str, str]:
    """The `extra` of a line about one message; binding one for each message takes time on each."""
    return {"message_id": str(uuid)}


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What may be written of an event: see the module."""
    sentence = str(event.get("event", ""))
    error = _error(event.pop("exc_info", None))
    if error is not None:
        # A library may have put the text of the error into its sentence.
        for each in _chain(error):
            for text in (repr(each), str(each)):
                if len(text) > 2 and _name(each) not in _PLAIN:
                    sentence = sentence.replace(text, type(each).__name__)
        event["exception"] = " ← ".join(_where(each) for each in _chain(error))
    # A traceback in a sentence would be of many lines, and quote the error.
    event["event"] = sentence.partition("Traceback (most recent call last)")[0]
    return {
        name: mask(value) if isinstance(value, str) and name not in ("timestamp", "level") else value
        for name, value in event.items()
        if name in FIELDS
    }


def mask(text: str) -> str:
    """The text in one line, without secrets, addresses and telephone numbers."""
    for secret in _secrets():
        text = text.replace(secret, MASK)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return " ".join(text.split())


def _line(_logger: Any, _method: str, event: EventDict) -> str:
    """As people read it: time, level, logger, sentence, and the rest as name=value."""
    rest = "".join(
        f" {name}={value}"
        for name, value in event.items()
        if name not in ("timestamp", "level", "logger", "event")
    )
    when, level = event.get("timestamp", ""), str(event.get("level", "")).upper()
    return f"{when} {level} {event.get('logger', '')}: {event['event']}{rest}"


def _error(found: Any) -> BaseException | None:
    if isinstance(found, tuple):
        found = found[1]
    return found if isinstance(found, BaseException) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, at most five of them."""
    following: BaseException | None = error
    for _ in range(5):
        if following is None:
            return
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _where(error: BaseException) -> str:
    """The kind of the error, its text only if that cannot quote anything, and where it happened."""
    text = f": {error}" if _name(error) in _PLAIN else ""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    places = [f"{frame.filename.removeprefix(_ROOT)}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{type(error).__name__}{text} ({' > '.join(places)})"


@lru_cache(maxsize=1)
def _secrets() -> tuple[str, ...]:
    """The secrets in the settings, the longest first; short values would mask words."""
    from django.conf import settings

    found = {value for name, value in os.environ.items() if _SECRET_VARIABLES.search(name)}
    for headers in (value for name, value in os.environ.items() if _HEADERS.search(name)):
        values = [header.partition("=")[2].strip() for header in headers.split(",")]
        found |= {headers, *values, *map(unquote, values)}
    if settings.configured:
        found |= {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS}
        found |= {*settings.ENCRYPTION_KEYS, settings.EMAIL_HOST_PASSWORD}
        found.add(settings.METRICS_TOKEN)
        found |= {str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()}
    return tuple(sorted((value for value in found if len(value) >= 8), key=len, reverse=True))
