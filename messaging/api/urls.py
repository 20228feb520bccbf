"""Addresses of the REST API, below /api/."""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from messaging.api.schema import DescriptionView, DocumentationView
from messaging.api.views import MessageViewSet, NotFoundView, NumberViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("messages", MessageViewSet, basename="messages")
router.register("numbers", NumberViewSet, basename="numbers")

urlpatterns = [
    path("v1/", include(router.urls)),
    path("v1/openapi.json", DescriptionView.as_view(), name="api_description"),
    path("v1/docs", DocumentationView.as_view(), name="api_docs"),
    re_path("", NotFoundView.as_view()),
]
