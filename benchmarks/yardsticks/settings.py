"""Django's settings of the naive pipeline: whatever can be left at its default is."""

import os

import dj_database_url

SECRET_KEY = "measured-and-thrown-away"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.yardsticks.naive"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "benchmarks.yardsticks",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
