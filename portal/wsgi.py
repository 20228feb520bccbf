"""The WSGI application for a web server of its own; `serve` has the same in its process."""

import os

import django
from django.db import connection

from portal import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
with startup.in_words():
    django.setup(set_prefix=False)
    startup.separate_process()
    startup.check()
    connection.close()

from portal.handlers import Handler

application = Handler()
