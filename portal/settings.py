"""All settings, read from the environment. docs/reference/settings.md describes each of them."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from celery.schedules import crontab
from cryptography.fernet import Fernet

from messaging.navigation import UNFOLD as UNFOLD
from portal import environment, logs
from portal.identities import settings as identity_settings

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.data_folder()
DATABASE_URL = environment.read("DATABASE_URL")
REDIS_URL = environment.read("REDIS_URL")
DEBUG = environment.read("PATCHBAY_DEBUG") == "true"

# --- Secrets ---
SECRET_KEY = environment.secret(
    "PATCHBAY_SECRET_KEY", lambda: secrets.token_urlsafe(48), required=bool(DATABASE_URL)
)
SECRET_KEY_FALLBACKS = environment.read_list("PATCHBAY_SECRET_KEY_FALLBACKS")
ENCRYPTION_KEYS = environment.secret(
    "PATCHBAY_ENCRYPTION_KEYS", lambda: Fernet.generate_key().decode(), required=bool(DATABASE_URL)
).split(",")

# --- Addresses ---
PUBLIC_URL = environment.read("PATCHBAY_PUBLIC_URL", "http://localhost:8000").rstrip("/")
_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = environment.read_list("PATCHBAY_ALLOWED_HOSTS") or [
    _public.hostname or "",
    "localhost",
    "127.0.0.1",
]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
# Browsers take a cookie of such a name from this host alone, and by TLS alone.
_cookie = "__Host-" if SESSION_COOKIE_SECURE else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_cookie}sessionid", f"{_cookie}csrftoken"
CSRF_FAILURE_VIEW = "portal.views.out_of_date"
CSRF_COOKIE_HTTPONLY = True
TRUSTED_PROXIES = environment.read_number(
    "PATCHBAY_TRUSTED_PROXIES",
    int(environment.read("PATCHBAY_BEHIND_PROXY") == "true"),  # its name until 0.1
)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000 if _public.scheme == "https" else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.read("PATCHBAY_HSTS_SUBDOMAINS") == "true"
# A page that a proxy passes on without TLS is redirected. Health checks come without a proxy; and a webhook
# has already crossed the network, so that a redirect would only lose it.
SECURE_SSL_REDIRECT = TRUSTED_PROXIES > 0 and _public.scheme == "https"
SECURE_SSL_HOST = _public.netloc
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$", r"^services/"]
# Other subdomains, and the list that browsers ship with, are for the owner of the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"

# --- Outgoing connections and uploads ---
PATCHBAY_ALLOWED_ORIGINS = environment.read_list("PATCHBAY_ALLOWED_ORIGINS")
SEND_SLOTS = environment.read_number("PATCHBAY_SEND_SLOTS", 256)
MAX_UPLOAD_BYTES = 25 * 1024 * 1024
MAX_BODY_BYTES = MAX_UPLOAD_BYTES + 1024 * 1024  # with the form around the files
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # a reseller may choose among thousands of organizations
FILE_UPLOAD_PERMISSIONS = 0o600

# --- Quotas and rate limits; 0: none ---
USER_PER_MINUTE = environment.read_number("PATCHBAY_USER_PER_MINUTE", 30)
USER_PER_HOUR = environment.read_number("PATCHBAY_USER_PER_HOUR", 500)
NUMBER_PER_MINUTE = environment.read_number("PATCHBAY_NUMBER_PER_MINUTE", 120)
ORGANIZATION_PER_HOUR = environment.read_number("PATCHBAY_ORGANIZATION_PER_HOUR", 10_000)
API_PER_MINUTE = environment.read_number("PATCHBAY_API_PER_MINUTE", 6_000)

# --- How long webhooks may use cached numbers, integrations and credentials ---
WEBHOOK_CACHE_SECONDS = environment.read_number("PATCHBAY_WEBHOOK_CACHE_SECONDS", 2)

# --- Retries, expiry and circuit breakers, in seconds ---
LEASE_SECONDS = environment.read_number("PATCHBAY_LEASE_SECONDS", 90)
SWEEP_SECONDS = environment.read_number("PATCHBAY_SWEEP_SECONDS", 1)
STOP_SECONDS = environment.read_number("PATCHBAY_STOP_SECONDS", 8)
HEARTBEAT = environment.read("PATCHBAY_HEARTBEAT")
RETRY_SECONDS = environment.read_numbers("PATCHBAY_RETRY_SECONDS", "10 60 300 900 3600 10800 21600")
MESSAGE_EXPIRY = timedelta(seconds=environment.read_number("PATCHBAY_EXPIRY_SECONDS", 24 * 3600))
BREAKER_FAILURES = environment.read_number("PATCHBAY_BREAKER_FAILURES", 20)
BREAKER_SECONDS = environment.read_number("PATCHBAY_BREAKER_SECONDS", 30)
BREAKER_MOST_SECONDS = environment.read_number("PATCHBAY_BREAKER_MOST_SECONDS", 600)

# --- Applications ---
INSTALLED_APPS = [
    "portal",  # first, so that its templates replace those of the libraries
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "portal.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "integrations",
    "messaging",
]
MIDDLEWARE = [
    "portal.middleware.request_id",
    # The classes in portal.middleware are Django's and django-htmx's of the same name, for pages only.
    "portal.middleware.security_headers",
    "portal.middleware.no_store",
    "portal.middleware.known_host",
    "portal.middleware.no_null_characters",
    "portal.middleware.no_trace",
    "portal.middleware.audit_origin",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.middleware.InboxGZipMiddleware",
    "portal.middleware.SessionMiddleware",
    "portal.middleware.LocaleMiddleware",
    "portal.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "portal.middleware.AuthenticationMiddleware",
    "portal.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.HtmxMiddleware",
    "portal.middleware.sign_in_for_fragments",
    "portal.middleware.time_zone",
    "portal.account.sessions.Seen",
    "portal.account.demand.SecondFactorFirst",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.lab_banner",
            ],
        },
    }
]

# --- The API: JSON, API tokens, problem+json ---
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.authentication.PersonalTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["portal.throttling.UserThrottle"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "messaging.api.parsers.OnlyJSON",
    "DEFAULT_PARSER_CLASSES": ["messaging.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "messaging.api.exceptions.handle",
    "LIST_SERIALIZER_ERRORS_AS_DICT": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Patchbay",
    "VERSION": "1",
    "DESCRIPTION": (
        "Send text messages and follow their delivery. An API token acts as its user: it sends through the "
        "user's numbers, within the user's quotas. Users create tokens at /account/tokens/."
    ),
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SERVERS": [{"url": "/api/v1"}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "messaging.api.schema.restrict",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Status": "messaging.api.serializers.STATUSES",
        "ProblemType": "messaging.api.serializers.PROBLEM_TYPES",
        "NumberKind": "messaging.numbers.Kind",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Database: SQLite in the data folder or PostgreSQL ---
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=None, conn_health_checks=True)}
    if DATABASES["default"]["ENGINE"].endswith("postgresql"):
        DATABASES["default"]["ENGINE"] = "portal.database.postgresql"
        DATABASES["default"]["OPTIONS"] = {
            # A connection's statements are prepared at their fifth use: planning takes longer than execution.
            "server_side_binding": True,
            "prepare_threshold": 5,
            # A server that has vanished is noticed within a minute,
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            # and a process that halts inside a transaction is disconnected by the server. What takes
            # milliseconds is not compiled, which would take a tenth of a second.
            "options": "-c idle_in_transaction_session_timeout=15s -c jit=off",
            **DATABASES["default"].get("OPTIONS", {}),  # options in the URL take precedence
        }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(DATA_DIR / "patchbay.sqlite3"),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-2000;",
            },
            "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Broker and cache: in the process or in Redis ---
_IN_REDIS = {"LOCATION": REDIS_URL, "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}}
_IN_PROCESS = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}
CACHES: dict[str, Any] = {"default": _IN_PROCESS, "broker": _IN_PROCESS | {"LOCATION": "broker"}}
if REDIS_URL:
    CACHES = {
        "default": _IN_REDIS | {"BACKEND": "portal.cache.FallbackRedisCache"},
        "broker": _IN_REDIS | {"BACKEND": "portal.cache.PersistentRedisCache"},
    }
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_connect_timeout": 0.2, "health_check_interval": 25} if REDIS_URL else {"polling_interval": 0.01}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = environment.read_number("PATCHBAY_WORKER_THREADS", 8)
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_DB_REUSE_MAX = 10_000
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "clean-up": {"task": "messaging.clean_up", "schedule": crontab(hour="3", minute="17")},
    "review-alerts": {
        "task": "messaging.review_alerts",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    # Each minute; while no worker runs, none is left over from before.
    "expire-held": {"task": "messaging.expire_held", "schedule": crontab(), "options": {"expires": 60}},
}
CELERY_TIMEZONE = "UTC"

# --- Retention, in days, unless an account has its own; 0: for ever ---
MESSAGE_DAYS = environment.read_number("PATCHBAY_MESSAGE_DAYS", 0)
FILE_DAYS = environment.read_number("PATCHBAY_FILE_DAYS", 0)
ATTEMPT_DAYS = environment.read_number("PATCHBAY_ATTEMPT_DAYS", 30)
WEBHOOK_DAYS = environment.read_number("PATCHBAY_WEBHOOK_DAYS", 7)
AUDIT_DAYS = environment.read_number("PATCHBAY_AUDIT_DAYS", 400)

# --- Users ---
AUTH_USER_MODEL = "portal.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": name}
    for name in (
        "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "django.contrib.auth.password_validation.MinimumLengthValidator",
        "django.contrib.auth.password_validation.CommonPasswordValidator",
        "django.contrib.auth.password_validation.NumericPasswordValidator",
        "portal.account.passwords.NotOfKnownWords",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "portal.account.sign_in.Adapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # portal.account.views changes addresses
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_RATE_LIMITS = {"reset_password": "20/10m/ip,5/10m/key"}
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_SESSION_REMEMBER = True
# As a timedelta it counts from the sign-in, not from the last change of the session.
ACCOUNT_SESSION_COOKIE_AGE = timedelta(hours=environment.read_number("PATCHBAY_SESSION_HOURS", 14 * 24))
# After so many hours in which nobody has done anything; 0: never.
IDLE_HOURS = environment.read_number("PATCHBAY_IDLE_HOURS", 7 * 24)
SECOND_FACTOR = environment.read("PATCHBAY_SECOND_FACTOR", "nobody")
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no content in cookies
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # a passkey alone signs in, so it must not be usable by a thief
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = _public.hostname == "localhost"  # where browsers need no TLS
IDENTITY_PROVIDERS = identity_settings.read()
SOCIALACCOUNT_ADAPTER = "integrations.identity.Adapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form may lead to no other site (form-action of the policy)
MFA_FORMS = {
    "add_webauthn": "portal.account.passkeys.AddForm",
    "login_webauthn": "portal.account.passkeys.LoginForm",
    "authenticate_webauthn": "portal.account.passkeys.AuthenticateForm",
    "reauthenticate_webauthn": "portal.account.passkeys.ReauthenticateForm",
}
MFA_ADAPTER = "portal.account.second_factors.Adapter"
# Nobody signs up. And whoever asks for a new password leaves an address that counts as not verified.
MFA_ALLOW_UNVERIFIED_EMAIL = True
EMAIL_HOST = environment.read("EMAIL_HOST")
ACCOUNT_EMAIL_NOTIFICATIONS = bool(EMAIL_HOST)
EMAIL_PORT = environment.read_number("EMAIL_PORT", 25)
EMAIL_HOST_USER = environment.read("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.read("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.read("EMAIL_USE_TLS") == "true"
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.read("EMAIL_FROM", f"Patchbay <patchbay@{_public.hostname}>")
# Where answers to notices arrive, if the mail server hands what comes there to `manage.py receive_mail`.
REPLY_ADDRESS = environment.read("PATCHBAY_REPLY_ADDRESS")

# --- Language, time, files ---
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["portal.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_ROOT = Path(environment.read("PATCHBAY_MEDIA") or DATA_DIR / "media")
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portal.static_files.DigestStorage"},
}
if S3_BUCKET := environment.read("PATCHBAY_MEDIA_S3_BUCKET"):
    STORAGES["default"] = {
        "BACKEND": "portal.media_storage.Bucket",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": environment.read("PATCHBAY_MEDIA_S3_ENDPOINT") or None,
            "region_name": environment.read("PATCHBAY_MEDIA_S3_REGION") or None,
            "access_key": environment.read("PATCHBAY_MEDIA_S3_KEY") or None,
            "secret_key": environment.read("PATCHBAY_MEDIA_S3_SECRET") or None,
        },
    }
WHITENOISE_USE_FINDERS = True

# --- Log, metrics, traces ---
LOG_FORMAT = environment.read("PATCHBAY_LOG_FORMAT") or ("json" if REDIS_URL else "lines")
LOGGING = logs.configuration(LOG_FORMAT, environment.read("PATCHBAY_LOG_LEVEL", "INFO"))
METRICS_TOKEN = environment.read("PATCHBAY_METRICS_TOKEN")
TRACES_ENDPOINT = environment.read("OTEL_EXPORTER_OTLP_ENDPOINT")
