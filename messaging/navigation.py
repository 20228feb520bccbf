"""The menu, names and colours of the administration, as settings of django-unfold."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext_lazy as _


def _entry(
    title: Any,
    icon: str,
    model: str,
    *,
    operators_only: bool = False,
    accounts_only: bool = False,
    **more: Any,
) -> dict[str, Any]:
    def may(request: Any) -> bool:
        if operators_only or accounts_only:
            return bool(request.user.is_operator or (accounts_only and request.user.administered_accounts))
        return bool(request.user.is_staff)

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model}_changelist"),
        "permission": may,
        **more,
    }


def _quarantine(request: Any) -> bool:
    """Whether the page is the quarantine, which is a filter of the list of webhook requests."""
    return "quarantine=yes" in request.META.get("QUERY_STRING", "")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Patchbay",
    "SITE_HEADER": "Patchbay",
    "SITE_SUBHEADER": _("SMS and MMS integrations"),
    "SITE_SYMBOL": "cable",
    "SITE_URL": "/inbox/",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "messaging.reporting.overview.dashboard",
    "ENVIRONMENT": "portal.context.admin_label",
    "STYLES": [lambda request: static("portal/admin.css")],
    "SCRIPTS": [lambda request: static("portal/names.js"), lambda request: static("portal/search.js")],
    "COLORS": {
        # The greys of the inbox, which portal.css names.
        "base": {
            "50": "248 250 250",
            "100": "244 246 246",
            "200": "221 227 227",
            "300": "200 210 208",
            "400": "155 170 167",
            "500": "92 107 104",
            "600": "74 88 85",
            "700": "51 64 62",
            "800": "43 55 53",
            "900": "16 22 21",
            "950": "10 14 13",
        },
        "primary": {
            "50": "240 253 250",
            "100": "204 251 241",
            "200": "153 246 228",
            "300": "94 234 212",
            "400": "45 212 191",
            "500": "20 184 166",
            "600": "15 118 110",  # its white letters need a contrast of 4.5
            "700": "17 94 89",
            "800": "19 78 74",
            "900": "13 62 58",
            "950": "4 47 46",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": _("Overview"), "icon": "dashboard", "link": reverse_lazy("admin:index")},
                    {"title": _("Inbox"), "icon": "forum", "link": reverse_lazy("inbox")},
                ]
            },
            {
                "title": _("People"),
                "items": [
                    _entry(_("Accounts"), "storefront", "portal_account", accounts_only=True),
                    _entry(_("Organizations"), "apartment", "portal_organization"),
                    _entry(_("Users"), "group", "portal_user"),
                    _entry(_("Invitations"), "mail", "portal_invitation"),
                    _entry(_("API tokens"), "key", "portal_personaltoken"),
                ],
            },
            {
                "title": _("Integrations"),
                "items": [
                    _entry(_("Integrations"), "hub", "integrations_integration"),
                    _entry(_("Templates"), "data_object", "integrations_template", accounts_only=True),
                    _entry(_("Event receivers"), "outbound", "messaging_receiver"),
                ],
            },
            {
                "title": _("Messaging"),
                "items": [
                    _entry(_("Numbers"), "dialpad", "messaging_number"),
                    _entry(_("Contacts"), "contacts", "messaging_contact"),
                    _entry(_("Opt-outs"), "block", "messaging_optout"),
                    _entry(_("Messages"), "sms", "messaging_message"),
                    _entry(_("Erasures"), "ink_eraser", "messaging_erasure"),
                ],
            },
            {
                "title": _("Monitoring"),
                "items": [
                    _entry(_("Health"), "monitor_heart", "messaging_servicehealth"),
                    _entry(_("Delivery attempts"), "call_made", "messaging_deliveryattempt"),
                    _entry(
                        _("Webhooks"),
                        "webhook",
                        "messaging_webhookrequest",
                        active=lambda request: (
                            "/webhookrequest/" in request.path and not _quarantine(request)
                        ),
                    ),
                    _entry(
                        _("Quarantine"),
                        "move_to_inbox",
                        "messaging_webhookrequest",
                        link=lambda request: (
                            reverse("admin:messaging_webhookrequest_changelist") + "?quarantine=yes"
                        ),
                        active=_quarantine,
                        badge="messaging.inbound.quarantine.badge",
                    ),
                    _entry(_("Audit"), "history", "portal_auditentry"),
                    _entry(_("Imports and exports"), "swap_vert", "messaging_transfer"),
                ],
            },
        ]
    },
}
