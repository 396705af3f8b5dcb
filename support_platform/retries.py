"""Transactions that the database ended through no fault of their own, and that a repetition can bring to an end."""

import logging
import random
import time

from django.db import OperationalError, connection

from . import logs

REPETITIONS = 3
# An answer comes within seconds: after this many no further repetition begins.
PATIENCE = 5
# PostgreSQL: serialization failure, deadlock, lock timeout.
REPEATABLE = ("40001", "40P01", "55P03")


def retried(change, *args, **kwargs):
    """
    Call what is one whole transaction; and again, at most three times, when it fell to a deadlock, a serialization
    failure or a lock timeout, which kept nothing of it. Inside a transaction there is no repeating: called once.

    :raises OperationalError: when the last repetition fell too
    """
    started, repetition = time.monotonic(), 0
    while True:
        try:
            return change(*args, **kwargs)
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            is_last = repetition == REPETITIONS or time.monotonic() - started > PATIENCE
            if state not in REPEATABLE or is_last or connection.in_atomic_block:
                raise
            logs.event("transaction_repeated", level=logging.WARNING, sqlstate=state)
            # Apart from each other by chance, lest the same two meet again.
            time.sleep(random.uniform(0, 0.05 * 2**repetition))  # noqa: S311
            repetition += 1
