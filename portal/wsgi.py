"""The WSGI application, for every request, in production as in `serve`."""

import os

import django
from django.db import connection

from portal import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
with startup.in_words():
    django.setup(set_prefix=False)
    startup.check()
    connection.close()

from portal.handlers import Handler

application = Handler()
