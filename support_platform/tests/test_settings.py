"""What the environment says, read by a process of its own: what must not start does not, and says why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("ENVIRONMENT", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "PUBLIC_URL", "EMAIL_URL", "DEBUG")
OURS += ("AUDIT_KEY", "AUDIT_KEY_FALLBACKS")
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


def test_several_workers_need_a_shared_cache(check):
    done = check(WEB_CONCURRENCY="2")

    assert done.returncode != 0
    assert "support_platform.E001" in done.stderr
    assert "REDIS_URL" in done.stderr
    shared = check(WEB_CONCURRENCY="2", REDIS_URL="redis://cache.demo.example:6379/0")
    assert shared.returncode == 0, shared.stderr
    assert check(WEB_CONCURRENCY="1").returncode == 0


def test_every_limit_can_be_set_from_the_environment(values):
    [limits] = values(
        "RATE_LIMITS",
        RATE_LIMIT_READ="7/m",
        RATE_LIMIT_WRITE="1/s,8/m",
        RATE_LIMIT_ANALYTICS="9/h",
        RATE_LIMIT_LOGIN_ADDRESS="10/5m",
        RATE_LIMIT_LOGIN_EMAIL="2/d",
        RATE_LIMIT_RESET="3/s",
    )

    assert limits == {
        "read": {"staff user": ["7/m"]},
        "write": {"staff user": ["1/s", "8/m"]},
        "analytics": {"staff user": ["9/h"]},
        "login": {"address": ["10/5m"], "e-mail": ["2/d"]},
        "reset": {"target trader": ["3/s"]},
    }


@pytest.mark.parametrize("value", ["many", "", "0/m"])
def test_a_limit_that_is_none_does_not_start(check, value):
    done = check(RATE_LIMIT_READ=value)

    assert done.returncode != 0
    assert "RATE_LIMITS read/staff user" in done.stderr


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
    assert sqlite["default"]["OPTIONS"]["timeout"] == 7


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:25", "smtp+tls://mail.demo.example:587", "smtp+ssl://a:b@c.example"])
def test_a_mail_server_is_spoken_to_by_the_backend_that_bounds_a_mail(values, url):
    assert values("EMAIL_BACKEND", EMAIL_URL=url) == ["accounts.smtp.EmailBackend"]


def test_other_mail_backends_are_as_named(values):
    assert values("EMAIL_BACKEND", EMAIL_URL="consolemail://") == ["django.core.mail.backends.console.EmailBackend"]


def test_a_negative_time_to_keep_what_is_over_would_remove_what_is_not(complaint):
    assert "PURGE_AFTER_DAYS is negative" in complaint(PURGE_AFTER_DAYS="-1")
