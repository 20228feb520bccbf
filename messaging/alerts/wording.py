"""What the mails about alerts say."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from messaging.inbound import quarantine
from messaging.models import Alert, AlertKind


def mail(alert: Alert) -> tuple[str, str]:
    """The subject, in one line, and the text of the mail."""
    subject, text = (_over if alert.over_at is not None else _begun)(alert)
    named = {**names(alert), "reason": alert.reason}
    body = f"{text % named}\n\n{url(alert)}\n\n{_choose()}"
    return " ".join((subject % named).split()), body  # names may contain line breaks


def subject(alert: Alert) -> str:
    """The alert in one line."""
    return mail(alert)[0]


def names(alert: Alert) -> dict[str, str]:
    """The provider or receiver, if any, and the organization, else the account, that the alert is about."""
    integration = alert.integration
    return {
        "provider": str(integration.template) if integration is not None else "",
        "receiver": alert.receiver.place if alert.receiver is not None else "",
        "organization": str(alert.organization or alert.account),
    }


def page(alert: Alert) -> str:
    """The page on which one can do something about it."""
    if alert.integration is not None:
        keys = [alert.integration.organization_id, alert.integration.template_id]
        return reverse("admin:integrations_setup", args=keys)
    if alert.receiver_id is not None:
        return reverse("admin:messaging_receiver_change", args=[alert.receiver_id])
    if alert.kind == AlertKind.QUARANTINE:
        return quarantine.url()
    return reverse("admin:messaging_message_changelist")


def url(alert: Alert) -> str:
    """The whole address of that page."""
    return f"{settings.PUBLIC_URL}{page(alert)}"


def _begun(alert: Alert) -> tuple[str, str]:
    return {
        AlertKind.HELD: (
            _("%(provider)s needs your confirmation for %(organization)s"),
            _(
                "%(reason)s\n\n"
                "Until you confirm it, Patchbay sends nothing there, and what needs it waits. Confirm only "
                "an address that you know to be the provider's:"
            ),
        ),
        AlertKind.SENDING: (
            _("%(provider)s is paused for %(organization)s"),
            _(
                "Messages of %(organization)s cannot be sent through %(provider)s at the moment:\n\n"
                "%(reason)s\n\n"
                "The messages wait in the queue, and Patchbay sends a single one from time to time. The "
                "others follow when it is accepted, or when you save other credentials:"
            ),
        ),
        AlertKind.ARRIVING: (
            _("Nothing arrives from %(provider)s for %(organization)s"),
            _("%(provider)s cannot be asked for what has arrived for %(organization)s:\n\n%(reason)s"),
        ),
        AlertKind.QUARANTINE: (
            _("Webhook requests of %(organization)s go into quarantine"),
            _("%(reason)s Nothing is lost: see why, repair the cause, and process them again:"),
        ),
        AlertKind.LIMIT: (
            _("%(organization)s comes near its hourly limit"),
            _("%(reason)s What goes beyond it is refused. See who sends so much:"),
        ),
        AlertKind.RECEIVER: (
            _("%(receiver)s gets no more events of %(organization)s"),
            _(
                "%(receiver)s was switched off, since it does not take the events of %(organization)s:\n\n"
                "%(reason)s\n\n"
                "Repair it, switch it on again, and send again what it has missed:"
            ),
        ),
    }[AlertKind(alert.kind)]


def _over(alert: Alert) -> tuple[str, str]:
    return {
        AlertKind.HELD: (
            _("%(provider)s needs no confirmation any more for %(organization)s"),
            _("It was given, or what needed it was withdrawn. The waiting messages are being sent."),
        ),
        AlertKind.SENDING: (
            _("%(provider)s has recovered for %(organization)s"),
            _("%(provider)s works again. The waiting messages of %(organization)s are being sent."),
        ),
        AlertKind.ARRIVING: (
            _("Messages arrive again from %(provider)s for %(organization)s"),
            _("%(provider)s can be asked again for what has arrived for %(organization)s."),
        ),
        AlertKind.QUARANTINE: (
            _("The quarantine of %(organization)s grows no more"),
            _("Few requests went into quarantine within the last hour. Those that did are still there:"),
        ),
        AlertKind.LIMIT: (
            _("%(organization)s is well below its hourly limit again"),
            _("Its messages are accepted as always."),
        ),
        AlertKind.RECEIVER: (
            _("%(receiver)s gets the events of %(organization)s again"),
            _("It was switched on again. What it has missed can be sent again:"),
        ),
    }[AlertKind(alert.kind)]


def _choose() -> str:
    url = f"{settings.PUBLIC_URL}{reverse('alerts')}"
    return _("Choose which of these mails you get: %(url)s") % {"url": url}
