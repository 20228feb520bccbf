"""The WSGI application, for every request, in production as in `serve`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup(set_prefix=False)

from portal.handlers import Handler  # noqa: E402 (Django is ready now)

application = Handler()
