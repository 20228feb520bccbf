"""The pages of people who text."""

from django.urls import path

from messaging.inbox import views

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("new/", views.new, name="inbox_new"),
    path("changes/", views.changes, name="inbox_changes"),
    path("list/", views.conversations, name="inbox_list"),
    path("<int:pk>/", views.conversation, name="conversation"),
    path("<int:pk>/thread/", views.thread, name="inbox_thread"),
    path("messages/<uuid:uuid>/resend/", views.send_again, name="inbox_resend"),
    path("files/<uuid:uuid>", views.file, name="inbox_file"),
]
