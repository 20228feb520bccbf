"""JSON, and nothing else: read strictly, since a text that is misread is sent to somebody."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from integrations.language.values import cleaned
from messaging.api.exceptions import TOO_LARGE, Problem


class StrictJSONParser(BaseParser):
    """Reads UTF-8 of at most the view's `max_body` bytes; a name twice in an object, or NaN, is refused.

    What is no character (U+0000, half a surrogate pair) becomes U+FFFD, in names and texts. Raises
    ParseError, and Problem for a body that is too large.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most: int = (parser_context or {})["view"].max_body
        declared: str = stream.META.get("CONTENT_LENGTH") or "0"  # type: ignore[attr-defined]
        too_large = declared.isdecimal() and int(declared) > most
        body: bytes = b"" if too_large else stream.read(most + 1)
        if too_large or len(body) > most:
            raise Problem(TOO_LARGE, _("The body is larger than %(size)d KiB.") % {"size": most // 1024})
        try:
            return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse)
        except UnicodeDecodeError:
            raise ParseError(_("The body is not in UTF-8.")) from None
        except json.JSONDecodeError as error:
            raise ParseError(_("The body is not JSON: %(reason)s.") % {"reason": error}) from None
        except (ValueError, RecursionError):  # numbers of thousands of digits, nesting of thousands of levels
            raise ParseError(_("The body is not JSON that can be read.")) from None


class OnlyJSON(BaseContentNegotiation):
    """The parser that the Content-Type names, and the view's one renderer whatever `Accept` says."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        if request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            return None
        kind = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        (renderer,) = renderers
        return renderer, renderer.media_type


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {cleaned(name): cleaned(item) if isinstance(item, str) else item for name, item in pairs}
    if len(found) < len(pairs):
        raise ParseError(_("A name stands twice in an object of the JSON."))
    return found


def _refuse(constant: str) -> NoReturn:
    raise ParseError(_("The body is not JSON: it has no %(constant)s.") % {"constant": constant})
