"""The WSGI application, for any server: webhooks and programs go to their doors, all else takes Django's way.

Django's request, middleware and signals take longer than the rest of such an answer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
_django = get_wsgi_application()

from portal.middleware import DOORS  # noqa: E402 (Django is ready now)

_doors = [import_string(door) for door in DOORS]
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
logger = logging.getLogger(__name__)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request."""
    if not environ.get("PATH_INFO", "").startswith(("/services/", "/api/")):
        return _django(environ, start_response)
    try:
        answer = next((found for door in _doors if (found := door(environ)) is not None), None)
    except Exception:
        logger.exception("What came to %r could not be kept.", environ["PATH_INFO"])
        start_response("500 Internal Server Error", [("content-type", "text/plain")])
        return [b"This could not be kept. Please send it again.\n"]
    finally:
        connection.close_if_unusable_or_obsolete()
    if answer is None:
        return _django(environ, start_response)
    start_response(f"{answer.status} {_PHRASES.get(answer.status, 'Unknown')}", list(answer.headers.items()))
    return [answer.body]
