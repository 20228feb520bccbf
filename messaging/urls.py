"""Files out, the pages of people who text, and the REST API; webhooks have a door (`portal.middleware`)."""

from django.urls import include, path

from messaging import views
from messaging.api import pages

urlpatterns = [
    path("media/<uuid:uuid>/<int:until>/<str:signature>/<str:name>", views.public_media, name="public_media"),
    path("account/tokens/", pages.programs, name="programs"),
    path("account/tokens/<int:pk>/revoke/", pages.revoke, name="programs_revoke"),
    path("api/", include("messaging.api.urls")),
    path("inbox/", include("messaging.inbox.urls")),
]
