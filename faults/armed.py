"""
The platform, made to die at a chosen instant: ``gunicorn faults.armed:application``, or for one command
``python -m faults.armed COMMAND ...`` with the instant in the variable FAILPOINT.

A request's header ``X-Failpoint: N`` has the process kill itself (SIGKILL) right before the Nth step of that request;
``X-Failpoint: trace`` has it answer the steps in ``X-Failpoint-Steps``. Steps are the statements that change data,
each commit that keeps such a change, and last the answer. The platform knows nothing of it: statements are seen by
Django's own `execute_wrapper`, commits in the database wrapper, the answer in WSGI's `start_response`.
"""

import os
import re
import signal
import sys
from contextlib import contextmanager
from contextvars import ContextVar

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_platform.settings")

CHANGING = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
COMMIT, ANSWER = "COMMIT", "ANSWER"

_watch = ContextVar("failpoint", default=None)


class Watch:
    """The steps one request has come to, and the one before which the process dies."""

    def __init__(self, dies_before=None):
        self.dies_before = dies_before
        self.steps = []
        self.has_written = False

    def come_to(self, step):
        if len(self.steps) == self.dies_before:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps.append(step)

    def __call__(self, execute, sql, params, many, context):
        """Django's execute_wrapper."""
        changing = CHANGING.match(sql) if isinstance(sql, str) else None
        if changing:
            self.come_to(f"{changing[1].split()[0].upper()} {changing[2]}")
            self.has_written = context["connection"].in_atomic_block
        return execute(sql, params, many, context)


@contextmanager
def watched(watch):
    from django.db import connection

    token = _watch.set(watch)
    try:
        with connection.execute_wrapper(watch):
            yield
    finally:
        _watch.reset(token)


def watch_commits():
    from django.db.backends.base.base import BaseDatabaseWrapper

    commit = BaseDatabaseWrapper._commit

    def watched_commit(connection):
        watch = _watch.get()
        if watch is not None and watch.has_written:
            watch.come_to(COMMIT)
            watch.has_written = False
        return commit(connection)

    BaseDatabaseWrapper._commit = watched_commit


def armed(platform):
    """The WSGI application with failpoints."""

    def application(environ, start_response):
        failpoint = environ.pop("HTTP_X_FAILPOINT", None)
        if failpoint is None:
            return platform(environ, start_response)
        watch = Watch(None if failpoint == "trace" else int(failpoint))

        def start(status, headers, exc_info=None):
            watch.come_to(ANSWER)
            if failpoint == "trace":
                headers = [*headers, ("X-Failpoint-Steps", ", ".join(watch.steps))]
            return start_response(status, headers, exc_info)

        with watched(watch):
            return platform(environ, start)

    return application


def run_command():
    """`manage.py` with a failpoint: FAILPOINT=N dies before step N, FAILPOINT=trace writes the steps to stderr."""
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    watch_commits()
    failpoint = os.environ["FAILPOINT"]
    watch = Watch(None if failpoint == "trace" else int(failpoint))
    with watched(watch):
        execute_from_command_line(["manage.py", *sys.argv[1:]])
    watch.come_to(ANSWER)
    if failpoint == "trace":
        print("steps:", ", ".join(watch.steps), file=sys.stderr)


if __name__ == "__main__":
    run_command()
else:
    from support_platform.wsgi import application as platform

    watch_commits()
    application = armed(platform)
