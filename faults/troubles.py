"""
What can be done to a database: each a block, in which the trouble lasts. When the block has ended, it is well again.

    with down(stand, signal.SIGQUIT):
        ...
"""

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg


@contextmanager
def down(stand, how):
    stand.stop_database(how)
    try:
        yield
    finally:
        stand.start_database()


@contextmanager
def out_of_connections(stand):
    """Every connection it allows is taken, those the platform had as well."""
    url, held = stand.environment["DATABASE_URL"], []
    end_others = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name <> 'hog'"""
    deadline = time.monotonic() + 10
    try:
        while time.monotonic() < deadline:
            try:
                held.append(psycopg.connect(url, autocommit=True, application_name="hog", connect_timeout=2))
            except psycopg.OperationalError:
                if held[0].execute(end_others).fetchone()[0] == 0:
                    break
        yield
    finally:
        for connection in held:
            connection.close()


@contextmanager
def read_only(stand):
    """Every transaction only reads, as on a standby or a full disk."""
    with _administration(stand) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def locked(stand):
    """Whoever wants to change an account waits for a lock."""
    with _administration(stand) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE accounts_user IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def frozen(stand):
    """Its processes are stopped: connections stay open, and nobody answers."""
    pids = [stand.postgres.pid]
    os.kill(stand.postgres.pid, signal.SIGSTOP)  # the first, so that no further ones are born
    children = Path(f"/proc/{stand.postgres.pid}/task/{stand.postgres.pid}/children").read_text()
    pids += [int(pid) for pid in children.split()]
    try:
        for pid in pids[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _administration(stand):
    url = stand.environment["DATABASE_URL"]
    return psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off")
