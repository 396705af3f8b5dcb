"""What a deployment was set to at an instant, by the audit trail."""

from typing import NamedTuple

from support_platform import audit
from support_platform.inverses import values_before
from support_platform.models import AuditEvent

from .models import Deployment

PARAMETERS = ("quantity", "stop_loss_pct", "take_profit_pct", "max_open_trades", "order_type", "capital")
MAX_EVENTS = 200


class ParametersThen(NamedTuple):
    """
    `values` {parameter: what it was}, `moved` those that were changed since, by `events`, newest first. `torn` are
    those that something changed without an event. `unknown` is why it cannot be told: no_right, too_many, or "".
    """

    values: dict
    moved: set
    events: list
    torn: set
    unknown: str


def parameters_at(deployment, instant, staff):
    """Today's parameters, with every change after the instant that the staff member may read taken back."""
    values, moved, events, torn = {name: getattr(deployment, name) for name in PARAMETERS}, set(), [], set()
    if deployment.version == 1:  # nothing ever changed it
        return ParametersThen(values, moved, events, torn, "")
    if not staff.has_perm("support_platform.view_auditevent"):
        return ParametersThen(values, moved, events, torn, "no_right")
    since = AuditEvent.objects.visible_to(staff).filter(subject_type="deployment", subject_id=deployment.pk)
    since = list(since.filter(at__gt=instant).order_by("-at", "-id")[: MAX_EVENTS + 1])
    if len(since) > MAX_EVENTS:
        return ParametersThen(values, moved, events, torn, "too_many")
    for event in since:
        changes = {name: change for name, change in event.changes.items() if name in PARAMETERS}
        if not changes:
            continue
        events.append(event)
        torn |= {name for name, (_, after) in changes.items() if audit.plain(values[name]) != after}
        values |= values_before(Deployment, changes)
        moved |= changes.keys()
    return ParametersThen(values, moved, events, torn, "")
