"""The roles that the values of samples can have, in words for people."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.studio.example.meanings import Role
from integrations.studio.example.samples import Kind

ROLES: dict[Kind, dict[Role, str | Promise]] = {
    "request": {
        "to": _("to: recipient"),
        "from": _("from: our number"),
        "text": _("text"),
        "file": _("file or its URL"),
        "file_type": _("file type"),
        "file_name": _("file name"),
        "credential": _("credential"),
        "property": _("account id or the like"),
        "webhook_url": _("our webhook URL"),
        "reference": _("our id"),
        "constant": _("always the same"),
        "ignore": _("not sent"),
    },
    "response": {
        "messageid": _("message id"),
        "error_code": _("error code"),
        "error_text": _("error text"),
        "credential": _("credential"),
        "property": _("account id or the like"),
        "constant": _("always the same"),
        "ignore": _("not needed"),
    },
    "webhook": {
        "from": _("from: who wrote it"),
        "to": _("to: our number"),
        "text": _("text"),
        "file": _("file or its URL"),
        "sendername": _("name of sender"),
        "messageid": _("message id"),
        "status": _("status"),
        "date": _("date"),
        "error_code": _("error code"),
        "error_text": _("error text"),
        "reference": _("our id"),
        "credential": _("credential"),
        "property": _("account id or the like"),
        "constant": _("always the same"),
        "ignore": _("not needed"),
    },
}
