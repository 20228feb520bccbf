"""Django's settings of the tuned pipeline: connections are kept, and nothing is done that nobody needs."""

from benchmarks.yardsticks.settings import *  # noqa: F403
from benchmarks.yardsticks.settings import DATABASES

ROOT_URLCONF = "benchmarks.yardsticks.tuned"
DATABASES["default"]["CONN_MAX_AGE"] = None
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
