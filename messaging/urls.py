"""Files out, and the pages of people who text; webhooks and programs have doors (`portal.middleware`)."""

from django.urls import include, path

from messaging import views
from messaging.api import pages

urlpatterns = [
    path("media/<uuid:uuid>/<int:until>/<str:signature>/<str:name>", views.public_media, name="public_media"),
    path("account/tokens/", pages.programs, name="programs"),
    path("account/tokens/<int:pk>/revoke/", pages.revoke, name="programs_revoke"),
    path("inbox/", include("messaging.inbox.urls")),
]
