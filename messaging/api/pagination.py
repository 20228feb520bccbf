"""Lists in pages: each answers with links to the next and the previous one, however long the list is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Rows with `created_at`, `limit` of them at a time (PAGE_SIZE, at most 500)."""

    ordering = ("-created_at", "-id")
    page_size_query_param = "limit"
    page_size_query_description = "How many results a page has: 1 to 500."
    cursor_query_description = "Where a page begins: `next` and `previous` of an answer have it."
    max_page_size = 500

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What drf-spectacular describes; in OpenAPI 3.1 null is a type."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The cursor, whose position is a time. Raises NotFound for what no answer ever had."""
        cursor: Any = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor  # type: ignore[no-any-return]
        try:
            position = datetime.fromisoformat(cursor.position).astimezone(UTC)
        except (ValueError, OverflowError):
            raise NotFound(self.invalid_cursor_message) from None
        return cursor._replace(position=position.isoformat())  # type: ignore[no-any-return]
