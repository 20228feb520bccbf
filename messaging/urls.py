"""Webhooks in, files out, the API, and the pages of people who text."""

from django.urls import include, path, re_path

from messaging import monitoring, views
from messaging.alerts.pages import alerts
from messaging.api import pages
from messaging.inbox import writing_views
from messaging.notices import phone_app
from messaging.notices import views as notices
from messaging.webhooks.views import WebhookView

urlpatterns = [
    path("readyz", monitoring.readyz, name="readyz"),
    path("metrics", monitoring.metrics, name="metrics"),
    re_path(
        r"^services/(?P<service_id>[A-Za-z0-9_-]{1,64})/a(?P<owner>[0-9]{20})(?P<path>(?s:/.*)?)\Z",
        WebhookView.as_view(),
        name="webhook",
    ),
    path("media/<uuid:uuid>/<int:until>/<str:signature>/<str:name>", views.public_media, name="public_media"),
    path("account/alerts/", alerts, name="alerts"),
    path("account/writing/", writing_views.choices, name="writing"),
    path("account/writing/replies/", writing_views.reply, name="writing_new_reply"),
    path("account/writing/replies/<int:pk>/", writing_views.reply, name="writing_reply"),
    path("account/tokens/", pages.programs, name="programs"),
    path("account/tokens/<int:pk>/revoke/", pages.revoke, name="programs_revoke"),
    path("account/notifications/", include("messaging.notices.urls")),
    path("app/manifest.webmanifest", phone_app.manifest, name="manifest"),
    path("app/worker.js", phone_app.service_worker, name="service_worker"),
    path("app/offline/", phone_app.offline, name="offline"),
    path("inbox/news/", notices.news, name="news"),
    path("api/", include("messaging.api.urls")),
    path("inbox/", include("messaging.inbox.urls")),
]
