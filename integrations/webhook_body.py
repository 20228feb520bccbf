"""A webhook request as events read its body, and as `verify` checks it; each is done once."""

from __future__ import annotations

from datetime import UTC, datetime

from integrations import bodies
from integrations.events import InboundRequest
from integrations.language.budget import spend
from integrations.language.dates import iso_text
from integrations.language.frames import Frame
from integrations.language.values import Value
from integrations.language.verify import Verification
from integrations.language.webhook_events import WebhookEvent

MAX_BYTES = 1024 * 1024


class Verified:
    """The request as `verify` reads it; each check runs once."""

    def __init__(self, request: InboundRequest, base: Frame, now: datetime | None) -> None:
        known = {
            "body": request.body,
            "url": request.url,
            "ip": request.ip,
            "now": iso_text(now or datetime.now(UTC)),
        }
        self.body = Body(request, base["query"])
        self._values = {**base, **known}
        self._reasons: dict[tuple[Verification, str, str], str | None] = {}

    @property
    def passed(self) -> bool:
        """Whether a check has found the request to be from the provider."""
        return "" in self._reasons.values()

    def proves(self, event: WebhookEvent) -> bool:
        """Whether the event's own check has found the request to be from the provider."""
        return event.verify is not None and self.reason(event.verify, event) == ""

    def reason(self, verify: Verification, event: WebhookEvent | None = None) -> str | None:
        """Why the request is not from the provider, or ""; None if nobody checks it."""
        form = (event.content_type, event.charset) if event and verify.reads_request else ("", "")
        key = verify, *form
        if key not in self._reasons:
            parsed = self.body.read(*form)[0] if verify.reads_request else None
            self._reasons[key] = verify({**self._values, "request": parsed})
        return self._reasons[key]


class Body:
    """The body, parsed at most once for each content type and character set that the events name."""

    def __init__(self, request: InboundRequest, query: dict[str, Value]) -> None:
        self.request = request
        self.query = query
        self.problem = ""
        self._parsed: dict[tuple[str, str], tuple[Value, str]] = {}

    def read(self, content_type: str, charset: str) -> tuple[Value, str]:
        """The value, with query and form merged as for the method, and the reason if there is none."""
        key = content_type, charset
        if key not in self._parsed:
            try:
                value = self._parse(content_type, charset)
                # Elements are known by the list that they are in, so equal documents must be one.
                same = (known for known, _ in self._parsed.values() if known == value)
                self._parsed[key] = next(same, value), ""
            except ValueError as error:
                self._parsed[key] = None, str(error)
                self.problem = self.problem or str(error)
        return self._parsed[key]

    def documents(self) -> list[Value]:
        """All that was parsed."""
        return [self.query, *(value for value, _ in self._parsed.values())]

    def _parse(self, content_type: str, charset: str) -> Value:
        request = self.request
        if len(request.body) > MAX_BYTES:
            raise ValueError("The body is larger than 1 MiB.")
        spend(len(request.body) >> 3)
        # For GET, the query serves as the body.
        if request.method == "GET" and not request.body.strip():
            return self.fields(charset)
        declared = request.headers.get("content-type", "")
        # Only the header has the boundary of a multipart body.
        same = not content_type or bodies.essence(content_type) == bodies.essence(declared)
        kind = declared if same else content_type
        value = bodies.parse(request.body, kind, charset, strict=bool(content_type), inbound=True)
        merged = bodies.is_form(kind) or (request.method == "GET" and isinstance(value, dict))
        return {**self.fields(charset), **value} if merged else value

    def fields(self, charset: str) -> dict[str, Value]:
        """The fields of the query. Raises ValueError if these are not in the character set."""
        return bodies.pairs(self.request.query, charset or "utf-8", inbound=True)
