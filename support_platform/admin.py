"""The audit trail in the console: every event, readable, and nothing that could change one."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join

from . import audit_operations
from .console import lists
from .console.actions import operation
from .console.base import OperationAdmin, shown
from .models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(OperationAdmin):
    icon = "history"
    list_display = ("at", "actor", "action", "subject", "summary", "reason", "source")
    list_filter = (
        lists.period_filter("at", "when"),
        lists.value_filter("source", AuditEvent.Source.values),
        lists.exact_filter("action"),
        lists.exact_filter("subject_type"),
        lists.exact_filter("subject_id", is_number=True),
        lists.exact_filter("user", is_number=True),
        lists.exact_filter("actor_id", is_number=True),
    )
    sortable_by = ("at",)
    ordering = ("-at", "-id")
    search_fields = ("actor__istartswith", "action__istartswith", "request_id__exact")
    search_help_text = "The beginning of an actor's address or of an action (user.deactivated), or a request id."
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

    def has_view_permission(self, request, obj=None):
        """Everyone reads their own events; whose else, the queryset says."""
        return request.user.is_staff

    @operation("Revert", right="support_platform.revert_change")
    def revert(self, request, event, *, by):
        subject, told = audit_operations.revert_change(event, by=by, staff=request.user)
        return event, f"{subject._meta.verbose_name.capitalize()} {subject} is as before. That is event {told.pk}."

    @admin.display(description="subject")
    def subject(self, event):
        """The row an event speaks of, as a link to where it is shown. The row itself is not read."""
        text = f"{event.subject_type} {event.subject_id or ''}".strip()
        for model, page in self.admin_site._registry.items():
            if model._meta.model_name == event.subject_type and event.subject_id is not None:
                return format_html('<a href="{}">{}</a>', page.url("change", event.subject_id), text)
        return text

    @admin.display(description="what changed")
    def summary(self, event):
        text = "; ".join(
            f"{name}: {_brief(before)} → {_brief(after)}" for name, (before, after) in event.changes.items()
        )
        return text if len(text) <= 160 else f"{text[:159]}…"

    @admin.display(description="what changed")
    def change_table(self, event):
        rows = format_html_join(
            "",
            "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>",
            ((name, shown(before), shown(after)) for name, (before, after) in event.changes.items()),
        )
        head = "<thead><tr><th scope='col'>Field</th><th scope='col'>Before</th><th scope='col'>After</th></tr></thead>"
        return format_html("<table class='changes'>" + head + "<tbody>{}</tbody></table>", rows)


def _brief(value):
    return str(shown(value)) if not isinstance(value, dict) else f"{len(value)} rows"
