"""Numbers and their users, conversations, messages, delivery attempts and webhook requests."""

from messaging.models.attachments import Attachment
from messaging.models.bulk_resends import BulkResend
from messaging.models.contacts import Contact, ContactTag
from messaging.models.conversations import Conversation, Message, Reading
from messaging.models.erasures import Erasure
from messaging.models.health import ServiceHealth
from messaging.models.numbers import Assignment, AutoReply, Number, OptOut
from messaging.models.remarks import Mention, Remark
from messaging.models.traces import DeliveryAttempt, WebhookEvent, WebhookRequest

__all__ = [
    "Assignment",
    "Attachment",
    "AutoReply",
    "BulkResend",
    "Contact",
    "ContactTag",
    "Conversation",
    "DeliveryAttempt",
    "Erasure",
    "Mention",
    "Message",
    "Number",
    "OptOut",
    "Reading",
    "Remark",
    "ServiceHealth",
    "WebhookEvent",
    "WebhookRequest",
]
