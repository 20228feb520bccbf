"""The WSGI application for a web server of its own; `serve` has the same in its process."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup(set_prefix=False)

from portal import checks  # noqa: E402 (Django is ready now)
from portal.handlers import Handler  # noqa: E402

checks.separate_process()
application = Handler()
