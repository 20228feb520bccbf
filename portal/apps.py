from django.apps import AppConfig
from django.contrib.admin import apps as admin


class PortalConfig(AppConfig):
    name = "portal"
    default = True
    verbose_name = "People"

    def ready(self) -> None:
        from portal import checks, tracing  # noqa: F401  (registers the checks)
        from portal.account import sessions  # noqa: F401  (connects its signals)
        from portal.audit import sign_ins  # noqa: F401  (connects its signals)

        tracing.begin()


class AdministrationConfig(admin.AdminConfig):
    default = False
    default_site = "portal.administration.site.AdministrationSite"
