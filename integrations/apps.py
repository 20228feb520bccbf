from typing import Any

from django.apps import AppConfig

from integrations.signals import published
from portal.signals import installing


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations import calls, compared_values

        installing.connect(_install_catalog, dispatch_uid="catalog")
        published.connect(_review, dispatch_uid="holds")
        compared_values.connect()
        calls.connect()


def _install_catalog(**_: Any) -> None:
    from integrations import calls, catalog, compared_values, holds
    from integrations.models import Integration

    holds.adopt()  # by the documents in use, before they change
    compared_values.adopt()
    catalog.install()
    calls.plan(Integration.objects.all())  # the public URL may be another one now


def _review(template: Any, **_: Any) -> None:
    from integrations import holds, oauth

    oauth.request_missing(template)
    holds.review_template(template)
