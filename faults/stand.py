"""
The stand: everything a figure needs, started in a temporary folder and ended with it.

    with Stand() as stand, stand.serve(workers=4) as server:
        answer = server.client(stand.token("supervisor")).get("/api/v1/deployments/")

PostgreSQL and Redis are started for it, or taken from FAULTS_DATABASE_URL (a database of its own is made there and
dropped) and FAULTS_REDIS_URL. Linux: the processes of a server are read from /proc.
"""

import json
import os
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psycopg

from .client import Client
from .servers import HOST, Postgres, Redis, Service, StandError

ROOT = Path(__file__).resolve().parent.parent
PLATFORM_SERVER = ("gunicorn.conf.py", "support_platform.wsgi")
PEER_SERVER = ("faults/peer/gunicorn.conf.py", "faults.peer.wsgi")
STAFF = {
    "viewer": "viewer@demo.example",
    "agent": "agent@demo.example",
    "supervisor": "supervisor@demo.example",
    "superuser": "admin@demo.example",
}
PASSWORD = "support-demo-1"
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
# Limits that no figure reaches; the one about limits sets its own.
UNLIMITED = {
    f"RATE_LIMIT_{bucket}": "1000000/s"
    for bucket in ("READ", "WRITE", "ANALYTICS", "LOGIN_ADDRESS", "LOGIN_EMAIL", "RESET")
}

Event = namedtuple("Event", "id action subject_type subject_id user changes request_id")


class Stand:
    """
    Services with a migrated and seeded database.

    `target` is what is served: ``platform`` on PostgreSQL and Redis, ``sqlite`` (the platform's embedded default) or
    ``peer`` (an ordinary project, faults/peer/). With `own_services` the servers named in the environment are left
    alone: for figures that stop or restart them.
    """

    def __init__(self, target="platform", *, own_services=False, traders=60, seed=1):
        self.target, self.own_services, self.traders, self.seed = target, own_services, traders, seed
        self.postgres = self.redis = None
        self.environment = {}
        self._tokens = {}

    def __enter__(self):
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder.chmod(0o755)  # PostgreSQL may run under another account
            self.var = self.folder / "var"
            self.environment = {
                **{name: os.environ[name] for name in INHERITED if name in os.environ},
                **UNLIMITED,
                "PYTHONPATH": str(ROOT),
                "SECRET_KEY": secrets.token_urlsafe(50),
                "VAR_DIR": str(self.var),
                "DEMO_PASSWORD": PASSWORD,
            }
            if self.target == "sqlite":
                self.var.mkdir()
            else:
                self.environment |= {"DATABASE_URL": self._open_database(stack), "REDIS_URL": self._open_redis(stack)}
            self._fill()
            self._ending = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self._ending.__exit__(*exception)

    # --- services --------------------------------------------------------------------------------------
    def _open_database(self, stack):
        given = None if self.own_services else os.environ.get("FAULTS_DATABASE_URL")
        if not given:
            self.postgres = Postgres(self.folder)
            stack.callback(self.postgres.stop)
            given = self.postgres.start().url()
        name = f"faults_{secrets.token_hex(4)}"
        administer(given, f'CREATE DATABASE "{name}"')
        if self.postgres is None:
            stack.callback(administer, given, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        return urlsplit(given)._replace(path=f"/{name}").geturl()

    def _open_redis(self, stack):
        given = None if self.own_services else os.environ.get("FAULTS_REDIS_URL")
        if not given:
            self.redis = Redis(self.folder)
            stack.callback(self.redis.stop)
            given = self.redis.start().url()
        return given

    def start_database(self):
        self._owned(self.postgres).start()

    def stop_database(self, how=signal.SIGINT):
        """SIGTERM waits for the sessions, SIGINT ends them, SIGQUIT is a crash."""
        self._owned(self.postgres).stop(how)

    def restart_database(self, how=signal.SIGINT):
        self.stop_database(how)
        self.start_database()

    def start_redis(self):
        self._owned(self.redis).start()

    def stop_redis(self):
        self._owned(self.redis).stop()

    def _owned(self, service):
        if service is None:
            raise StandError("This server is not the stand's own; build it with own_services=True.")
        return service

    # --- data ------------------------------------------------------------------------------------------
    def manage(self, *arguments, environment=None):
        """
        What a management command prints; `environment` instead of the stand's, such as a server's.

        :raises StandError: if it fails
        """
        program = ["-m", "faults.peer"] if self.target == "peer" else ["manage.py"]
        done = subprocess.run(
            [sys.executable, *program, *map(str, arguments)],
            cwd=ROOT,
            env=environment or self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise StandError(f"{' '.join(map(str, arguments))} failed: {done.stderr.strip()}")
        return done.stdout

    def _fill(self):
        self.manage("migrate", "--verbosity", 0)
        self.manage("seed_demo", "--traders", self.traders, "--trades", 4, "--seed", self.seed)

    def database(self):
        """A connection of one's own, each statement committed at once; of SQLite one that only reads."""
        if self.target == "sqlite":
            return sqlite3.connect(f"file:{self.var / 'db.sqlite3'}?mode=ro", uri=True, isolation_level=None)
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)

    def rows(self, statement, *values):
        """What a query finds, as tuples; values stand as %s in it."""
        connection = self.database()
        try:
            if self.target == "sqlite":
                statement = statement.replace("%s", "?")
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def token(self, role):
        """
        An access token good for a day, whatever the limits of logins, of the demo staff member of that role, or of
        the one with that address.
        """
        if role not in self._tokens:
            made = self.manage("create_service_token", STAFF.get(role, role), "--days", 1, "--json")
            self._tokens[role] = json.loads(made)["token"]
        return self._tokens[role]

    def last_event(self):
        """The id of the newest audit event, to read the later ones by; the peer has none."""
        if self.target == "peer":
            return 0
        return self.rows("SELECT coalesce(max(id), 0) FROM support_platform_auditevent")[0][0]

    def events(self, after, **conditions):
        """The audit events later than that id whose columns equal `conditions`, oldest first; the peer has none."""
        if self.target == "peer":
            return []
        where = "".join(f" AND {column} = %s" for column in conditions)
        found = self.rows(
            f"SELECT {', '.join(Event._fields)} FROM support_platform_auditevent WHERE id > %s{where} ORDER BY id",
            after,
            *conditions.values(),
        )
        return [Event._make(row)._replace(changes=_as_json(row[Event._fields.index("changes")])) for row in found]

    # --- the server ------------------------------------------------------------------------------------
    def serve(self, **choices):
        """A `Server` of this stand; several may run side by side. Use it as a context manager."""
        return Server(self, **choices)


class Server(Service):
    """
    gunicorn as shipped, with 4 workers of 8 threads; on SQLite one, as its counters are one process's.

    `environment` comes on top of the stand's; `application` and `config` name another WSGI module and another
    gunicorn configuration.
    """

    name = "gunicorn"

    def __init__(self, stand, *, workers=4, threads=8, environment=None, application=None, config=None):
        super().__init__(Path(tempfile.mkdtemp(prefix="server-", dir=stand.folder)))
        self.stand = stand
        shipped = PEER_SERVER if stand.target == "peer" else PLATFORM_SERVER
        self.config, self.application = config or shipped[0], application or shipped[1]
        self.environment = {
            **stand.environment,
            "HOST": HOST,
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "WEB_CONCURRENCY": str(1 if stand.target == "sqlite" else workers),
            "THREADS": str(threads),
            **(environment or {}),
        }

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exception):
        self.stop()

    def command(self):
        return [sys.executable, "-m", "gunicorn", "--config", str(self.config), self.application]

    def settings(self):
        return {"cwd": ROOT, "env": self.environment}

    def answers(self):
        """Every worker is there, and one of them answers."""
        if len(self.workers()) < int(self.environment["WEB_CONCURRENCY"]):
            return False
        try:
            return self.client().get("/health/live/").status == 200
        except OSError:
            return False

    def workers(self):
        """The process ids of the workers."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def kill_worker(self, pid=None, how=signal.SIGKILL):
        """
        Kill one worker, any if none is named; gunicorn starts another.

        :returns: its process id, None if it had ended already
        """
        pid = pid or random.choice(self.workers() or [None])
        if pid is None:
            return None
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return None
        return pid

    def client(self, token=None):
        return Client(self.port, token)

    def staff(self, role):
        """A client of the demo staff member of that role."""
        return self.client(self.stand.token(role))

    def ids(self, resource, **filters):
        """The ids of a list as the supervisor sees it, page by page."""
        client, found = self.staff("supervisor"), []
        url = f"/api/v1/{resource}/?{urlencode(filters)}"
        while url:
            page = client.get(url).json()
            found += [row["id"] for row in page["results"]]
            url = page["next"] and "{0.path}?{0.query}".format(urlsplit(page["next"]))
        return found


def _as_json(value):
    return json.loads(value) if isinstance(value, str) else value


def administer(url, statement):
    """:raises StandError: if the server cannot be reached"""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)
    except psycopg.OperationalError as error:
        raise StandError(f"No database server at the address given: {error}") from None
