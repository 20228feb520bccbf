from typing import Any

from django.apps import AppConfig

from integrations.signals import published
from portal.signals import installing


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations import compared_values

        installing.connect(_install_catalog, dispatch_uid="catalog")
        published.connect(_review, dispatch_uid="holds")
        compared_values.connect()


def _install_catalog(**_: Any) -> None:
    from integrations import catalog, compared_values, holds

    holds.adopt()  # by the documents in use, before they change
    compared_values.adopt()
    catalog.install()


def _review(template: Any, **_: Any) -> None:
    from integrations import holds, oauth

    oauth.request_missing(template)
    holds.review_template(template)
