"""Messages and numbers in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from integrations.language.dates import iso_text
from messaging import numbers
from messaging.api.exceptions import KINDS
from messaging.models.contacts import MOST_MEMBERS
from messaging.outbound.submit import MAX_TEXT
from messaging.statuses import Status

MAX_BATCH = 1_000
SHOWN_CHARACTERS = 40

STATUSES = [
    ("queued", "waits to be sent, or to be tried again"),
    ("sending", "on its way to the service"),
    ("unknown", "no answer came: it may or may not have arrived"),
    ("sent", "the service took it"),
    ("failed", "it was not sent, or not delivered"),
    ("delivered", "it is on the phone"),
    ("read", "it was opened"),
    ("canceled", "its author took it back before it was sent"),
]
_TO = "In international form; of a group the numbers of all members, with commas between."
PROBLEM_TYPES = [(kind.type, kind.meaning) for kind in KINDS]


@extend_schema_field(OpenApiTypes.STR)
class TextField(serializers.Field[str, Any, str, Any]):
    """A string of JSON and nothing that would only be one once converted, as it is."""

    default_error_messages = {"invalid": gettext_lazy("This is not a text.")}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field({"type": "string", "maxLength": MAX_TEXT})
class MessageTextField(TextField):
    """The text of a message, whose length `submit` looks at."""


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_MEMBERS},
        ]
    }
)
class RecipientsField(serializers.Field[Any, Any, Any, Any]):
    """A recipient, or a list of those of a group, as they are written."""

    default_error_messages = {
        "invalid": gettext_lazy("This is neither a text nor a list of texts."),
        "count": gettext_lazy("A list has 1 to {most} recipients."),
    }

    def to_internal_value(self, data: Any) -> str | list[str]:
        given = data if isinstance(data, list) else [data]
        if not all(isinstance(each, str) for each in given):
            self.fail("invalid")
        if not 0 < len(given) <= MOST_MEMBERS:
            self.fail("count", most=MOST_MEMBERS)
        return data  # type: ignore[no-any-return]


class StatusField(serializers.ChoiceField):
    """A status by its name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=STATUSES, **options)

    def to_representation(self, value: Any) -> str:
        return Status(value).name.lower()


class MomentField(serializers.DateTimeField):
    """A time in UTC, to the millisecond."""

    def to_representation(self, value: datetime) -> str:
        return iso_text(value, "milliseconds")


class WaitingField(MomentField):
    """The time for which a message waits, or waited."""

    def __init__(self, **options: Any) -> None:
        said = "When it is sent at the earliest, if not at once."
        super().__init__(**{"allow_null": True, "help_text": said, **options})


@extend_schema_field({"type": ["string", "null"], "format": "date-time"})
class TimeField(serializers.Field[datetime, Any, str, Any]):
    """A time in ISO 8601 that means the same everywhere: with its offset from UTC."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            found = datetime.fromisoformat(data)
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise ValidationError(
            _("This is no time in ISO 8601 with its offset from UTC, such as 2026-11-24T09:30:00+10:30.")
        )


class OrNull(serializers.CharField):
    """A text of ours that is null in JSON while it is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return value or None


class _WithSender(serializers.Serializer[Any]):
    """`from` is a word of Python's own: the field is declared as `sender`."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        return {"from" if name == "sender" else name: field for name, field in fields.items()}


class _Strict(serializers.Serializer[Any]):
    """Refuses members that it does not know: whoever writes `txt` meant something by it."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in data:
                if name not in self.fields:
                    said = _("This member is not known; those that are: %(names)s.")
                    raise ValidationError(
                        {name[:SHOWN_CHARACTERS]: [said % {"names": ", ".join(self.fields)}]}
                    )
        return super().to_internal_value(data)


class EachByItself(serializers.ListSerializer[Any]):
    """Gives the content of each message, or the ValidationError that refuses this one alone."""

    def run_child_validation(self, data: Any) -> Any:
        try:
            return super().run_child_validation(data)
        except ValidationError as error:
            return error


class NewMessageSerializer(_Strict, _WithSender):
    """What a program sends: three texts, a time if it is not sent at once, and nothing else."""

    sender = TextField(source="sender", help_text="A number or sender's name of yours, like +61855555501.")
    to = RecipientsField(
        help_text="Whom it goes to: internationally, or as dialled in the country of your number. A list is "
        "a group, whose members get it together, if the service sends to groups."
    )
    text = MessageTextField(
        help_text="What is sent. What is no character (U+0000, half a surrogate pair) becomes U+FFFD."
    )
    send_at = TimeField(
        default=None,
        allow_null=True,
        help_text="When it is sent, within a year, such as 2026-11-24T09:30:00+10:30; null for at once.",
    )

    class Meta:
        list_serializer_class = EachByItself


class NewBatchSerializer(_Strict):
    """Messages that are sent by one request."""

    messages = NewMessageSerializer(many=True, allow_empty=False, max_length=MAX_BATCH)  # type: ignore[call-arg]


class AcceptedSerializer(_WithSender):
    """A message that was just accepted."""

    id = serializers.UUIDField(source="uuid")
    status = StatusField()
    sender = serializers.CharField(source="sender")
    to = serializers.CharField(help_text=_TO)
    text = serializers.CharField()
    send_at = WaitingField()


class MessageSerializer(_WithSender):
    """A message and what has become of it."""

    id = serializers.UUIDField(source="uuid")
    status = StatusField()
    status_code = OrNull(help_text="The service's code for the status.")
    status_text = OrNull(help_text="The reason, in words.")
    sender = serializers.CharField(source="conversation.number.number")
    to = serializers.CharField(
        source="conversation.contact.address",
        help_text=_TO,
    )
    text = serializers.CharField()
    send_at = WaitingField()
    created_at = MomentField()
    changed_at = MomentField(help_text="When the status changed last.")


class NumberSerializer(serializers.Serializer[Any]):
    """A number or name that the user sends from."""

    number = serializers.CharField(help_text="What `from` of a message is.")
    kind = serializers.ChoiceField(choices=numbers.Kind.choices)
    name = OrNull(source="display_name", help_text="What people call it.")
    country = OrNull(help_text="Numbers without a country code are read as dialled in this country.")
    organization = serializers.CharField(
        source="organization.domain", help_text="The domain of the organization that it belongs to."
    )


@extend_schema_serializer(many=False)
class NumbersSerializer(serializers.Serializer[Any]):
    """The numbers and names that the user sends from."""

    results = NumberSerializer(many=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """What was wrong (RFC 9457)."""

    type = serializers.ChoiceField(choices=PROBLEM_TYPES)
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What was wrong, in a sentence.")
    pointer = serializers.CharField(
        required=False, help_text="The member of the body that is meant, as a JSON pointer, like /to."
    )


class ResultSerializer(serializers.Serializer[Any]):
    """What has become of one message of a batch: `message` if it was accepted, else `problem`."""

    status = serializers.IntegerField(help_text="The status that the message alone would be answered.")
    message = AcceptedSerializer(required=False)
    problem = ProblemSerializer(required=False)


class ResultsSerializer(serializers.Serializer[Any]):
    """What has become of the messages of a batch."""

    results = ResultSerializer(many=True, help_text="One for each message, in their order.")
