"""The audit trail in the console: every event, readable, and nothing that could change one."""

import re

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.html import format_html

from . import audit_operations, ids, inverses
from .console import lists, search
from .console.actions import operation
from .console.base import OperationAdmin
from .console.differences import as_words, differences
from .models import AuditEvent

MAX_NEWEST = 10_000
_ROW = re.compile(r"([A-Za-z]{1,32}) #?([0-9]{1,19})", re.ASCII)


@admin.register(AuditEvent)
class AuditEventAdmin(OperationAdmin):
    icon = "history"
    list_display = ("at", "actor", "action", "subject", "summary", "reason", "source")
    list_filter = (
        lists.period_filter("at", "when"),
        lists.span_filter("at", "when"),
        lists.value_filter("source", AuditEvent.Source.values),
        lists.exact_filter("action"),
        lists.exact_filter("subject_type"),
        lists.exact_filter("subject_id", is_number=True),
        lists.exact_filter("user", is_number=True),
        lists.exact_filter("actor_id", is_number=True),
    )
    sortable_by = ("at",)
    ordering = ("-at", "-id")
    search_fields = ("request_id",)
    ways = (search.by_value("request_id"), search.by_id())
    search_help_text = (
        "A row such as trade 298, a request id, an event's id, the whole e-mail of an actor or a trader, or the "
        "beginning of an action, such as user.deactivated, or of an actor, which are looked for "
        f"among the newest {MAX_NEWEST:,} events."
    )
    fields = (
        "at",
        "actor",
        "action",
        "subject",
        "change_table",
        "reason",
        "source",
        "ip",
        "request_id",
        "user",
        "broker",
        "id",
    )

    export_fields = (
        "id",
        "at",
        "actor",
        "actor_id",
        "action",
        "subject_type",
        "subject_id",
        "subject_version",
        "user",
        "broker",
        "changes",
        "reason",
        "source",
        "ip",
        "request_id",
    )

    def search_listed(self, request, queryset, term):
        row = _ROW.fullmatch(term)
        if row and ids.is_id(row[2]):
            return queryset.filter(subject_type=row[1].lower(), subject_id=row[2])
        accounts = []
        if "@" in term:
            accounts = list(get_user_model().objects.filter(email=term.lower()).values_list("pk", flat=True))
        if accounts:
            return queryset.filter(Q(actor_id__in=accounts) | Q(user__in=accounts))
        return super().search_listed(request, queryset, term)

    def found(self, request, term, limit):
        found = super().found(request, term, limit)
        if found or limit < search.MAX_IN_LIST:
            return found
        newest = self.get_queryset(request).order_by("-at", "-id").values_list("pk", "actor", "action")[:MAX_NEWEST]
        is_meant = [(pk, any(text.lower().startswith(term.lower()) for text in texts)) for pk, *texts in newest]
        return [pk for pk, is_it in is_meant if is_it][:limit]

    def has_view_permission(self, request, obj=None):
        """Everyone reads their own events; whose else, the queryset says."""
        return request.user.is_staff

    @operation("Revert", right="support_platform.revert_change", suits=lambda event: inverses.exists(event.action))
    def revert(self, request, event, *, by):
        subject, _ = audit_operations.revert_change(event, by=by, staff=request.user)
        return event, {"As before": f"{subject._meta.verbose_name} {subject}"}

    def without_event(self, queryset, event):
        return queryset.exclude(pk=event.pk)

    @admin.display(description="subject")
    def subject(self, event):
        """The row an event speaks of, as a link to where it is shown. The row itself is not read."""
        text = f"{event.subject_type} {event.subject_id or ''}".strip()
        # Of accounts only a trader's own events are known to be about one who has a page there.
        is_elsewhere = event.subject_type == "user" and event.user != event.subject_id
        page = self.admin_site.pages_by_name.get(event.subject_type)
        if page is None or event.subject_id is None or is_elsewhere:
            return text
        return format_html('<a href="{}">{}</a>', page.url("change", event.subject_id), text)

    @admin.display(description="what changed")
    def summary(self, event):
        text = "; ".join(f"{name}: {_brief(old)} → {_brief(new)}" for name, (old, new) in event.changes.items())
        return text if len(text) <= 160 else f"{text[:159]}…"

    @admin.display(description="what changed")
    def change_table(self, event):
        found = differences(event.changes, self.admin_site)
        return render_to_string("admin/differences.html", {"differences": found})


def _brief(value):
    return f"{len(value)} entries" if isinstance(value, dict | list) else as_words(value)
