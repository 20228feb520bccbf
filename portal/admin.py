"""The admin site of this project: its name, and the pages of this room."""

from importlib import import_module

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _

from portal.administration import audit, invitations, organizations, users

admin.site.site_title = admin.site.site_header = "Patchbay"
admin.site.index_title = _("Overview")

# Roles replace groups, and users manage their own second factor, so these models have no pages.
for module in (
    "django.contrib.auth.admin",
    "allauth.account.admin",
    "allauth.mfa.admin",
    "allauth.socialaccount.admin",
):
    import_module(module)
for model in (Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(model)

__all__ = ["audit", "invitations", "organizations", "users"]
