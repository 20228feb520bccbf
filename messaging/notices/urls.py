"""The page about notices."""

from django.urls import path

from messaging.notices import views

urlpatterns = [
    path("", views.notifications, name="notifications"),
    path("devices/", views.add_device, name="notices_add_device"),
    path("devices/<int:pk>/remove/", views.remove_device, name="notices_remove_device"),
    path("test/", views.send_test, name="notices_test"),
]
