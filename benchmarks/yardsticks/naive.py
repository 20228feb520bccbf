"""The naive pipeline: Django, REST framework and one Celery task for everything, all with their defaults."""

from __future__ import annotations

import os
from typing import Any

import django
import requests
from celery import Celery
from django.core.wsgi import get_wsgi_application
from django.urls import path

app = Celery("naive", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True
django.setup()

from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from benchmarks.yardsticks.models import Message  # noqa: E402
from benchmarks.yardsticks.serializers import Incoming, Outgoing  # noqa: E402


@app.task
def deliver(pk: int) -> None:
    message = Message.objects.get(pk=pk)
    answer = requests.post(
        os.environ["PROVIDER_URL"],
        json={"from": message.sender, "to": message.recipient, "content": message.text},
        timeout=30,
    )
    message.status, message.provider_id = "sent", answer.json()["data"]["id"]
    message.save()


@app.task
def file(params: dict[str, str]) -> None:
    Message.objects.create(
        direction="in", sender=params["from"], recipient=params["to"], text=params["content"], status="new"
    )


@app.task
def note(params: dict[str, str]) -> None:
    message = Message.objects.get(provider_id=params["messageid"])
    message.status = "delivered"
    message.save()


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
        deliver.delay(message.pk)
        return Response({"id": message.pk})


class Receive(APIView):
    def post(self, request: Any) -> Response:
        given = Incoming(data=request.data)
        given.is_valid(raise_exception=True)
        task = file if given.validated_data["method"] == "message" else note
        task.delay(given.validated_data["params"])
        return Response({})


urlpatterns = [path("messages", Send.as_view()), path("webhook", Receive.as_view())]
application = get_wsgi_application()
