"""What an event says, and what an outcome means, in the words of people who do not know templates."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.events import Consent, Event, InboundMessage, Outcome, StatusUpdate
from integrations.language.values import well_formed
from integrations.senders import sender

STATUSES = {
    "queued": gettext_lazy("accepted, and on its way"),
    "sent": gettext_lazy("sent"),
    "delivered": gettext_lazy("delivered"),
    "read": gettext_lazy("read"),
    "failed": gettext_lazy("failed"),
    "retrying": gettext_lazy("tried again by the provider"),
}
EVENT_TYPES = {
    "message": gettext_lazy("message"),
    "mms": gettext_lazy("message with files"),
    "messageSent": gettext_lazy("delivery report: sent"),
    "messageDelivered": gettext_lazy("delivery report: delivered"),
    "messageRead": gettext_lazy("delivery report: read"),
    "messageFailed": gettext_lazy("delivery report: failed"),
    "messageStatus": gettext_lazy("delivery report"),
    "optOut": gettext_lazy("opt-out"),
    "optIn": gettext_lazy("opt-in"),
    "ignore": gettext_lazy("known, without effect"),
}


def title(event: Event) -> str:
    """What kind of event it is; `facts` has the rest."""
    if isinstance(event, InboundMessage):
        return _("A message with files.") if event.urls else _("A text message.")
    if isinstance(event, StatusUpdate):
        return _("A delivery report: %(status)s.") % {"status": STATUSES.get(event.status, event.status)}
    if isinstance(event, Consent):
        if event.type == "optOut":
            return _("The contact wants no more messages.")
        return _("The contact wants messages again.")
    return _("An event that is known, and has no effect.")


def facts(event: Event, country: str | None = None) -> list[tuple[str, str]]:
    """What an event says, as names and texts; its sender is read with the two-letter `country`, if given."""
    found: dict[str, str] = {}
    if isinstance(event, InboundMessage | Consent):
        found[_("from")] = sender(event.sender, country) if event.sender else ""
        found[_("to")] = ", ".join(event.recipients)
    if isinstance(event, InboundMessage):
        part = {"part": event.concat_part, "count": event.concat_count}
        found |= {
            _("group"): ", ".join(event.members),
            _("name"): event.sender_name,
            _("text"): event.text,
            _("files"): "\n".join(event.urls),
            _("part"): _("%(part)d of %(count)d") % part if event.concat_count > 1 else "",
        }
    if isinstance(event, StatusUpdate):
        found |= {
            _("our message id"): event.message_uuid,
            _("code"): event.code,
            _("reason"): event.text,
        }
    found[_("message id")] = getattr(event, "messageid", "")
    if isinstance(event, InboundMessage | StatusUpdate) and event.date:
        found[_("date")] = event.date.isoformat(" ", "seconds")
    return [(name, well_formed(value)) for name, value in found.items() if value]


def sentence(event: Event, country: str | None = None) -> str:
    """What an event does, with its values, in one sentence."""
    if isinstance(event, InboundMessage):
        said = {
            "sender": sender(event.sender, country),
            "to": ", ".join(event.recipients) or _("the only number of the integration"),
            "text": event.text,
            "files": ", ".join(event.urls),
        }
        if event.urls and event.text:
            return _("A message from %(sender)s to %(to)s: “%(text)s”, with %(files)s") % said
        if event.urls:
            return _("A message from %(sender)s to %(to)s with %(files)s") % said
        return _("A message from %(sender)s to %(to)s: “%(text)s”") % said
    if isinstance(event, StatusUpdate):
        status = str(STATUSES.get(event.status, event.status))
        said = {"id": event.messageid or event.message_uuid, "status": status}
        why = ": ".join(filter(None, [event.code, event.text]))
        report = _("The message with the id %(id)s is %(status)s.") % said
        return f"{report} ({why})" if why else report
    if isinstance(event, Consent):
        said = {"sender": sender(event.sender, country)}
        if event.type == "optOut":
            return _("%(sender)s wants no more messages.") % said
        return _("%(sender)s wants messages again.") % said
    return title(event)


def outcome(found: Outcome) -> str:
    """What an outcome means for the message, in a sentence."""
    sentences = {
        "sent": _("The provider has accepted it."),
        "failed": _("The provider refuses it: the message has failed, and is not sent again."),
        "retry": _("Not accepted now: Patchbay tries again later, by itself."),
        "throttled": _("Too many requests: Patchbay slows down, and tries again by itself."),
        "opted_out": _("The contact has opted out: the message has failed."),
        "unauthorized": _("The credentials are wrong: the integration is paused, and its messages wait."),
        "unknown": _(
            "Nobody knows whether the message was sent: Patchbay does not send it twice, a person decides."
        ),
    }
    return sentences[found.result]
