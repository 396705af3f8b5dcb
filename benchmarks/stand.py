"""
The stand: PostgreSQL and Redis, a filled database of each size that is asked for, and the servers on them.

PostgreSQL and Redis are started for it, or taken from BENCHMARKS_DATABASE_URL (databases of its own are made there and
dropped) and BENCHMARKS_REDIS_URL; then nobody else may work on these servers, for their time is counted.
"""

import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from faults import stand as faults_stand
from faults.servers import Postgres, Redis, StandError

from . import fill
from .cost import processes

# What every manual of PostgreSQL asks to be set first, and room for the connections of all servers at once; the rest is
# the server's default.
POSTGRES_OPTIONS = ("shared_buffers=1GB", "max_wal_size=8GB", "max_connections=300")


class Stand:
    """The services and the databases; `at` gives the one of a size, made when it is first asked for."""

    target = "platform"

    def __init__(self, *, seed=1, say=lambda text: None):
        self.seed, self.say = seed, say
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._filled = {}

    def __enter__(self):
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="benchmarks-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder.chmod(0o755)  # PostgreSQL may run under another account
            self.owns_database = not os.environ.get("BENCHMARKS_DATABASE_URL")
            if self.owns_database:
                postgres = Postgres(self.folder, POSTGRES_OPTIONS)
                stack.callback(postgres.stop)
                self.database_url = postgres.start().url()
            else:
                self.database_url = os.environ["BENCHMARKS_DATABASE_URL"]
            self.redis_url = os.environ.get("BENCHMARKS_REDIS_URL")
            if not self.redis_url:
                cache = Redis(self.folder)
                stack.callback(cache.stop)
                self.redis_url = cache.start().url()
            self.parts = {"database": self._database_process(), "cache": self._cache_process()}
            self._ending = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self._ending.__exit__(*exception)

    @property
    def environment(self):
        """As of a stand of the faults, for the description of the machine."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}

    def _database_process(self):
        try:
            with psycopg.connect(self.database_url) as connection:
                backend = connection.info.backend_pid
                found = processes()
                if backend in found:
                    return found[backend][0]
        except psycopg.OperationalError as error:
            raise StandError(f"BENCHMARKS_DATABASE_URL: {error}") from None
        raise StandError("The database server runs elsewhere; its processor time cannot be read from here.")

    def _cache_process(self):
        try:
            with redis.Redis.from_url(self.redis_url) as connection:
                found = connection.info("server")["process_id"]
        except redis.RedisError as error:
            raise StandError(f"BENCHMARKS_REDIS_URL: {error}") from None
        if found not in processes():
            raise StandError("The cache runs elsewhere; its processor time cannot be read from here.")
        return found

    def at(self, trades):
        """The database of that many trades (`Filled`)."""
        if trades not in self._filled:
            self._filled[trades] = self._ending.enter_context(Filled(self, trades))
        return self._filled[trades]

    def fresh(self):
        """A database of its own with nothing but the demo data's people, to be left with `with`."""
        return Filled(self, 0)


class Filled(faults_stand.Stand):
    """One migrated database of a stand with so many trades; the servers of the platform and its peers run on it."""

    def __init__(self, stand, trades):
        super().__init__("platform", traders=2, seed=stand.seed)
        self.stand, self.trades = stand, trades

    @property
    def parts(self):
        return self.stand.parts

    def _open_database(self, stack):
        name = f"benchmarks_{secrets.token_hex(4)}"
        url = self.stand.database_url
        faults_stand.administer(url, f'CREATE DATABASE "{name}"')
        stack.callback(faults_stand.administer, url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        return urlsplit(url)._replace(path=f"/{name}").geturl()

    def _open_redis(self, stack):
        return self.stand.redis_url

    def _fill(self):
        super()._fill()
        if self.trades:
            say = self.stand.say
            fill.fill(
                self.environment["DATABASE_URL"],
                self.trades,
                seed=self.seed,
                now=self.stand.now,
                advance=lambda done, total: say(f"filling {self.trades:,} trades: {100 * done // total} %"),
            )
            say(f"making the blocks of {self.trades:,} trades")
            self.make_ready()

    def make_ready(self):
        """Make the blocks of large scopes, as a server does by itself some minutes after rows came in."""
        self.manage("rebuild_rollups", "--due")

    def owners(self):
        """[(id, how many trades)] of those with trades, the largest first."""
        return self.rows("SELECT user_id, count(*) FROM trading_trade GROUP BY 1 ORDER BY 2 DESC, 1")
