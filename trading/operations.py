"""
Operations on what traders made: strategies, deployments, trades, scanners.

Rows are locked in one order everywhere, so that two operations never wait for each other: trader, strategy,
deployments by id, trade.
"""

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from support_platform import audit
from support_platform.exceptions import InvalidChange, OperationRefused
from support_platform.instants import format_instant
from support_platform.locking import lock, save_next_version

from . import deployments
from .models import Deployment

STATUS_ACTIONS = {
    Deployment.Status.ACTIVE: "deployment.resumed",
    Deployment.Status.PAUSED: "deployment.paused",
    Deployment.Status.STOPPED: "deployment.stopped",
}


@transaction.atomic
def delete_strategy(strategy, *, by, stop_deployments=False):
    """
    Delete a strategy softly, and unpublish it. With `stop_deployments` its active and paused deployments are stopped.

    :raises OperationRefused: ``active_deployments`` with their ids, while any is active and may not be stopped
    """
    strategy = lock(strategy)
    if strategy.is_deleted:
        return strategy
    rows = Deployment.objects.filter(strategy=strategy)
    active = list(rows.active().order_by("id").values_list("id", flat=True))
    if active and not stop_deployments:
        raise OperationRefused(
            "active_deployments",
            f"{len(active)} of its deployments are active. Stop them first, or along with it (stop_deployments).",
            deployments=active,
        )
    changes = {"deleted_at": (None, timezone.now())}
    if strategy.is_published:
        changes["published_at"] = (strategy.published_at, None)
    _apply(strategy, changes)
    if stop_deployments:
        changes |= deployments.as_changes(deployments.stop(rows))
    audit.record("strategy.deleted", strategy, by=by, owner=strategy.user, changes=changes)
    return strategy


@transaction.atomic
def restore_strategy(strategy, *, by):
    """Bring a deleted strategy back. It is not published, and its deployments stay as they are."""
    strategy = lock(strategy)
    if not strategy.is_deleted:
        return strategy
    changes = {"deleted_at": (strategy.deleted_at, None)}
    _apply(strategy, changes)
    audit.record("strategy.restored", strategy, by=by, owner=strategy.user, changes=changes)
    return strategy


@transaction.atomic
def publish_strategy(strategy, *, by):
    """
    Show a strategy in the marketplace.

    :raises OperationRefused: ``strategy_deleted``, ``owner_inactive``
    """
    owner = lock(strategy.user)
    strategy = lock(strategy)
    if strategy.is_published:
        return strategy
    _require_kept(strategy, then="publish it")
    _require_active(owner, then="publish the strategy")
    changes = {"published_at": (None, timezone.now())}
    _apply(strategy, changes)
    audit.record("strategy.published", strategy, by=by, owner=owner, changes=changes)
    return strategy


@transaction.atomic
def unpublish_strategy(strategy, *, by):
    """Take a strategy out of the marketplace; its deployments go on."""
    strategy = lock(strategy)
    if not strategy.is_published:
        return strategy
    changes = {"published_at": (strategy.published_at, None)}
    _apply(strategy, changes)
    audit.record("strategy.unpublished", strategy, by=by, owner=strategy.user, changes=changes)
    return strategy


@transaction.atomic
def update_deployment(deployment, *, by, **values):
    """
    Change the status and/or the parameters of a deployment. Stopped is final.

    :raises OperationRefused: ``deployment_stopped``; on resuming ``owner_inactive``, ``strategy_deleted``
    """
    if values.get("status") == Deployment.Status.ACTIVE:
        owner, strategy = lock(deployment.user), lock(deployment.strategy)
    deployment = lock(deployment)
    changes = audit.diff(deployment, **values)
    if not changes:
        return deployment
    if deployment.status == Deployment.Status.STOPPED:
        raise OperationRefused(
            "deployment_stopped", "The deployment is stopped, for good, and takes no change. Deploy the strategy anew."
        )
    action = "deployment.updated"
    if "status" in changes:
        status = values["status"]
        if status == Deployment.Status.ACTIVE:
            _require_active(owner, then="resume the deployment")
            _require_kept(strategy, then="resume the deployment")
        if status == Deployment.Status.STOPPED:
            deployment.stopped_at = timezone.now()
        if len(changes) == 1:
            action = STATUS_ACTIONS[status]
    _apply(deployment, changes, "stopped_at")
    audit.record(action, deployment, by=by, owner=deployment.user, changes=changes)
    return deployment


@transaction.atomic
def stop_deployments(user, *, by):
    """
    Stop every active and paused deployment of a trader, in one event of the trader's.

    :returns: the deployments that were stopped
    """
    user = lock(user)
    moved = deployments.treat_deployments(user, "stop")
    stopped = list(Deployment.objects.filter(pk__in=moved).order_by("id"))
    if moved:
        changes = deployments.as_changes(moved)
        audit.record("user.deployments_stopped", user, by=by, owner=user, changes=changes)
    return stopped


@transaction.atomic
def correct_trade(trade, *, by, now=None, **values):
    """
    Correct `taken_at`, `closed_at`, `strike` and/or `result` of a trade, whatever became of its deployment.

    `closed_at` None reopens it and clears its result. `exit_price` stays what the broker reported.

    :returns: (the trade, the deployment's figures as {"before", "after"})
    :raises InvalidChange: unless taken_at <= closed_at <= now, and a closed trade has a result
    :raises OperationRefused: ``result_without_closed_at`` for the result of a trade that stays open
    """
    owner = trade.user
    # Under the deployment's lock nothing but this correction comes between the two figures.
    deployment = lock(Deployment(pk=trade.deployment_id))
    trade = lock(trade)
    if "closed_at" in values and values["closed_at"] is None:
        values.setdefault("result", None)
    _check_correction(trade, values, now or timezone.now())
    changes = audit.diff(trade, **values)
    figures = import_string(settings.DEPLOYMENT_FIGURES)(deployment)
    if not changes:
        return trade, {"before": figures.before, "after": figures.before}
    was = trade.closed_at, trade.result
    trade.is_corrected = True
    _apply(trade, changes, "is_corrected")
    after = figures.after(was, trade)
    audit.record("trade.corrected", trade, by=by, owner=owner, changes=changes)
    return trade, {"before": figures.before, "after": after}


def _check_correction(trade, values, now):
    """The trade as it would be after the correction, against the rules."""
    taken_at = values.get("taken_at", trade.taken_at)
    closed_at = values.get("closed_at", trade.closed_at)
    result = values.get("result", trade.result)
    instants = {name: values[name] for name in ("taken_at", "closed_at") if values.get(name) is not None}
    errors = {
        name: ("in_future", f"Must not be in the future; it is {format_instant(now)}.")
        for name, instant in instants.items()
        if instant > now
    }
    if closed_at is not None and taken_at > closed_at:
        text = (
            f"taken_at {format_instant(taken_at)} is after closed_at {format_instant(closed_at)}; correct one of them."
        )
        errors |= {name: ("taken_after_closed", text) for name in instants if name not in errors}
    if closed_at is not None and result is None:
        errors["result"] = ("required", "A closed trade has a result; give it, or reopen the trade by closed_at null.")
    elif closed_at is None and "closed_at" in values and result is not None:
        errors["result"] = ("invalid", "closed_at null reopens the trade and clears its result; leave the result out.")
    if errors:
        raise InvalidChange(**errors)
    if closed_at is None and result is not None:
        raise OperationRefused(
            "result_without_closed_at", "The trade is open, and an open trade has no result. Give closed_at as well."
        )


@transaction.atomic
def delete_scanner(scanner, *, by):
    """Delete a scanner softly."""
    scanner = lock(scanner)
    if scanner.is_deleted:
        return scanner
    changes = {"deleted_at": (None, timezone.now())}
    _apply(scanner, changes)
    audit.record("scanner.deleted", scanner, by=by, owner=scanner.user, changes=changes)
    return scanner


@transaction.atomic
def restore_scanner(scanner, *, by):
    """Bring a deleted scanner back."""
    scanner = lock(scanner)
    if not scanner.is_deleted:
        return scanner
    changes = {"deleted_at": (scanner.deleted_at, None)}
    _apply(scanner, changes)
    audit.record("scanner.restored", scanner, by=by, owner=scanner.user, changes=changes)
    return scanner


def _apply(row, changes, *fields):
    """Write {field: (before, after)} to a locked row, and `fields` that were set already."""
    for name, (_, after) in changes.items():
        setattr(row, name, after)
    save_next_version(row, *changes, *fields)


def _require_active(owner, *, then):
    if not owner.is_active:
        raise OperationRefused("owner_inactive", f"The trader's account is inactive. Activate it, then {then}.")


def _require_kept(strategy, *, then):
    if strategy.is_deleted:
        raise OperationRefused("strategy_deleted", f"The strategy is deleted. Restore it, then {then}.")
