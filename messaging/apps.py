from django.apps import AppConfig

from portal import dashboard


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Numbers and messages"

    def ready(self) -> None:
        from messaging import overview, worker  # noqa: F401  (connects the worker's signals)

        dashboard.figures.append(overview.figures)
        dashboard.steps.append(overview.steps)
