"""Integrations as the administration watches them."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.models import Integration


class ServiceHealth(Integration):
    """An integration, seen by what it sends and receives."""

    class Meta:
        proxy = True
        verbose_name = _("health of an integration")
        verbose_name_plural = _("health")
