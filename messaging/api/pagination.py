"""Lists of messages in pages, each as fast as the first however long the list is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet, Subquery
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from messaging.models import Message

PAGE_SIZE = 50
MAX_LIMIT = 500


class PageSerializer(serializers.Serializer[Any]):
    """What a request says of the page that it wants."""

    cursor = serializers.UUIDField(
        required=False, help_text="Begins after this message; `next` of an answer has it."
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=MAX_LIMIT, default=PAGE_SIZE, help_text="Messages of a page."
    )


class NewestFirst(BasePagination):
    """Pages of messages, the newest first; the cursor is the id of the last message of the page before.

    DRF's own CursorPagination compares times that it has read, which SQLite keeps in another precision than
    Django writes them: here the database compares its own. Raises ParseError for a bad cursor or limit.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        asked = PageSerializer(data=request.query_params)
        if not asked.is_valid():
            name, (said, *_more) = next(iter(asked.errors.items()))
            raise ParseError(f"{name}: {said}")
        limit = asked.validated_data["limit"]
        rows: QuerySet[Message] = queryset.order_by("-created_at", "-id")
        if cursor := asked.validated_data.get("cursor"):
            last = queryset.filter(uuid=cursor)
            at, key = Subquery(last.values("created_at")), Subquery(last.values("id"))
            # The first condition is one that an index serves.
            rows = rows.filter(Q(created_at__lte=at), Q(created_at__lt=at) | Q(id__lt=key))
        page = list(rows[: limit + 1])
        self._next = None
        if len(page) > limit:
            page.pop()
            self._next = replace_query_param(
                f"{settings.PUBLIC_URL}{request.get_full_path()}", "cursor", page[-1].uuid
            )
        return page

    def get_paginated_response(self, data: Sequence[Any]) -> Response:
        return Response({"next": self._next, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What drf-spectacular describes; in OpenAPI 3.1 null is a type."""
        link = {"type": ["string", "null"], "format": "uri", "description": "The next page, if there is one."}
        properties = {"next": link, "results": schema}
        return {"type": "object", "required": [*properties], "properties": properties}
