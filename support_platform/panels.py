"""What the page of an audit event shows besides the event."""

from .console.panels import Panel
from .models import AuditEvent

MAX_EVENTS = 50


class SameRequestPanel(Panel):
    """The other events of one request, such as those of all rows that one answer changed."""

    title = "The same request"
    template = "admin/same_request.html"
    is_wide = True

    def show(self, request, event):
        if not event.request_id:
            return None
        events = AuditEvent.objects.visible_to(request.user).filter(request_id=event.request_id).exclude(pk=event.pk)
        found = list(events.order_by("id")[: MAX_EVENTS + 1])
        return {"events": found[:MAX_EVENTS], "is_cut": len(found) > MAX_EVENTS} if found else None
