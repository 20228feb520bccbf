"""Logos of providers, the JSON Schema of templates, captures, and the redirects of OAuth2."""

from django.urls import path, re_path

from integrations import oauth_views, views
from integrations.studio.captures.views import CaptureView, shared

urlpatterns = [
    path("logos/<int:pk>", views.logo, name="service_logo"),
    path("schemas/template.json", views.template_schema, name="template_schema"),
    path("oauth/connect/<int:organization>/<int:template>/", oauth_views.start, name="oauth_connect"),
    path("oauth/callback", oauth_views.callback, name="oauth_callback"),
    re_path(
        r"^captures/(?P<key>[A-Za-z0-9_-]{43})(?P<path>(?s:/.*)?)\Z",
        CaptureView.as_view(),
        name="capture",
    ),
    path("understood/<str:key>/", shared, name="understood"),
]
