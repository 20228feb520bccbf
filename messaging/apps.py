from typing import Any

from django.apps import AppConfig

from integrations.signals import credentials_changed
from portal import dashboard


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Messaging"

    def ready(self) -> None:
        from integrations.models import Integration, PropertyValues, Template
        from messaging import worker  # noqa: F401  (connects the worker's signals)
        from messaging.models import Number
        from messaging.reporting import overview
        from portal import memory
        from portal.models import Account, Organization

        memory.forget_with(Account, Organization, Template, Integration, PropertyValues, Number)

        credentials_changed.connect(_try_again, dispatch_uid="messaging")
        dashboard.parts.append(overview.part)


def _try_again(integration_ids: list[int], **_: Any) -> None:
    from messaging import wake
    from messaging.sending import breaker, queue

    breaker.close(integration_ids)
    queue.hurry(integration_ids)
    wake.after_commit("dispatch")
