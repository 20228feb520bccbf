from typing import Any

from django.apps import AppConfig

from integrations.signals import published, publishing
from portal.signals import installing


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations import calls, compared_values

        installing.connect(_install_catalog, dispatch_uid="catalog")
        publishing.connect(_drop_tokens, dispatch_uid="shared tokens")
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


def _drop_tokens(template: Any, revision: Any, **_: Any) -> None:
    from integrations import shared_tokens

    shared_tokens.drop_revised(template.integrations.filter(revision=None), revision)


def _review(template: Any, **_: Any) -> None:
    from integrations import holds, oauth

    oauth.request_missing(template)
    holds.review_template(template)
