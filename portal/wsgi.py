"""The WSGI application, for servers with threads: webhooks and programs go to their doors, else to Django."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.handlers.wsgi import get_path_info
from django.core.wsgi import get_wsgi_application
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
_django = get_wsgi_application()

from portal import doors  # noqa: E402 (Django is ready now)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
logger = logging.getLogger(__name__)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request."""
    if not environ.get("PATH_INFO", "").startswith(("/services/", "/api/")):
        return _django(environ, start_response)
    try:
        answer = doors.answer(environ, get_path_info(environ))
    except Exception:
        logger.exception("What came to %r could not be kept.", environ["PATH_INFO"])
        start_response("500 Internal Server Error", list(doors.PLAIN.items()))
        return [doors.NOT_KEPT]
    finally:
        connection.close_if_unusable_or_obsolete()
    if answer is None:
        return _django(environ, start_response)
    start_response(f"{answer.status} {_PHRASES.get(answer.status, 'Unknown')}", list(answer.headers.items()))
    return [answer.body]
