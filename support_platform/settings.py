"""
Settings of the support platform: one file, values from the environment.

Without any variable the embedded default runs: SQLite, counters in one process's memory, mails as files, all
under ``var/``. ``ENVIRONMENT=production`` refuses to start until everything that must be yours is named, and with
what is too weak for it. docs/settings.md lists the variables.
"""

import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from . import logs
from .console import contents, look
from .environment import CACHE_URLS, DATABASE_URLS, MAIL_URLS, Environment, is_weak, read_database, read_mail

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

ENVIRONMENT = env.choice("ENVIRONMENT", "local", ("local", "production"))
PRODUCTION = ENVIRONMENT == "production"
if PRODUCTION:
    env.require("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "EMAIL_URL")

VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))


def _local_secret():
    """The embedded default's own key, made once, so that tokens and links survive a restart."""
    path = VAR_DIR / "secret.key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = VAR_DIR / f"secret.key.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            path.hardlink_to(draft)  # two processes starting at once: the first key stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


SECRET_KEY = env.text("SECRET_KEY") or _local_secret()
SECRET_KEY_FALLBACKS = env.texts("SECRET_KEY_FALLBACKS")
# Signs the bearer tokens. Without a key of its own it follows SECRET_KEY, rotation included.
JWT_SIGNING_KEY = env.text("JWT_SIGNING_KEY", SECRET_KEY)
JWT_SIGNING_KEY_FALLBACKS = env.texts(
    "JWT_SIGNING_KEY_FALLBACKS", SECRET_KEY_FALLBACKS if JWT_SIGNING_KEY == SECRET_KEY else ()
)
# What seals the audit trail, and what sealed it before (docs/decisions/0008-audit-chain.md).
AUDIT_KEY = env.text("AUDIT_KEY", SECRET_KEY)
AUDIT_KEY_FALLBACKS = env.texts("AUDIT_KEY_FALLBACKS", SECRET_KEY_FALLBACKS if AUDIT_KEY == SECRET_KEY else ())
DEBUG = env.switch("DEBUG", False)
ALLOWED_HOSTS = env.texts("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])

# Every link in a mail begins with this; a request's Host header never decides it.
PUBLIC_URL = env.address("PUBLIC_URL", "http://127.0.0.1:8000", ("https",) if PRODUCTION else ("http", "https"))
PUBLIC_URL = PUBLIC_URL.rstrip("/")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname
env.refuse(
    not PUBLIC_HOST or PUBLIC_URL.count("/") != 2 or "?" in PUBLIC_URL or "#" in PUBLIC_URL,
    "PUBLIC_URL is a scheme and a host, such as https://support.example, without a path.",
)

if PRODUCTION:
    for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "AUDIT_KEY"):
        key = env.text(name)
        env.refuse(
            key and is_weak(key), f"{name} is too weak: take 50 random characters or more, made for this server alone."
        )
    local_key = VAR_DIR / "secret.key"
    env.refuse(
        local_key.exists() and local_key.read_text().strip() in (SECRET_KEY, JWT_SIGNING_KEY),
        f"SECRET_KEY is the local one of {local_key}; make one for production alone.",
    )
    env.refuse(DEBUG, "DEBUG is on; production shows nothing of its insides.")
    env.refuse("*" in ALLOWED_HOSTS, "ALLOWED_HOSTS holds '*'; name the hosts, or a domain as '.support.example'.")

# How many proxies stand in front of us. Only the last that many entries of X-Forwarded-For are believed.
TRUSTED_PROXY_HOPS = env.number("TRUSTED_PROXY_HOPS", 0, 0, 10)

INSTALLED_APPS = [
    "support_platform",
    "accounts",
    "trading",
    "analytics",
    "unfold.apps.BasicAppConfig",
    "support_platform.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "support_platform.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "support_platform.urls"
WSGI_APPLICATION = "support_platform.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

UNFOLD = look.UNFOLD  # what the console's library asks for

# --- database ---------------------------------------------------------------------------------------------
_database = env.address("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}", DATABASE_URLS, read_database)
DATABASES = {"default": _database}
env.refuse(not _database["NAME"], "DATABASE_URL names no database: postgres://user:password@host:5432/name")
env.refuse(
    PRODUCTION and _database["ENGINE"].endswith("sqlite3"),
    "DATABASE_URL is SQLite, which can lose its last changes with the machine's power; production takes postgres://",
)
# How long a change waits for a row, or on SQLite for the database, that another change holds; then it is 503.
_LOCK_TIMEOUT = env.number("DATABASE_LOCK_TIMEOUT", 5, 1, 3600)
_STATEMENT_TIMEOUT = env.number("DATABASE_STATEMENT_TIMEOUT", 15, 0, 86400)
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        # IMMEDIATE: a transaction takes the write lock when it begins, so nothing it read can change under it.
        "transaction_mode": "IMMEDIATE",
        "timeout": _LOCK_TIMEOUT,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    } | _database.get("OPTIONS", {})
else:
    # Each thread keeps one connection, asked once per request whether it still lives, and made anew when not. No pool:
    # docs/decisions/0010 has the figures.
    _database["CONN_MAX_AGE"] = 600
    _database["CONN_HEALTH_CHECKS"] = True
    _database["OPTIONS"] = {
        "application_name": "support_platform",
        "connect_timeout": 3,
        # Of support_platform/statements.py alone: what Django itself runs is bound by the client and never prepared.
        "prepare_threshold": 0,
        # A host that vanished is noticed after 5 s of silence, not after the hours that TCP would wait.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
        "options": (
            f"-c statement_timeout={_STATEMENT_TIMEOUT}s -c lock_timeout={_LOCK_TIMEOUT}s "
            "-c idle_in_transaction_session_timeout=60s "
            # What is prepared is what one index finds, whatever the values: planned once for all (decision 29).
            # What compiling saves of a statement of ours is less than it takes (decision 25).
            "-c plan_cache_mode=force_generic_plan -c jit=off"
        ),
    } | _database.get("OPTIONS", {})  # what DATABASE_URL says after its "?", such as sslmode=require
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- cache: the counters of the rate limits --------------------------------------------------------------
REDIS_URL = env.address("REDIS_URL", "", CACHE_URLS)
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "support_platform.counters.CounterCache",
            "LOCATION": REDIS_URL,
            # A cache that does not answer holds no request up; REDIS_URL can say otherwise (?socket_timeout=0.5).
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            # LocMem throws entries away past MAX_ENTRIES, and a counter thrown away is a limit exceeded.
            "OPTIONS": {"MAX_ENTRIES": 1_000_000},
        }
    }
WORKERS = env.number("WEB_CONCURRENCY", 1, 1, 1000)
env.refuse(
    WORKERS > 1 and not REDIS_URL,
    f"WEB_CONCURRENCY is {WORKERS}, and each worker would count the rate limits for itself. Set REDIS_URL, or run one"
    " worker with several THREADS.",
)
# django-ratelimit's own check knows neither LocMem within one process nor Django's Redis cache.
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001"]

# --- limits: the one table -----------------------------------------------------------------------------
# bucket -> what it counts by -> rates, "N/s|m|h|d". Each can be set from the environment, for example
# RATE_LIMIT_READ=1200/m or RATE_LIMIT_LOGIN_ADDRESS=10/m,50/h.
RATE_LIMITS = {
    "read": {"staff user": env.rates("RATE_LIMIT_READ", ["600/m"])},
    "write": {"staff user": env.rates("RATE_LIMIT_WRITE", ["120/m"])},
    "analytics": {"staff user": env.rates("RATE_LIMIT_ANALYTICS", ["120/m"])},
    "login": {
        "address": env.rates("RATE_LIMIT_LOGIN_ADDRESS", ["10/m", "50/h"]),
        "e-mail": env.rates("RATE_LIMIT_LOGIN_EMAIL", ["5/m"]),
    },
    # A code after the right password; besides, each wrong one in a row doubles the wait for the next.
    "second_factor": {"staff user": env.rates("RATE_LIMIT_SECOND_FACTOR", ["5/m", "30/h"])},
    "reset": {"target trader": env.rates("RATE_LIMIT_RESET", ["3/m", "20/d"])},
}

# --- accounts ------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_LIFETIME = timedelta(seconds=env.number("PASSWORD_RESET_SECONDS", 3600, 60, 7 * 24 * 3600))
EMAIL_CONFIRMATION_LIFETIME = timedelta(
    seconds=env.number("EMAIL_CONFIRMATION_SECONDS", 3 * 24 * 3600, 60, 30 * 24 * 3600)
)
AUDIT_REASON_REQUIRED = env.switch("AUDIT_REASON_REQUIRED", False)
# "required": whoever has no second factor sets one up before the console shows them anything else.
CONSOLE_SECOND_FACTOR = env.choice("CONSOLE_SECOND_FACTOR", "optional", ("optional", "required"))

# Imports run one way (accounts <- trading <- analytics). The places where a lower app needs a higher one are named
# here: what a trader's deactivation does with deployments, what a correction's impact is measured with, and what
# undoes which change.
DEPLOYMENT_TREATMENT = "trading.deployments.treat_deployments"
DEPLOYMENT_FIGURES = "analytics.queries.DeploymentFigures"
AUDIT_INVERSES = ("accounts.inverses.INVERSES", "trading.inverses.INVERSES")

CONSOLE_PANELS = contents.PANELS
CONSOLE_LATER_PANELS = contents.LATER_PANELS
CONSOLE_MATTERS = contents.MATTERS

LOGIN_URL = "admin:login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "accounts.pages.csrf_failure"

# --- API ----------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["support_platform.permissions.HasRight"],
    "DEFAULT_THROTTLE_CLASSES": ["support_platform.throttling.CallerThrottle"],
    "DEFAULT_PARSER_CLASSES": ["support_platform.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["support_platform.renderers.FastRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "support_platform.parsers.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "support_platform.pagination.KeysetPagination",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "support_platform.exceptions.problem_handler",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": 0,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Support platform API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "DESCRIPTION": (
        "What support may see and do for the traders of a broker.\n\n"
        "Get a token with `POST /api/v1/auth/token/` and send it as `Authorization: Bearer <access>`. JSON in and out, "
        "UTF-8. Money, prices and quantities are decimal strings, exact; ratios, percentages, basis points and "
        "milliseconds are numbers; instants are RFC 3339 in UTC. Members and parameters that a call does not name are "
        "refused, not ignored. Every error is `application/problem+json`. A write with `dry_run=true` answers what it "
        "would do and keeps nothing."
    ),
    "SERVERS": [{"url": "/"}],
    "TAGS": [
        {"name": "Accounts", "description": "Traders: contact, password, status."},
        {"name": "Trading", "description": "Strategies, deployments, trades and scanners of traders."},
        {"name": "Analytics", "description": "Latency, slippage and performance, each for one scope."},
        {"name": "Audit", "description": "Who changed what, when and why."},
        {"name": "Access", "description": "Tokens, limits and this document."},
    ],
    "POSTPROCESSING_HOOKS": ["support_platform.openapi.hooks.finish"],
    "SORT_OPERATIONS": False,  # as in urls.py
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Everything from our own server: without the null Swagger UI sends the document's address to a validator.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "displayOperationId": True,
        "docExpansion": "list",
        "filter": True,
        "validatorUrl": None,
    },
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ALGORITHM": "HS256",
    "UPDATE_LAST_LOGIN": False,
}

MAX_BODY_BYTES = 256 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # the console's forms; /api/ takes MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000  # a list of 1,000 rows, each with its box ticked
DATA_UPLOAD_MAX_NUMBER_FILES = 0  # no form takes one

# --- mail ---------------------------------------------------------------------------------------------
vars().update(env.address("EMAIL_URL", f"filemail:///{VAR_DIR / 'mail'}", MAIL_URLS, read_mail))
if EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":  # noqa: F821  of EMAIL_URL
    EMAIL_BACKEND = "accounts.smtp.EmailBackend"
env.refuse(
    PRODUCTION and env.text("EMAIL_URL").startswith("consolemail"),
    "EMAIL_URL is consolemail://, which writes the mailed links into the log; production takes smtp+tls://host:587",
)
# Each wait for the mail server. One that takes a mail later than that gets it again: RFC 5321 asks for patience.
EMAIL_TIMEOUT = env.number("EMAIL_TIMEOUT", 10, 1, 600)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"support@{PUBLIC_HOST if PRODUCTION else 'localhost'}")
# Who talks to the mail server: a thread in the server, or (False) the request itself and then `manage.py send_mails`.
MAIL_RETRY_IN_SERVER = env.switch("MAIL_RETRY_IN_SERVER", True)
# A mail that the server itself refuses is tried for so long; while no server is there, nothing is given up.
MAIL_GIVE_UP = timedelta(hours=env.number("MAIL_GIVE_UP_HOURS", 72, 0, 24 * 365))
# How long what is over can still be looked at: mails sent or dropped, API sessions ended.
PURGE_AFTER = timedelta(days=env.number("PURGE_AFTER_DAYS", 30, 0, 36500))

# --- the rest -----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
# The embedded default serves the files from where the packages have them; production from `collectstatic`.
STATIC_ROOT = str(VAR_DIR / "static") if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
_ssl_redirect = env.switch("SECURE_SSL_REDIRECT", True)
_hsts_seconds = env.number("SECURE_HSTS_SECONDS", 365 * 24 * 3600, 0, 10 * 365 * 24 * 3600)
if PRODUCTION:
    SECURE_SSL_REDIRECT = _ssl_redirect
    SECURE_REDIRECT_EXEMPT = [r"^health/"]
    SECURE_HSTS_SECONDS = _hsts_seconds
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # A browser takes a cookie of such a name only from this very host, over TLS, for every path.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    if TRUSTED_PROXY_HOPS:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- serving and logs: what gunicorn.conf.py takes ------------------------------------------------------------
HOST = env.text("HOST", "127.0.0.1")
PORT = env.number("PORT", 8000, 1, 65535)
THREADS = env.number("THREADS", 8, 1, 1000)

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT = env.choice("LOG_FORMAT", "json" if PRODUCTION else "line", ("json", "line"))
LOGGING = logs.configuration(LOG_FORMAT, LOG_LEVEL)

env.check()
