"""The tuned pipeline: what a good Django engineer writes, with one Celery task for each message to send.

Connections to the database, the broker and the provider are kept. What the provider says is stored by the
request that brings it.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import django
import requests
from celery import Celery
from django.core.wsgi import get_wsgi_application
from django.urls import path

app = Celery("tuned", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_compression=None,
    broker_pool_limit=32,
    worker_prefetch_multiplier=8,
    CELERY_DB_REUSE_MAX=10_000,
)
django.setup()

from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from benchmarks.yardsticks.models import Message  # noqa: E402
from benchmarks.yardsticks.serializers import Incoming, Outgoing  # noqa: E402

_local = threading.local()


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


@app.task
def deliver(pk: int) -> None:
    message = Message.objects.only("sender", "recipient", "text").get(pk=pk)
    answer = _session().post(
        os.environ["PROVIDER_URL"],
        json={"from": message.sender, "to": message.recipient, "content": message.text},
        timeout=30,
    )
    Message.objects.filter(pk=pk).update(status="sent", provider_id=answer.json()["data"]["id"])


class Send(APIView):
    def post(self, request: Any) -> Response:
        given = Outgoing(data=request.data)
        given.is_valid(raise_exception=True)
        message = Message.objects.create(
            direction="out",
            sender=given.validated_data["sender"],
            recipient=given.validated_data["to"],
            text=given.validated_data["content"],
            status="queued",
        )
        deliver.delay(message.pk)  # committed: each statement is, where no transaction was begun
        return Response({"id": message.pk})


class Receive(APIView):
    def post(self, request: Any) -> Response:
        given = Incoming(data=request.data)
        given.is_valid(raise_exception=True)
        params = given.validated_data["params"]
        if given.validated_data["method"] == "message":
            Message.objects.create(
                direction="in",
                sender=params["from"],
                recipient=params["to"],
                text=params["content"],
                status="new",
            )
        else:
            Message.objects.filter(provider_id=params["messageid"]).update(status="delivered")
        return Response({})


urlpatterns = [path("messages", Send.as_view()), path("webhook", Receive.as_view())]
application = get_wsgi_application()
