"""The REST API: messages and numbers of the user whose token a request carries."""

from __future__ import annotations

from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from messaging.api import schema, submission
from messaging.api.exceptions import MALFORMED, TOO_LATE, Problem, problem_of
from messaging.api.pagination import NewestFirst
from messaging.api.serializers import (
    AcceptedSerializer,
    MessageSerializer,
    NewBatchSerializer,
    NewMessageSerializer,
    NumbersSerializer,
)
from messaging.errors import Refused
from messaging.models import Message, Number
from messaging.rules import schedule
from messaging.statuses import Direction, Status
from portal.models import User

MAX_MESSAGE_BODY = 64 * 1024
MAX_BATCH_BODY = 2 * 1024 * 1024

# Created once, because creating them is slower than using them; they hold no state.
NEW_MESSAGE, NEW_BATCH, ACCEPTED = NewMessageSerializer(), NewBatchSerializer(), AcceptedSerializer()


class UserRequest(Request):
    """A request as it arrives behind authentication and permission."""

    user: User


class APIViewSet(GenericViewSet[Any]):
    """What is read and written as `request.user`; `max_body` is in bytes."""

    request: UserRequest
    http_method_names = ["get", "head", "post"]
    max_body = MAX_MESSAGE_BODY


@schema.messages
class MessageViewSet(ListModelMixin, RetrieveModelMixin, APIViewSet):
    """Outgoing messages: those of the user's conversations are seen, those the user wrote are listed."""

    serializer_class = MessageSerializer
    pagination_class = NewestFirst
    lookup_field, lookup_url_kwarg, lookup_value_converter = "uuid", "id", "uuid"

    def get_queryset(self) -> QuerySet[Message]:
        user = self.request.user
        rows = Message.objects.for_user(user).filter(direction=Direction.OUT)
        if self.action == "list":
            rows = rows.filter(author=user)
        return rows.select_related("conversation__number", "conversation__contact")

    def get_object(self) -> Message:
        try:
            return super().get_object()  # type: ignore[no-any-return]
        except Http404:
            raise NotFound(_("No message of yours has this id.")) from None

    def create(self, request: UserRequest) -> Response:
        """Takes a message: 202 once it is committed."""
        wanted = NEW_MESSAGE.run_validation(request.data)
        uuid = submission.id_of_message(request.user, _key(request))
        (result,) = submission.submit_all(request.user, [wanted], [uuid])
        if isinstance(result, Exception):
            raise result
        headers = {"Location": f"{request.path}/{uuid}", **_replayed(result.replayed)}
        return Response(ACCEPTED.to_representation(result), 202, headers=headers)

    @action(detail=False, methods=["post"], max_body=MAX_BATCH_BODY)
    def batch(self, request: UserRequest) -> Response:
        """Takes messages, each by itself: 200 once all that are taken are committed."""
        messages = NEW_BATCH.run_validation(request.data)["messages"]
        uuids = submission.ids_of_batch(request.user, _key(request), len(messages))
        results = submission.submit_all(request.user, messages, uuids)
        if all(isinstance(result, OperationalError | InterfaceError) for result in results):
            raise results[0]  # type: ignore[misc]
        accepted = [result for result in results if not isinstance(result, Exception)]
        replayed = bool(accepted) and all(result.replayed for result in accepted)
        return Response({"results": _told(results)}, headers=_replayed(replayed))

    @action(detail=True, methods=["post"])
    def cancel(self, request: UserRequest, **_which: Any) -> Response:
        """Takes a message back before anything has tried to send it; one that is canceled stays so."""
        message = self.get_object()
        if message.status != Status.CANCELED:
            try:
                schedule.cancel(message, request.user)
            except Refused as refusal:
                raise Problem(TOO_LATE, str(refusal)) from None
            message = self.get_object()
        return Response(MessageSerializer(message).data)


@schema.numbers
class NumberViewSet(APIViewSet):
    """The numbers and names that the user may send from: few, since people assign each."""

    def list(self, request: UserRequest) -> Response:
        rows = Number.objects.for_user(request.user).select_related("organization")
        return Response(NumbersSerializer({"results": rows}).data)


class NotFoundView(APIView):
    """Every other address: 404 with a problem, whatever the method, and whoever asks."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise Http404


def _key(request: Request) -> str | None:
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not (0 < len(key) <= submission.MAX_KEY and key.isascii() and key.isprintable()):
        said = _("An Idempotency-Key has 1 to %(most)d printable ASCII characters.")
        raise Problem(MALFORMED, said % {"most": submission.MAX_KEY})
    return key


def _replayed(replayed: bool) -> dict[str, str]:
    return {"Idempotency-Replayed": "true"} if replayed else {}


def _told(results: list[submission.Accepted | Exception]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for place, result in enumerate(results):
        if isinstance(result, Exception):
            problem = problem_of(result)
            told.append({"status": problem.kind.status, "problem": problem.as_json(f"/messages/{place}")})
        else:
            told.append({"status": 202, "message": ACCEPTED.to_representation(result)})
    return told
