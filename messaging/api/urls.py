"""What programs ask for."""

from django.urls import path, re_path

from messaging.api import views

urlpatterns = [
    path("v1/messages", views.send),
    path("v1/messages/<uuid:uuid>", views.message),
    path("v1/openapi.json", views.description, name="openapi"),
    re_path(r"", views.nothing),
]
