"""Numbers and their users, conversations, messages, delivery attempts and webhook requests."""

from messaging.models.alerts import Alert, AlertChoice, AlertKind
from messaging.models.assignments import Assignment
from messaging.models.attachments import Attachment
from messaging.models.bulk_resends import BulkResend
from messaging.models.contacts import Contact, ContactTag
from messaging.models.conversations import Conversation, Reading
from messaging.models.erasures import Erasure
from messaging.models.health import ServiceHealth
from messaging.models.messages import Message
from messaging.models.notices import Device, NoticeChoices, Push, PushKey
from messaging.models.numbers import AutoReply, Number, OptOut
from messaging.models.planned_assignments import PlannedAssignment
from messaging.models.remarks import Mention, Remark
from messaging.models.traces import DeliveryAttempt, WebhookEvent, WebhookRequest
from messaging.models.transfers import Transfer, TransferPart
from messaging.models.writing import CannedReply, Draft, WritingChoices

__all__ = [
    "Alert",
    "AlertChoice",
    "AlertKind",
    "Assignment",
    "Attachment",
    "AutoReply",
    "BulkResend",
    "CannedReply",
    "Contact",
    "ContactTag",
    "Conversation",
    "DeliveryAttempt",
    "Device",
    "Draft",
    "Erasure",
    "Mention",
    "Message",
    "NoticeChoices",
    "Number",
    "OptOut",
    "PlannedAssignment",
    "Push",
    "PushKey",
    "Reading",
    "Remark",
    "ServiceHealth",
    "Transfer",
    "TransferPart",
    "WebhookEvent",
    "WebhookRequest",
    "WritingChoices",
]
