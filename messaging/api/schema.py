"""The OpenAPI description: what the views and serializers do not say by themselves."""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api import exceptions
from messaging.api.exceptions import MEDIA_TYPE, Kind, Problem
from messaging.api.pagination import PageSerializer
from messaging.api.serializers import (
    MAX_BATCH,
    AcceptedSerializer,
    MessageSerializer,
    NewBatchSerializer,
    NewMessageSerializer,
    NumbersSerializer,
    ProblemSerializer,
    ResultsSerializer,
)
from messaging.api.submission import MAX_KEY

_ALWAYS = (exceptions.UNAUTHORIZED, exceptions.TOO_MANY, exceptions.INTERNAL, exceptions.UNAVAILABLE)
_BODY = (exceptions.MALFORMED, exceptions.TOO_LARGE, exceptions.UNSUPPORTED)

_ID = "0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e"
_NEW = {"from": "+61855555501", "to": "0412 345 678", "text": "Your order is ready."}
_ACCEPTED = {"id": _ID, "status": "queued", **_NEW, "to": "+61412345678", "send_at": None}
_LATER = {**_NEW, "send_at": "2026-11-25T09:30:00+10:30"}
_SEEN = {
    "id": _ID,
    "status": "delivered",
    "status_code": None,
    "status_text": None,
    "from": "+61855555501",
    "to": "+61412345678",
    "text": "Your order is ready.",
    "send_at": None,
    "created_at": "2026-11-24T09:30:00.000Z",
    "changed_at": "2026-11-24T09:30:02.417Z",
}
_CANCELED = {
    **_SEEN,
    "status": "canceled",
    "status_text": "Canceled by Alice Archer.",
    "send_at": "2026-11-24T23:00:00.000Z",
}
_NUMBER = {
    "number": "+61855555501",
    "kind": "e164",
    "name": "Front desk",
    "country": "AU",
    "organization": "acme.example",
}
_REFUSED = Problem(exceptions.REFUSED, "Write a text or add a file.", "/text")
_RESULTS = {
    "results": [
        {"status": 202, "message": _ACCEPTED},
        {"status": 422, "problem": _REFUSED.as_json("/messages/1")},
    ]
}


def _example(value: Any, *, request: bool = False, name: str = "Example") -> OpenApiExample:
    return OpenApiExample(name, value, request_only=request, response_only=not request)


def _responses(status: int, success: OpenApiResponse, *kinds: Kind) -> dict[Any, OpenApiResponse]:
    """The success, and the problems that there may be, in the order of their statuses."""
    by_status = defaultdict[int, list[Kind]](list)
    for kind in (*kinds, *_ALWAYS):
        by_status[kind.status].append(kind)
    problems = {
        (number, MEDIA_TYPE): OpenApiResponse(
            ProblemSerializer,
            " Or: ".join(kind.meaning for kind in by_status[number]),
            [
                OpenApiExample(
                    kind.name,
                    Problem(kind, kind.meaning).as_json(),
                    response_only=True,
                    media_type=MEDIA_TYPE,
                )
                for kind in by_status[number]
            ],
        )
        for number in sorted(by_status)
    }
    return {status: success, **problems}


def _header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """A header of the answers with these statuses."""
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, description=description, response=list(statuses)
    )


_HEADERS = [
    _header("WWW-Authenticate", "How to authenticate: with a Bearer token.", 401),
    _header("Retry-After", "The number of seconds to wait before the next try.", 429, 503),
]
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Any text in printable ASCII that names this request among the user's. A request that is "
    "repeated with its key gets the same answer as before, and each message is sent once.",
)

messages = extend_schema_view(
    create=extend_schema(
        operation_id="sendMessage",
        summary="Send a text",
        description="Answers once the message is stored. It will be sent, and its status says what became "
        "of it. The body has at most 64 KiB.",
        parameters=[
            _KEY,
            _header("Location", "Where its status is found.", 202),
            _header("Idempotency-Replayed", "`true` if an earlier request with the key sent it.", 202),
            *_HEADERS,
        ],
        request=NewMessageSerializer,
        examples=[_example(_NEW, request=True), _example(_LATER, request=True, name="Sent later")],
        responses=_responses(
            202,
            OpenApiResponse(
                AcceptedSerializer, "The message is stored and will be sent.", [_example(_ACCEPTED)]
            ),
            *_BODY,
            exceptions.REFUSED,
            exceptions.KEY_REUSED,
            exceptions.LIMIT,
        ),
    ),
    batch=extend_schema(
        operation_id="sendMessages",
        summary="Send many texts",
        description="Sends 1 to 1,000 texts, each of which is accepted or refused by itself. "
        "The body has at most 2 MiB.",
        parameters=[
            _KEY,
            _header(
                "Idempotency-Replayed",
                "`true` if earlier requests with the key sent all messages that are accepted.",
                200,
            ),
            *_HEADERS,
        ],
        request=NewBatchSerializer,
        examples=[_example({"messages": [_NEW, {**_NEW, "text": ""}]}, request=True)],
        responses=_responses(
            200,
            OpenApiResponse(
                ResultsSerializer, "What has become of each message, in their order.", [_example(_RESULTS)]
            ),
            *_BODY,
        ),
    ),
    list=extend_schema(
        operation_id="listMessages",
        summary="List what the user has sent",
        description="Messages that the user wrote, through the API or in the inbox, the newest first.",
        parameters=[PageSerializer, *_HEADERS],
        responses=_responses(
            200, OpenApiResponse(MessageSerializer(many=True), "A page."), exceptions.MALFORMED
        ),
    ),
    retrieve=extend_schema(
        operation_id="getMessage",
        summary="See what has become of a message",
        description="Any message that went out of the user's conversations, whoever wrote it.",
        parameters=_HEADERS,
        responses=_responses(
            200, OpenApiResponse(MessageSerializer, "The message.", [_example(_SEEN)]), exceptions.NOT_FOUND
        ),
    ),
    cancel=extend_schema(
        operation_id="cancelMessage",
        summary="Take a message back",
        description="Possible until something has tried to send it, whoever of the number's users wrote it. "
        "The request has no body.",
        parameters=_HEADERS,
        request=None,
        responses=_responses(
            200,
            OpenApiResponse(MessageSerializer, "The message, which is not sent.", [_example(_CANCELED)]),
            exceptions.NOT_FOUND,
            exceptions.TOO_LATE,
        ),
    ),
)
numbers = extend_schema_view(
    list=extend_schema(
        operation_id="listNumbers",
        summary="List what the user may send from",
        description="The numbers and names that are assigned to the user.",
        parameters=_HEADERS,
        responses=_responses(
            200, OpenApiResponse(NumbersSerializer, "All of them.", [_example({"results": [_NUMBER]})])
        ),
    )
)


def restrict(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: objects have no other members than those described, and batches an end."""
    components = result["components"]["schemas"]
    for component in components.values():
        if "properties" in component:
            component["additionalProperties"] = False
    components["NewBatch"]["properties"]["messages"] |= {"minItems": 1, "maxItems": MAX_BATCH}
    return result


class PersonalTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How tokens are sent."""

    target_class = "portal.authentication.PersonalTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token, like pb_…"}


class DescriptionView(SpectacularAPIView):
    """The description, made once by each process: it is the same for everybody."""

    renderer_classes = [OpenApiJsonRenderer2]
    throttle_classes = []

    def _get_schema_response(self, request: Request) -> Response:
        with _making:
            return Response(_description())


class DocumentationView(SpectacularSwaggerSplitView):
    """A page to read the description, and to try it; all that it loads comes from here."""

    throttle_classes = []
    template_name = "api/docs.html"
    url_name = "api_description"


# drf-spectacular finds its extensions while it makes the first description, which one thread must do alone.
_making = threading.Lock()


@functools.cache
def _description() -> Any:
    return SpectacularAPIView.generator_class().get_schema(public=True)  # type: ignore[no-untyped-call]
