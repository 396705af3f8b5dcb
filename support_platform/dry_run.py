"""The dry run of a change, the same for the API and the console: all of it is done, and none of it is kept."""

from contextlib import contextmanager

from django.db import transaction


@contextmanager
def atomically(*, is_dry_run):
    """
    One transaction, which a dry run rolls back once everything in it has been done.

    What waits for the commit, such as a mail, then never happens.
    """
    with transaction.atomic():
        yield
        if is_dry_run:
            transaction.set_rollback(True)
