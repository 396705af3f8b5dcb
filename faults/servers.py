"""The servers a stand needs, each a process of ours on a free port of 127.0.0.1: PostgreSQL and Redis."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg

HOST = "127.0.0.1"
PATIENCE = 60  # seconds until a server must answer, or must have ended


class StandError(Exception):
    """The stand cannot be built here; the text says what is missing and what to do."""


class Service:
    """
    A server process: started, waited for until it answers, and ended by its own process id.

    It has a session of its own, so that Ctrl-C reaches the harness alone, which then ends it.
    """

    name = ""
    end_signal = signal.SIGTERM

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"{self.name}.log"
        self.process = None

    def command(self):
        """The command line."""
        raise NotImplementedError

    def answers(self):
        """Whether it can be used now."""
        raise NotImplementedError

    def settings(self):
        """Arguments for subprocess.Popen."""
        return {}

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """
        Start it and return once it answers.

        :raises StandError: with the end of its log, if it ends or stays silent
        """
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.settings(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StandError(f"{self.name} does not answer on port {self.port}. The end of its log:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def stop(self, how=None, patience=PATIENCE):
        """End it and wait until it has ended; what does not end in time is killed with its children."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how or self.end_signal)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Postgres(Service):
    """
    A cluster of its own, with the server's default settings but for `options`. `initdb` refuses root, so root lends it
    an account.
    """

    name = "postgresql"
    end_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint

    def __init__(self, folder, options=()):
        """`options` are settings of the server, such as ``shared_buffers=1GB``."""
        super().__init__(folder)
        self.options = options
        self.account = _unprivileged_account() if os.geteuid() == 0 else None
        self.initdb, self.postgres = postgres_binary("initdb"), postgres_binary("postgres")
        self.data = folder / "postgresql"
        self.data.mkdir()
        if self.account:
            os.chown(self.data, self.account.pw_uid, self.account.pw_gid)
        made = subprocess.run(
            [self.initdb, "-D", self.data, "-U", "faults", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
            capture_output=True,
            text=True,
            **self.settings(),
        )
        if made.returncode:
            raise StandError(f"initdb failed: {made.stderr.strip()}")

    def command(self):
        options = [part for option in ("unix_socket_directories=", *self.options) for part in ("-c", option)]
        return [self.postgres, "-D", self.data, "-h", HOST, "-p", str(self.port), *options]

    def settings(self):
        if self.account is None:
            return {"cwd": self.folder}
        return {
            "cwd": self.folder,
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": [],
        }

    def url(self, database="postgres"):
        return f"postgres://faults@{HOST}:{self.port}/{database}"

    def answers(self):
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(Service):
    """A Redis that keeps nothing on disk."""

    name = "redis"

    def command(self):
        binary = shutil.which("redis-server")
        if not binary:
            raise StandError(
                "No redis-server here. Install Redis (Debian, Ubuntu: apt install redis-server), or name a server in "
                "FAULTS_REDIS_URL (BENCHMARKS_REDIS_URL), such as redis://127.0.0.1:6379/7."
            )
        return [binary, "--bind", HOST, "--port", str(self.port), "--save", "", "--dir", str(self.folder)]

    def url(self):
        return f"redis://{HOST}:{self.port}/0"

    def answers(self):
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def postgres_binary(name):
    """
    A program of the PostgreSQL server, the newest one here.

    :raises StandError: if there is none
    """
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) or (installed[-1] if installed else None)
    if not found:
        raise StandError(
            "No PostgreSQL server programs here. Install them (Debian, Ubuntu: apt install postgresql), or name a "
            "server in FAULTS_DATABASE_URL (BENCHMARKS_DATABASE_URL), such as postgres://me@127.0.0.1:5432/postgres."
        )
    return str(found)


def _unprivileged_account():
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StandError("PostgreSQL does not run as root, and there is no account postgres or nobody to lend it.")
