"""The servers that are measured: the platform as shipped, and its peers with as many workers."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass

from faults.servers import HOST, StandError
from faults.stand import ROOT, Server

WORKERS, THREADS = 2, 8  # two processes; threads as shipped
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
VENV = ROOT / ".venv" / "benchmarks"


@dataclass(frozen=True)
class Kind:
    """One kind of server; `application` is its WSGI or ASGI application, `options` are of gunicorn's command line."""

    name: str
    label: str
    application: str
    is_async: bool = False
    options: tuple = ()

    @property
    def is_platform(self):
        return self.name == "platform"

    @property
    def list_path(self):
        return "/api/v1/trades/" if self.is_platform else "/trades/"


# The floor stands on the platform's own worker, so that what stands on it is compared and not the server.
_OWN_WORKER = (
    "--worker-class",
    "support_platform.worker.Worker",
    "--logger-class",
    "support_platform.worker.ServerLog",
)
KINDS = {
    kind.name: kind
    for kind in (
        Kind("platform", "the platform", "support_platform.wsgi"),
        Kind("floor", "bare WSGI + psycopg (the floor)", "benchmarks.peers.floor", options=_OWN_WORKER),
        Kind("asyncpg", "FastAPI, raw asyncpg", "benchmarks.peers.fastapi_asyncpg:app", is_async=True),
        Kind("sqlalchemy", "FastAPI, SQLAlchemy ORM", "benchmarks.peers.fastapi_sqlalchemy:app", is_async=True),
        Kind("ninja", "django-ninja", "benchmarks.peers.ninja_api.wsgi"),
        Kind("stock", "stock DRF", "benchmarks.peers.stock_drf.wsgi"),
        Kind("django", "bare Django", "benchmarks.peers.bare_django"),
    )
}


class MeasuredServer(Server):
    """
    One server on a filled database; use it as a context manager.

    `parts` are the process trees that its requests cost.
    """

    def __init__(self, kind, filled, *, workers=WORKERS):
        self.kind = KINDS[kind]
        config = None if self.kind.is_platform else "benchmarks/peers/gunicorn.conf.py"
        super().__init__(filled, workers=workers, threads=THREADS, application=self.kind.application, config=config)

    @property
    def parts(self):
        return {"server": self.pid, **self.stand.parts}

    def command(self):
        if self.kind.is_platform:
            return super().command()
        python = str(peers_python())
        if self.kind.is_async:
            workers = self.environment["WEB_CONCURRENCY"]
            options = ["--host", HOST, "--port", str(self.port), "--workers", workers, "--no-access-log"]
            return [python, "-m", "uvicorn", *options, self.application]
        return [python, "-m", "gunicorn", "--config", str(self.config), *self.kind.options, self.application]


def peers_python():
    """
    The interpreter that has the peers' packages; it is made the first time.

    :raises StandError: if they cannot be installed
    """
    python, stamp = VENV / "bin" / "python", VENV / "installed"
    wanted = REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print("benchmarks: installing benchmarks/requirements.txt into .venv/benchmarks", file=sys.stderr)
    shutil.rmtree(VENV, ignore_errors=True)
    venv.create(VENV, with_pip=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        + ["-r", REQUIREMENTS],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StandError(f"The peers' packages could not be installed: {done.stderr.strip()[-600:]}")
    stamp.write_text(wanted)
    return python
