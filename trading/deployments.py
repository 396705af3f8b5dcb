"""
Many deployments paused or stopped at once: always the side effect of another change, whose audit event tells of it.

Called inside that change's transaction, under the lock of the trader or of the strategy, so that no deployment
is resumed meanwhile.
"""

from django.utils import timezone

from support_platform import audit
from support_platform.locking import save_next_version

from .models import Deployment


def treat_deployments(user, treatment):
    """
    What becomes of a trader's deployments: leave them, pause the active ones, or stop the paused ones too.

    :returns: {id: (status before, status after)} of those that changed
    """
    rows = Deployment.objects.filter(user=user)
    if treatment == "pause":
        return _move(rows.active(), Deployment.Status.PAUSED)
    if treatment == "stop":
        return stop(rows)
    return {}


def stop(rows):
    """
    Stop those of these deployments that are not.

    :returns: {id: (status before, status after)} of those that changed
    """
    return _move(rows.exclude(status=Deployment.Status.STOPPED), Deployment.Status.STOPPED)


def as_changes(moved):
    """The entry of an audit event's changes that tells of moved deployments; none, if none moved."""
    return {"deployments": audit.diff_of_rows(moved)} if moved else {}


def _move(rows, status):
    moved = {}
    for deployment in rows.order_by("id").select_for_update():
        moved[deployment.pk] = (deployment.status, status.value)
        deployment.status = status.value
        if status == Deployment.Status.STOPPED:
            deployment.stopped_at = timezone.now()
        save_next_version(deployment, "status", "stopped_at")
    return moved
