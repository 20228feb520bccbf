"""Integrations as the administration monitors them."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.models import Integration


class ServiceHealth(Integration):
    """An integration, as the page Health shows it."""

    class Meta:
        proxy = True
        verbose_name = _("health of an integration")
        verbose_name_plural = _("health")
