"""Logos of providers, the JSON Schema of templates, and the redirects of OAuth2."""

from django.urls import path

from integrations import oauth_views, views

urlpatterns = [
    path("logos/<int:pk>", views.logo, name="service_logo"),
    path("schemas/template.json", views.template_schema, name="template_schema"),
    path("oauth/connect/<int:organization>/<int:template>/", oauth_views.start, name="oauth_connect"),
    path("oauth/callback", oauth_views.callback, name="oauth_callback"),
]
