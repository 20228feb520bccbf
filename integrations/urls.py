"""Logos of services."""

from django.urls import path

from integrations import views

urlpatterns = [path("logos/<int:pk>", views.logo, name="service_logo")]
