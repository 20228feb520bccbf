"""What the Django pipelines are given."""

from typing import Any

from rest_framework import serializers


class Outgoing(serializers.Serializer[Any]):
    """A message of a user's."""

    sender = serializers.CharField()
    to = serializers.CharField()
    content = serializers.CharField()


class Incoming(serializers.Serializer[Any]):
    """A webhook: a message, or the report that one was delivered."""

    method = serializers.ChoiceField(["message", "delivered"])
    params = serializers.DictField(child=serializers.CharField())
