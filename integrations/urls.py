"""Logos of services, and consent at those that use OAuth2."""

from django.urls import path

from integrations import consent, views

urlpatterns = [
    path("logos/<int:pk>", views.logo, name="service_logo"),
    path("oauth/connect/<int:organization>/<int:template>/", consent.start, name="oauth_connect"),
    path("oauth/callback", consent.callback, name="oauth_callback"),
]
