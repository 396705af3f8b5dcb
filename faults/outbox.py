"""What waits in the platform's mail queue, seen in its database."""

import time

WAITING = "FROM accounts_outgoingmail WHERE sent_at IS NULL AND dropped_at IS NULL"


def waiting(connection):
    """How many mails have neither been sent nor dropped."""
    return connection.execute(f"SELECT count(*) {WAITING}").fetchone()[0]


def settled(connection, *, quiet=2, patience=60):
    """
    Wait until nothing waits, or until what waits has not changed for `quiet` seconds.

    :returns: how many wait then
    """
    deadline = time.monotonic() + patience
    seen, since = None, time.monotonic()
    while time.monotonic() < deadline:
        now = waiting(connection)
        if now == 0:
            return 0
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > quiet:
            return now
        time.sleep(0.1)
    return waiting(connection)


def let_time_pass(connection):
    """
    Make every waiting mail due, as minutes would: the pause after a failure is over, and so is the claim of a sender
    that was killed. No living sender may be at work.
    """
    connection.execute(
        "UPDATE accounts_outgoingmail SET next_attempt_at = now() WHERE sent_at IS NULL AND dropped_at IS NULL"
    )
