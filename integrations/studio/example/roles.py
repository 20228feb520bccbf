"""The roles that the values of samples can have, in words for people."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.studio.example.meanings import Role
from integrations.studio.example.samples import Kind

ROLES: dict[Kind, dict[Role, str | Promise]] = {
    "request": {
        "to": _("to: the recipient"),
        "from": _("from: our number"),
        "text": _("text of the message"),
        "file": _("file, or its URL"),
        "file_type": _("type of the file"),
        "file_name": _("name of the file"),
        "credential": _("credential: a key or password"),
        "property": _("account id, or another value of the customer"),
        "webhook_url": _("our webhook URL"),
        "reference": _("our id of the message"),
        "constant": _("always the same"),
        "ignore": _("not sent"),
    },
    "response": {
        "messageid": _("message id"),
        "error_code": _("error code"),
        "error_text": _("error text"),
        "credential": _("credential: a key or password"),
        "property": _("account id, or another value of the customer"),
        "constant": _("always the same"),
        "ignore": _("not needed"),
    },
    "webhook": {
        "from": _("from: who wrote"),
        "to": _("to: our number"),
        "text": _("text of the message"),
        "file": _("file, or its URL"),
        "sendername": _("name of who wrote"),
        "messageid": _("message id"),
        "status": _("status"),
        "date": _("date"),
        "error_code": _("error code"),
        "error_text": _("error text"),
        "reference": _("our id of the message"),
        "credential": _("credential: a key or password"),
        "property": _("account id, or another value of the customer"),
        "constant": _("always the same"),
        "ignore": _("not needed"),
    },
}
