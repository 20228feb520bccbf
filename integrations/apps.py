from typing import Any

from django.apps import AppConfig

from portal.signals import installing


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations import compared_values

        installing.connect(_install_catalog, dispatch_uid="catalog")
        compared_values.connect()


def _install_catalog(**_: Any) -> None:
    from integrations import catalog

    catalog.install()
