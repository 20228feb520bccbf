"""Webhooks in, files out, and the inbox."""

from django.urls import include, path, re_path

from messaging import views

urlpatterns = [
    re_path(
        r"^services/(?P<service_id>[A-Za-z0-9_-]{1,64})/a(?P<owner>[0-9]{20})(?P<path>/.*)?$",
        views.webhook,
        name="webhook",
    ),
    path("media/<uuid:uuid>/<int:until>/<str:signature>/<str:name>", views.public_media, name="public_media"),
    path("inbox/", include("messaging.inbox.urls")),
]
