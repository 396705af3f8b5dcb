"""docs/backup.md, done: dump, restore into a fresh database, and look whether all of it came back, guards included."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from accounts import links
from support_platform.models import AuditEvent
from support_platform.tests.commands import process, run

DOCUMENT = Path(settings.BASE_DIR, "docs", "backup.md").read_text()


def documented(program, **values):
    """The one command of the document that begins like this, its words in capitals replaced by these values."""
    [line] = [line for line in DOCUMENT.splitlines() if line.startswith(program)]
    words = [re.sub(r"[A-Z_]{6,}$", lambda name: values[name[0]], word) for word in shlex.split(line)]
    return [sys.executable, *words[1:]] if words[0] == ".venv/bin/python" else words


def carry_out(program, **values):
    done = subprocess.run(documented(program, **values), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


class SQLite:
    def __init__(self, folder):
        self.dumped, self.restored = folder / "backup.sqlite3", folder / "restored.sqlite3"

    def dump(self):
        carry_out(".venv/bin/python -c", DATABASE=str(connection.settings_dict["NAME"]), BACKUP=str(self.dumped))

    def restore(self):
        shutil.copy(self.dumped, self.restored)
        return f"sqlite:///{self.restored}"

    def remove(self):
        self.restored.unlink(missing_ok=True)


class PostgreSQL:
    def __init__(self, folder):
        self.dumped, self.name = folder / "backup.dump", f"{connection.settings_dict['NAME']}_restored"

    def dump(self):
        carry_out("pg_dump", DATABASE_URL=self.url(connection.settings_dict["NAME"]), BACKUP=str(self.dumped))

    def restore(self):
        self.administer(f'CREATE DATABASE "{self.name}"')
        carry_out("pg_restore", NEW_DATABASE_URL=self.url(self.name), BACKUP=str(self.dumped))
        return self.url(self.name)

    def remove(self):
        self.administer(f'DROP DATABASE IF EXISTS "{self.name}"')

    def administer(self, statement):
        with connection._nodb_cursor() as cursor:
            cursor.execute(statement)

    def url(self, name):
        server = connection.settings_dict
        return f"postgres://{server['USER']}:{server['PASSWORD']}@{server['HOST']}:{server['PORT']}/{name}"


@pytest.fixture
def backup(real_database, tmp_path):
    if connection.vendor == "postgresql" and not (shutil.which("pg_dump") and shutil.which("pg_restore")):
        pytest.skip("pg_dump and pg_restore are not on this machine; install PostgreSQL's client programs")
    made = (SQLite if connection.vendor == "sqlite" else PostgreSQL)(tmp_path)
    made.remove()
    yield made
    made.remove()


@pytest.fixture
def on_copy(backup, tmp_path):
    """Runs `manage.py ARGS` on the backup, restored at the first call, with the same keys or others."""
    environment = {
        "SECRET_KEY": settings.SECRET_KEY,
        "AUDIT_KEY": settings.AUDIT_KEY,
        "JWT_SIGNING_KEY": settings.SIMPLE_JWT["SIGNING_KEY"],
        "REDIS_URL": "",
    }
    urls = []

    def manage(*args, **other):
        if not urls:
            urls.append(backup.restore())
        return process(tmp_path, *args, **environment | {"DATABASE_URL": urls[0]} | other)

    return manage


def test_a_restored_copy_is_whole_and_guarded(backup, on_copy, supervisor, trader, tmp_path):
    anchors, later_anchors = tmp_path / "anchors.json", tmp_path / "later.json"
    supervisor.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, reason="before – the dump")
    run("verify_audit", "--anchors", anchors)
    backup.dump()
    supervisor.patch(f"users/{trader.pk}/", {"phone": "+4915112345679"}, reason="after it")
    shutil.copy(anchors, later_anchors)
    run("verify_audit", "--anchors", later_anchors)

    migrated = on_copy("migrate", "--check")
    verified = on_copy("verify_audit", "--anchors", anchors, "--json")
    too_old = on_copy("verify_audit", "--anchors", later_anchors)
    emptied = on_copy("shell", "-v0", "-c", "from support_platform.models import *; AuditEvent.objects.all().delete()")
    cut = on_copy("shell", "-v0", "-c", "from support_platform.models import *; AuditChain.objects.all().delete()")
    changed = on_copy("set_status", trader.email, "inactive", "--reason", "goes on")
    verified_again = on_copy("verify_audit", "--anchors", anchors, "--json")

    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["events"] == AuditEvent.objects.count() - 1
    assert too_old.returncode == 1
    assert "number 3: anchor" in too_old.stdout
    assert "append-only" in emptied.stderr
    assert "only moves on" in cut.stderr
    assert changed.returncode == 0, changed.stderr
    assert json.loads(verified_again.stdout)["events"] == AuditEvent.objects.count()


def test_another_key_tells_the_copy_from_the_trail(backup, on_copy, supervisor):
    backup.dump()

    refused = on_copy("verify_audit", AUDIT_KEY="another key")
    with_the_old = on_copy("verify_audit", AUDIT_KEY="another key", AUDIT_KEY_FALLBACKS=settings.AUDIT_KEY)

    assert (refused.returncode, with_the_old.returncode) == (1, 0)


ASK = """
from django.test import Client
from django.utils import timezone
from accounts import links
for token in ("{revoked}", "{live}"):
    answer = Client(SERVER_NAME="127.0.0.1").get("/api/v1/limits/", headers={{"Authorization": f"Bearer {{token}}"}})
    print(answer.status_code)
print(links.user_of_reset("{link}", timezone.now()) is not None)
"""


def test_what_ended_after_the_dump_lives_again_in_the_copy_until_the_keys_are_new(
    backup, on_copy, supervisor, agent, trader
):
    agent.post(f"users/{trader.pk}/password-reset/", {})
    trader.refresh_from_db()
    backup.dump()
    code = ASK.format(
        revoked=supervisor.headers["Authorization"].removeprefix("Bearer "),
        live=agent.headers["Authorization"].removeprefix("Bearer "),
        link=links.reset_link(trader).rstrip("/").rpartition("/")[2],
    )
    supervisor.put(f"users/{trader.pk}/status/", {"status": "inactive"})
    supervisor.post("auth/token/revoke/", {})
    new = {"SECRET_KEY": "n" * 50, "JWT_SIGNING_KEY": "m" * 50}

    old_keys, new_keys = on_copy("shell", "-v0", "-c", code), on_copy("shell", "-v0", "-c", code, **new)

    assert supervisor.get("limits/").status_code == 401
    assert old_keys.stdout.split() == ["200", "200", "True"]
    assert new_keys.stdout.split() == ["401", "401", "False"]
    assert on_copy("verify_audit", **new).returncode == 0
