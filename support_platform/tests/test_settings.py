"""What the environment says, read by a process of its own: what must not start does not, and says why."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("ENVIRONMENT", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "PUBLIC_URL", "EMAIL_URL", "DEBUG")
OURS += ("AUDIT_KEY", "AUDIT_KEY_FALLBACKS")
OURS += ("DJANGO_ALLOW_ASYNC_UNSAFE",)  # of a browser's tests, which may have run before in this process
WEAK = "is too weak: take 50 random characters or more, made for this server alone."
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k8-Vq2" * 12,
    "ALLOWED_HOSTS": "support.demo.example",
    "DATABASE_URL": "postgres://app@db.demo.example:5432/app",
    "REDIS_URL": "redis://cache.demo.example:6379/0",
    "PUBLIC_URL": "https://support.demo.example",
    "EMAIL_URL": "smtp+tls://mail.demo.example:587",
}


@pytest.fixture
def run(tmp_path):
    """Run this project's Python with these variables and no others of ours."""

    def run_python(*arguments, **variables):
        inherited = {name: value for name, value in os.environ.items() if name not in OURS and "RATE_LIMIT" not in name}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**inherited, "VAR_DIR": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run_python


@pytest.fixture
def check(run):
    return lambda *options, **variables: run("manage.py", "check", *options, **variables)


@pytest.fixture
def values(run):
    """The settings of these names, as JSON tells them."""

    def read(*names, **variables):
        code = (
            f"import json; from support_platform import settings as s; print(json.dumps([vars(s)[n] for n in {names}]))"
        )
        done = run("-c", code, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read


@pytest.fixture
def complaint(run):
    """The last line said by settings that do not load."""

    def read(**variables):
        done = run("-c", "import support_platform.settings", **variables)
        assert done.returncode != 0
        return done.stderr.strip().splitlines()[-1]

    return read


def test_the_embedded_default_needs_no_variable(check, tmp_path):
    done = check()

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_local_key_survives_a_restart(values):
    first, second = values("SECRET_KEY"), values("SECRET_KEY")

    assert first == second
    assert len(first[0]) >= 50


def test_production_names_everything_it_misses(complaint):
    message = complaint(ENVIRONMENT="production")

    assert all(name in message for name in PRODUCTION if name != "ENVIRONMENT"), message


@pytest.mark.parametrize("name", [name for name in PRODUCTION if name != "ENVIRONMENT"])
@pytest.mark.parametrize("value", ["", None])
def test_production_misses_each_by_name(complaint, name, value):
    given = {key: text for key, text in (PRODUCTION | {name: value}).items() if text is not None}

    assert complaint(**given).endswith(f"ENVIRONMENT=production needs these variables: {name}.")


def test_production_is_clean_in_djangos_own_eyes(check):
    done = check("--deploy", "--fail-level", "WARNING", **PRODUCTION, AUDIT_KEY="t7-Rw4" * 12)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_production_is_asked_for_a_key_of_the_audit_trails_own(check):
    done = check("--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert done.returncode != 0
    assert "support_platform.W001" in done.stderr


def test_the_audit_trails_keys(values):
    names = ("AUDIT_KEY", "AUDIT_KEY_FALLBACKS")

    assert values(*names, **PRODUCTION) == [PRODUCTION["SECRET_KEY"], []]
    assert values(*names, AUDIT_KEY="new", AUDIT_KEY_FALLBACKS="old,older") == ["new", ["old", "older"]]


def test_production_is_closed(values):
    names = ("DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")

    assert values(*names, **PRODUCTION) == [False, True, True, True, 31536000]


@pytest.mark.parametrize("value", ["junk", "Production", "staging", "PRODUCTION", ""])
def test_an_unknown_environment_does_not_start(complaint, value):
    assert complaint(ENVIRONMENT=value).endswith(f"ENVIRONMENT is {value!r}; it must be 'local' or 'production'.")


def started_with(tmp_path, **variables):
    """The lines said by settings that do not load, or [] when they do. Without a process for each."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS and "RATE_LIMIT" not in name}
    given = {**inherited, "VAR_DIR": str(tmp_path), **variables}
    spec = find_spec("support_platform.settings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", given)
        try:
            spec.loader.exec_module(module_from_spec(spec))
        except ImproperlyConfigured as error:
            return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", "short", f"SECRET_KEY {WEAK}"),
        ("SECRET_KEY", "ab" * 40, f"SECRET_KEY {WEAK}"),
        ("SECRET_KEY", "django-insecure-" + "k8-Vq2" * 12, f"SECRET_KEY {WEAK}"),
        ("JWT_SIGNING_KEY", "short", f"JWT_SIGNING_KEY {WEAK}"),
        ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS holds '*'; name the hosts, or a domain as '.support.example'."),
        ("ALLOWED_HOSTS", "support.demo.example, *", "ALLOWED_HOSTS holds '*'; name the hosts"),
        ("DEBUG", "true", "DEBUG is on; production shows nothing of its insides."),
        ("PUBLIC_URL", "http://support.demo.example", "PUBLIC_URL cannot be read. It begins with one of https://"),
        ("PUBLIC_URL", "support.demo.example", "PUBLIC_URL cannot be read. It begins with one of https://"),
        ("PUBLIC_URL", "https://support.demo.example/app", "PUBLIC_URL is a scheme and a host"),
        ("PUBLIC_URL", "https://support.demo.example?a=1", "PUBLIC_URL is a scheme and a host"),
        ("PUBLIC_URL", "https://", "PUBLIC_URL is a scheme and a host"),
        ("DATABASE_URL", "sqlite:////srv/db.sqlite3", "DATABASE_URL is SQLite, which can lose its last changes"),
        ("EMAIL_URL", "consolemail://", "EMAIL_URL is consolemail://, which writes the mailed links into the log"),
    ],
)
def test_what_is_too_weak_for_production_does_not_start_there(tmp_path, name, value, said):
    lines = started_with(tmp_path, **{**PRODUCTION, name: value})

    assert len(lines) == 1, lines
    assert lines[0].startswith(said)


def test_the_local_key_is_not_productions(tmp_path):
    (tmp_path / "secret.key").write_text(PRODUCTION["SECRET_KEY"])

    [line] = started_with(tmp_path, **PRODUCTION)

    assert line.startswith("SECRET_KEY is the local one of ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(
            (name, value, f"{name} is {value!r}; it must be 'true' or 'false'.")
            for name in ("DEBUG", "AUDIT_REASON_REQUIRED", "MAIL_RETRY_IN_SERVER", "SECURE_SSL_REDIRECT")
            for value in ("ture", "", "2")
        ),
        *(
            (name, value, f"{name} is {value!r}; it must be a whole number from ")
            for name, values in {
                "WEB_CONCURRENCY": ("0", "abc", "-1", "1.5", ""),
                "THREADS": ("0", "eight"),
                "PORT": ("0", "65536", "http"),
                "TRUSTED_PROXY_HOPS": ("x", "-1", "11", "\u0663"),
                "DATABASE_LOCK_TIMEOUT": ("0", "many"),
                "DATABASE_STATEMENT_TIMEOUT": ("-1",),
                "PURGE_AFTER_DAYS": ("-1",),
                "MAIL_GIVE_UP_HOURS": ("3d",),
                "EMAIL_TIMEOUT": ("0",),
                "PASSWORD_RESET_SECONDS": ("59", "1h", "9" * 30),
                "EMAIL_CONFIRMATION_SECONDS": ("-5",),
                "SECURE_HSTS_SECONDS": ("forever",),
            }.items()
            for value in values
        ),
        *(
            (name, value, f"{name}: {value.split(',')[-1]!r} is not a rate; write COUNT/s, /m, /h or /d")
            for name in ("RATE_LIMIT_READ", "RATE_LIMIT_LOGIN_ADDRESS", "RATE_LIMIT_RESET")
            for value in ("abc", "", "0/m", "10/m,5/w", "9999999999/m")
        ),
        ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml'; it must be 'json' or 'line'."),
        ("LOG_LEVEL", "debug", "LOG_LEVEL is 'debug'; it must be 'DEBUG' or 'INFO'"),
        (
            "DATABASE_URL",
            "mysql://app:hunter2@db/app",
            "DATABASE_URL cannot be read. It begins with one of postgres://",
        ),
        ("DATABASE_URL", "postgres://app:hunter2@db:port/app", "DATABASE_URL cannot be read."),
        ("DATABASE_URL", "postgres://app:hunter2@db", "DATABASE_URL names no database"),
        ("REDIS_URL", "cache.demo.example:6379", "REDIS_URL cannot be read. It begins with one of redis://"),
        ("REDIS_URL", "redis://:hunter2@cache:port/0", "REDIS_URL cannot be read."),
        ("EMAIL_URL", "mail.demo.example", "EMAIL_URL cannot be read. It begins with one of smtp://"),
        ("EMAIL_URL", "smtp://u:hunter2@mail:99999", "EMAIL_URL cannot be read."),
        ("EMAIL_URL", "memorymail://", "EMAIL_URL cannot be read."),
        ("RATE_LIMIT_LOGIN", "5/m", "RATE_LIMIT_LOGIN is not a setting; RATE_LIMIT_LOGIN_EMAIL is."),
        ("TRUSTED_PROXY_HOP", "1", "TRUSTED_PROXY_HOP is not a setting; TRUSTED_PROXY_HOPS is."),
        ("SECRET_KEY_FALLBACK", "k", "SECRET_KEY_FALLBACK is not a setting; SECRET_KEY_FALLBACKS is."),
    ],
)
def test_what_cannot_be_understood_is_named_and_does_not_start(tmp_path, name, value, said):
    lines = started_with(tmp_path, **{name: value})

    assert len(lines) == 1, lines
    assert lines[0].startswith(said)
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("DEBUG", value) for value in ("true", "False", "1", "off")),
        *(("DATABASE_URL", value) for value in ("sqlite://:memory:", "postgresql://db/app", "postgres:///app")),
        ("REDIS_URL", "rediss://:p%40ss@cache:6380/3"),
        ("EMAIL_URL", "smtp+tls://u:p%40ss@mail:587"),
        ("PUBLIC_URL", "http://127.0.0.1:8001/"),
        ("RATE_LIMIT_RESET", "3/5m, 20/d"),
        ("SECRET_KEY", "short will do on one's own machine"),
    ],
)
def test_what_can_be_understood_starts(tmp_path, name, value):
    assert started_with(tmp_path, **{name: value}) == []


def test_every_variable_is_documented():
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "support_platform/settings.py").read_text()))

    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
    assert len(read) > 25
    assert read - documented == set()


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    lines = started_with(tmp_path, ENVIRONMENT="prod", PORT="x", RATE_LIMIT_READ="y")

    assert [line.split()[0] for line in lines] == ["ENVIRONMENT", "RATE_LIMIT_READ:", "PORT"]


@pytest.mark.parametrize(
    "command",
    [("manage.py", "migrate"), ("-m", "gunicorn", "--config", "gunicorn.conf.py", "support_platform.wsgi")],
    ids=["manage.py", "gunicorn"],
)
def test_neither_the_commands_nor_the_server_show_a_traceback(run, command):
    missing = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}

    told = [run(*command, **missing), run(*command, ENVIRONMENT="prod", PORT="x")]

    assert [done.returncode for done in told] == [1, 1]
    assert told[0].stderr == "error: ENVIRONMENT=production needs these variables: SECRET_KEY.\n"
    assert told[1].stderr.splitlines() == [
        "error: ENVIRONMENT is 'prod'; it must be 'local' or 'production'.",
        "error: PORT is 'x'; it must be a whole number from 1 to 65535.",
    ]


def test_several_workers_need_a_shared_cache(tmp_path):
    [line] = started_with(tmp_path, WEB_CONCURRENCY="2")

    assert line.startswith("WEB_CONCURRENCY is 2, and each worker would count the rate limits for itself.")
    assert started_with(tmp_path, WEB_CONCURRENCY="2", REDIS_URL="redis://cache.demo.example:6379/0") == []


@pytest.mark.parametrize(
    ("name", "value", "warning"),
    [
        ("PUBLIC_URL", "https://elsewhere.demo.example", "support_platform.W002"),
        ("EMAIL_URL", "filemail:////srv/mails", "support_platform.W003"),
    ],
)
def test_what_may_be_meant_is_a_warning_of_the_deployment_check(check, name, value, warning):
    done = check("--deploy", "--fail-level", "WARNING", AUDIT_KEY="t7-Rw4" * 12, **{**PRODUCTION, name: value})

    assert done.returncode == 1
    assert "1 issue (0 silenced)" in done.stderr
    assert warning in done.stderr


def test_mails_come_from_the_public_host(values):
    assert values("DEFAULT_FROM_EMAIL", **PRODUCTION) == ["support@support.demo.example"]
    assert values("DEFAULT_FROM_EMAIL") == ["support@localhost"]


def test_every_limit_can_be_set_from_the_environment(values):
    [limits] = values(
        "RATE_LIMITS",
        RATE_LIMIT_READ="7/m",
        RATE_LIMIT_WRITE="1/s,8/m",
        RATE_LIMIT_ANALYTICS="9/h",
        RATE_LIMIT_LOGIN_ADDRESS="10/5m",
        RATE_LIMIT_LOGIN_EMAIL="2/d",
        RATE_LIMIT_SECOND_FACTOR="4/m",
        RATE_LIMIT_RESET="3/s",
    )

    assert limits == {
        "read": {"staff user": ["7/m"]},
        "write": {"staff user": ["1/s", "8/m"]},
        "analytics": {"staff user": ["9/h"]},
        "login": {"address": ["10/5m"], "e-mail": ["2/d"]},
        "second_factor": {"staff user": ["4/m"]},
        "reset": {"target trader": ["3/s"]},
    }


def test_what_the_database_url_adds_is_kept(values):
    url = "postgres://app@db.demo.example:5432/app?sslmode=require&connect_timeout=3"
    [databases] = values("DATABASES", DATABASE_URL=url)

    options = databases["default"]["OPTIONS"]
    assert (options["sslmode"], int(options["connect_timeout"])) == ("require", 3)
    assert options["tcp_user_timeout"] == 5000


def test_the_waits_for_the_database_can_be_set(values):
    waits = {"DATABASE_LOCK_TIMEOUT": "7", "DATABASE_STATEMENT_TIMEOUT": "0"}
    [postgresql] = values("DATABASES", DATABASE_URL="postgres://app@db.demo.example:5432/app", **waits)
    [sqlite] = values("DATABASES", **waits)

    assert "statement_timeout=0s -c lock_timeout=7s" in postgresql["default"]["OPTIONS"]["options"]
    assert "-c jit=off" in postgresql["default"]["OPTIONS"]["options"]
    assert sqlite["default"]["OPTIONS"]["timeout"] == 7


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:25", "smtp+tls://mail.demo.example:587", "smtp+ssl://a:b@c.example"])
def test_a_mail_server_is_spoken_to_by_the_backend_that_bounds_a_mail(values, url):
    assert values("EMAIL_BACKEND", EMAIL_URL=url) == ["accounts.smtp.EmailBackend"]


def test_other_mail_backends_are_as_named(values):
    assert values("EMAIL_BACKEND", EMAIL_URL="consolemail://") == ["django.core.mail.backends.console.EmailBackend"]
