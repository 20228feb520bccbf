"""The pages of people who text."""

from django.urls import path

from messaging.inbox import contact_views, new_views, schedule_views, team_views, views, writing_views

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("new/", new_views.new, name="inbox_new"),
    path("new/about/", new_views.new_about, name="inbox_new_about"),
    path("changes/", views.changes, name="inbox_changes"),
    path("list/", views.conversations, name="inbox_list"),
    path("<int:pk>/", views.conversation, name="conversation"),
    path("<int:pk>/thread/", views.thread, name="inbox_thread"),
    path("<int:pk>/team/", team_views.work, name="inbox_team"),
    path("<int:pk>/notes/", team_views.note, name="inbox_note"),
    path("<int:pk>/typing/", team_views.typing, name="inbox_typing"),
    path("<int:pk>/consent/", team_views.consent, name="inbox_consent"),
    path("<int:pk>/contact/", contact_views.contact, name="inbox_contact"),
    path("<int:pk>/block/", contact_views.block, name="inbox_block"),
    path("messages/<uuid:uuid>/resend/", views.send_again, name="inbox_resend"),
    path("messages/<uuid:uuid>/cancel/", schedule_views.cancel, name="inbox_cancel"),
    path("messages/<uuid:uuid>/time/", schedule_views.reschedule, name="inbox_reschedule"),
    path("<int:pk>/draft/", writing_views.draft, name="inbox_draft"),
    path("files/<uuid:uuid>", views.file, name="inbox_file"),
]
