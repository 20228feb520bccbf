"""What a user chooses about notices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.models import Message, NoticeChoices, Remark
from portal import mail


class ChoicesForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whether mail is offered depends on whether any can be sent."""

    mail_minutes = forms.TypedChoiceField(
        label=_("After"),
        coerce=int,
        choices=[
            (5, _("5 minutes")),
            (15, _("15 minutes")),
            (30, _("30 minutes")),
            (60, _("an hour")),
            (240, _("4 hours")),
        ],
    )
    mail_hour = forms.TypedChoiceField(
        label=_("At"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)]
    )

    class Meta:
        model = NoticeChoices
        fields = ("shows_text", "sound", "mail", "mail_minutes", "mail_hour")
        widgets = {"mail": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not mail.is_configured():
            for name in ("mail", "mail_minutes", "mail_hour"):
                del self.fields[name]

    def save(self, commit: bool = True) -> NoticeChoices:
        """Texts from before mail was chosen are not mailed; those that wait for a mail go as chosen now."""
        row: NoticeChoices = super().save(commit=False)
        changed = set(self.changed_data)
        if {"mail", "mail_minutes", "mail_hour"} & changed:
            if self.initial.get("mail") == row.Mail.OFF:
                row.mailed_to = Message.objects.aggregate(newest=Max("pk"))["newest"] or 0
                row.remarks_mailed_to = Remark.objects.aggregate(newest=Max("pk"))["newest"] or 0
                changed |= {"mailed_to", "remarks_mailed_to"}
            if row.mail_due_at is not None:
                row.mail_due_at, row.mail_failures = row.next_mail(timezone.now()), 0
                changed |= {"mail_due_at", "mail_failures"}
        # Meanwhile a text may have come, or a mail gone out.
        row.save(update_fields=None if row._state.adding else changed)
        return row
