"""The WSGI application: every request, in production and in `serve`, comes in here."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup(set_prefix=False)

from portal.handlers import Handler  # noqa: E402 (Django is ready now)

application = Handler()
