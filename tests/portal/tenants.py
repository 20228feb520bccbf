"""Two accounts with two organizations each, and a row of every model in each of them.

All texts of an organization or account contain its `word`, by which anyone may search, and its `secret`, which
nobody else may ever read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from PIL import Image

from integrations import catalog, properties
from integrations.models import (
    AccessToken,
    Capture,
    CapturedRequest,
    Integration,
    Poll,
    PropertyValues,
    Subscription,
    Template,
    TemplateCase,
)
from messaging import erasure, media
from messaging.models import (
    Alert,
    AlertChoice,
    AlertKind,
    Assignment,
    AutoReply,
    BulkResend,
    CannedReply,
    ContactTag,
    DeliveryAttempt,
    Device,
    Draft,
    Mention,
    NoticeChoices,
    Number,
    OptOut,
    OutgoingEvent,
    PlannedAssignment,
    Push,
    Reading,
    Receiver,
    Remark,
    ServiceHealth,
    WebhookEvent,
    WebhookRequest,
    WritingChoices,
)
from messaging.outbound.submit import submit
from messaging.statuses import QueueState, Status
from messaging.transfer import drain, imports
from portal import audit
from portal.models import (
    Account,
    Invitation,
    Membership,
    Organization,
    PersonalToken,
    SavedView,
    SeenSession,
    User,
)

# The value of a property that is secret, which no page shows to anybody.
SESAME = "sesame-of"


@dataclass
class Tenant:
    """An organization with its account; `rows` has a row of each model by its label."""

    word: str
    secret: str
    account: Account
    organization: Organization
    user: User
    admin: User
    media_url: str
    rows: dict[str, Model] = field(default_factory=dict)

    def key(self, label: str) -> Any:
        return self.rows[label].pk


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


def make_account(word: str, secret: str) -> Account:
    """An account with a template of its own, and values for all of its organizations."""
    catalog.install()
    account = Account.objects.create(name=f"{word} {secret}")
    template = Template(account=account)
    document = {
        "id": f"own-{word}".lower(),
        "name": f"{word} {secret} template",
        "properties": [{"name": "Key", "secret": True}],
        "API": {"SendMessage": {"request_url": "https://x.example/", "request_headers": {"K": "$Key$"}}},
    }
    template.revise(json.dumps(document))
    PropertyValues.objects.create(
        account=account, template=template, values={"Key": f"{SESAME}-{secret}".lower()}
    )
    return account


def make_tenant(account: Account, word: str, secret: str, place: int) -> Tenant:
    """An organization of the account; `place` makes its telephone numbers unique."""
    name, domain = f"{word} {secret}", f"{word}-{secret}.example".lower()
    organization = Organization.objects.create(account=account, name=name, domain=domain)
    people = [
        User.objects.create_user(f"{part}@{domain}", "x", name=f"{name} {part}") for part in ("user", "admin")
    ]
    user, admin = people
    Membership.objects.create(user=admin, organization=organization, role="organization_admin")
    membership = Membership.objects.create(user=user, organization=organization, extension="101")
    email = EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    template = Template.objects.get(account=account)
    integration = Integration.objects.create(
        organization=organization,
        template=Template.objects.get(account=None, service_id="generic"),
        trouble=f"Trouble of {name}",
        trouble_since=timezone.now(),
    )
    values = {"API URL": f"https://{domain}/", "API key": f"{SESAME}-{secret}".lower()}
    properties.store(integration, values)
    case = TemplateCase.objects.create(template=template, name=f"Case of {account.name}, {word}", source="{}")
    capture = Capture.objects.create(account=account, template=template, author=admin)
    said = {"method": "POST", "text": f"Captured by {account.name}"}
    captured = CapturedRequest.objects.create(capture=capture, request=said)
    access = AccessToken.objects.create(integration=integration, secrets={"access_token": SESAME})
    poll = Poll.objects.create(integration=integration, problem=f"Not polled for {name}")
    subscription = Subscription.objects.create(integration=integration, problem=f"Not subscribed for {name}")
    number = Number.objects.create(
        organization=organization,
        integration=integration,
        number=f"+6185555{place:04}",
        country="AU",
        display_name=name,
        header=name,
    )
    assignment = Assignment.objects.create(number=number, user=user)
    reply = AutoReply.objects.create(number=number, keyword=word, text=f"Reply of {name}")
    opt_out = OptOut.objects.create(organization=organization, number=number, address=f"+6141999{place:04}")
    file = SimpleUploadedFile(f"{secret}.png", picture(), "image/png")
    message = submit(user, number, f"+6141234{place:04}", text=f"Text of {name}", files=[file])
    message.status, message.queue_state, message.status_text = (
        Status.FAILED,
        QueueState.DONE,
        f"Reason of {name}",
    )
    message.save()
    message.conversation.contact.name = f"Contact of {name}"
    message.conversation.contact.save()
    attachment = message.attachments.get()
    attempt = DeliveryAttempt.objects.create(
        message=message,
        organization=organization,
        integration=integration,
        fence=1,
        started_at=timezone.now(),
        result="failed",
        text=f"Refused to {name}",
        answer_body=f"Body of {name}",
        provider_id=f"id-{secret}".lower(),
        status=Status.FAILED,
    )
    Client().post(
        f"/services/generic/a{organization.orgid}",
        json.dumps({"method": f"nothing of {name}", "key": "wrong"}),
        content_type="application/json",
    )
    webhook = WebhookRequest.objects.latest("pk")
    webhook.organization, webhook.reason = organization, f"Reason of {name}"
    webhook.save()
    event = WebhookEvent.objects.create(
        request=webhook,
        organization=organization,
        integration=integration,
        number=number,
        type="message",
        payload={"text": f"Event of {name}"},
        provider_id=f"event-{secret}".lower(),
    )
    bulk = BulkResend.objects.create(
        author=admin,
        wanted=[message.pk],
        refused=[[message.pk, f"Refused by {name}"]],
        finished_at=timezone.now(),
    )
    reading = Reading.objects.create(conversation=message.conversation, user=user)
    choices = NoticeChoices.objects.create(user=user)
    device = Device.objects.create(
        user=user, digest=secret, subscription={"session": SESAME}, name=f"Device of {name}"
    )
    told = Push.objects.create(device=device, message=message, due_at=timezone.now())
    contact = message.conversation.contact
    tag = ContactTag.objects.create(organization=organization, name=f"Tag of {name}")
    contact.tags.add(tag)
    remark = Remark.objects.create(
        organization=organization,
        number=number,
        conversation=message.conversation,
        kind=Remark.Kind.NOTE,
        author=admin,
        text=f"Note of {name}",
        after=message.pk,
    )
    draft = Draft.objects.create(conversation=message.conversation, user=user, text=f"Draft of {name}")
    writes = WritingChoices.objects.create(user=user, undo_seconds=0, signature="Best regards")
    canned = CannedReply.objects.create(organization=organization, name=f"Reply of {name}", text="Hi")
    mention = Mention.objects.create(remark=remark, conversation=message.conversation, user=user)
    PersonalToken.objects.issue(user, f"Program of {name}")
    invitation = Invitation(
        email=f"new@{domain}",
        name=f"New of {name}",
        account=account,
        organization=organization,
        inviter=admin,
    )
    invitation.open()
    planned = PlannedAssignment.objects.create(number=number, invitation=invitation)
    store = SessionStore()
    store.create()
    seen = SeenSession.objects.create(
        session_id=store.session_key, user=user, browser=f"Browser of {name}", address="192.0.2.1"
    )
    alert = Alert.objects.create(
        kind=AlertKind.QUARANTINE,
        subject=f"organization {organization.pk}",
        account=account,
        organization=organization,
        reason=f"Quarantine of {name}",
        began_at=timezone.now(),
    )
    receiver = Receiver.objects.create(
        account=account, organization=organization, url=f"https://{domain}/{secret}", received=True
    )
    outgoing = OutgoingEvent.objects.create(
        receiver=receiver,
        uuid=message.uuid,
        kind="message.received",
        message=message,
        payload=f"Told of {name}",
        due_at=None,
        expires_at=timezone.now(),
        problem=f"Not told {name}",
    )
    unwanted = AlertChoice.objects.create(user=user, unwanted=[AlertKind.LIMIT])
    view = SavedView.objects.create(
        owner=admin,
        account=account,
        organization=organization,
        page="messaging.message",
        name=f"View of {name}",
        query="outcome=failed",
    )
    erased = erasure.start(organization, f"+6141888{place:04}", admin)
    transfer = imports.start(admin, "contacts", f"File of {name}", f"number\n{secret}".encode())
    drain.drain()
    part = transfer.parts.create(role="rows", place=0, data=f'["{secret}"]'.encode())
    entry = audit.record(audit.Action.CHANGED, number, {"name": ("", f"Changed by {name}")}, actor=admin)
    message.expires_at = timezone.now() + timedelta(hours=1)
    rows: list[Model] = [
        *(account, organization, user, membership, email, template, integration, access, number, assignment),
        *(reply, opt_out, message, message.conversation, message.conversation.contact, attachment, attempt),
        *(webhook, event, bulk, reading, PersonalToken.objects.get(user=user), invitation, erased, entry),
        *(choices, device, told, seen, alert, unwanted, transfer, part, tag, remark, mention, view, planned),
        *(draft, writes, canned, receiver, outgoing),
        *(case, capture, captured, poll, subscription, ServiceHealth.objects.get(pk=integration.pk)),
    ]
    tenant = Tenant(word, secret, account, organization, user, admin, media.public_url(attachment, message))
    tenant.rows = {row._meta.label: row for row in rows}
    return tenant
