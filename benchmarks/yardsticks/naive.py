"""The naive pipeline: Django, REST framework and one Celery task per message, all with their defaults."""

from __future__ import annotations

import os
from typing import Any

import dj_database_url
import django
from celery import Celery
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="measured-and-thrown-away",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": dj_database_url.parse(os.environ["DATABASE_URL"])},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()

import requests
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

app = Celery("naive", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True


class Message(models.Model):
    direction = models.CharField(max_length=3)
    sender = models.CharField(max_length=20)
    recipient = models.CharField(max_length=20)
    text = models.TextField()
    status = models.CharField(max_length=10)
    provider_id = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "naive"
        db_table = "message"

    def __str__(self) -> str:
        return self.text


class Outgoing(serializers.Serializer[Any]):
    to = serializers.CharField()
    content = serializers.CharField()


class Incoming(serializers.Serializer[Any]):
    method = serializers.CharField()
    params = serializers.DictField()


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


class Send(APIView):
    def post(self, request: Any) -> Response:
        given = Outgoing(data=request.data)
        given.is_valid(raise_exception=True)
        message = Message.objects.create(
            direction="out",
            sender=request.data["from"],
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
        file.delay(given.validated_data["params"])
        return Response({})


urlpatterns = [path("messages", Send.as_view()), path("webhook", Receive.as_view())]
application = get_wsgi_application()


def prepare() -> None:
    """The pipeline's only table."""
    with connection.schema_editor() as editor:
        editor.create_model(Message)


if __name__ == "__main__":
    prepare()
