"""The pages of django-allauth that are needed, and Patchbay's own, below /account/."""

from allauth.account import views as allauth
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from portal.account import demand, session_views, views
from portal.identities import views as identity_views

urlpatterns = [
    path("login/", allauth.login, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    # There is no sign-up, but allauth wants to name its URL in mails.
    path("signup/", RedirectView.as_view(pattern_name="account_login"), name="account_signup"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("reauthenticate/", allauth.reauthenticate, name="account_reauthenticate"),
    path("email/", views.change_address, name="account_email"),
    path("email/<str:key>/", views.confirm_address, name="account_confirm_email"),
    path("invitation/<str:key>/", views.accept_invitation, name="invitation"),
    path("password/change/", allauth.password_change, name="account_change_password"),
    path("password/set/", allauth.password_set, name="account_set_password"),
    path("password/reset/", views.reset_password, name="account_reset_password"),
    path("password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        allauth.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("first-run/", views.hide_first_run, name="first_run_hide"),
    path("sessions/", session_views.sessions, name="account_sessions"),
    path(
        "with/cancelled/",
        RedirectView.as_view(pattern_name="account_login"),
        name="socialaccount_login_cancelled",
    ),
    path("with/<slug:provider_id>/", identity_views.login, name="openid_connect_login"),
    path("with/<slug:provider_id>/callback/", identity_views.callback, name="openid_connect_callback"),
    path("second-factor/", demand.page, name="second_factor"),
    path("2fa/", include("allauth.mfa.urls")),
]
