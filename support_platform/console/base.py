"""What every model's pages in the console inherit: to look freely, to change only through an operation."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import models
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from support_platform import audit, throttling
from support_platform.decimals import format_decimal
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach, StaleVersion
from support_platform.models import AuditEvent
from support_platform.retries import retried

from . import lists, panels
from .actions import ActionsMixin, refused_text
from .forms import PAGE_FIELDS, OperationForm

STALE = "It was changed by someone else while this page was open. Nothing was saved. Open it again, then repeat."


def actor_of(request, *, reason="", user=None):
    """Who acts in the console, and the circumstances."""
    return audit.Actor.of(
        user or request.user,
        reason=reason,
        request_id=request.request_id,
        source=AuditEvent.Source.CONSOLE,
        ip=throttling.client_address(request),
    )


class Refused(Exception):
    """The operation did not make the change; the page is shown again with `errors` {field or "": text}."""

    def __init__(self, errors, *, is_stale=False):
        super().__init__(errors)
        self.errors = errors
        self.is_stale = is_stale


class OperationAdmin(ActionsMixin, panels.PanelPagesMixin, ModelAdmin):
    """
    Read-only, apart from operations.

    A subclass names `fields` (what a row's page shows), and what may be changed there: `change_fields` (field of
    `form` -> the right it takes) with `change_row`, `form` for a new row with `create_row`. Methods marked with
    `actions.operation` are what can be done with chosen rows.
    """

    form = OperationForm
    add_form = None
    change_fields = {}
    superuser_only = False
    icon = "table_rows"
    is_found_first = False  # its rows are what the search on every page looks for
    instant_precision = "seconds"
    list_per_page = 100
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = lists.CappedPaginator
    list_select_related = ()
    sortable_by = ()
    view_on_site = False

    def __init__(self, model, admin_site):
        super().__init__(model, admin_site)
        self.audit_subject = model._meta.concrete_model._meta.model_name
        self.columns = {field.name: self._column(field) for field in model._meta.concrete_fields}
        named = {*self.fields, *self.list_display}
        self.columns |= {name: _property(name) for name in named if isinstance(getattr(model, name, None), property)}

    # --- rights --------------------------------------------------------------------------------------
    def has_view_permission(self, request, obj=None):
        if self.superuser_only:
            return request.user.is_superuser
        return request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}")

    def has_module_permission(self, request):
        return self.has_view_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request, obj) and bool(self.editable(request))

    def has_add_permission(self, request):
        return self.add_form is not None and self.has_view_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

    def editable(self, request):
        """The fields that this person may change; a right None is had by whoever sees the row."""
        return [name for name, right in self.change_fields.items() if right is None or request.user.has_perm(right)]

    def get_queryset(self, request):
        """The rows in the reach of this person; for everything the page does, so that no others exist for it."""
        rows = super().get_queryset(request)
        return rows if self.superuser_only else rows.visible_to(request.user)

    def get_object(self, request, object_id, from_field=None):
        return super().get_object(request, object_id) if lists.is_id(self.model, object_id) else None

    def actor(self, request, reason=""):
        return actor_of(request, reason=reason)

    def record_refused(self, request, attempted, ids):
        """Someone tried to change rows that are not theirs to change: nothing happens, and the trail tells."""
        for row_id in ids:
            subject_id = int(row_id) if str(row_id).isdigit() and lists.is_id(self.model, row_id) else None
            by = self.actor(request)
            retried(audit.record_refused_attempt, attempted, self.audit_subject, subject_id, by=by)

    # --- lists ---------------------------------------------------------------------------------------
    def get_list_display(self, request):
        return [self.columns.get(name, name) for name in self.list_display]

    def get_sortable_by(self, request):
        return [self.columns.get(name, name) for name in self.sortable_by]

    def list_parameters(self):
        return {"q", "o", "p", *(filter_.parameter_name for filter_ in self.list_filter)}

    def lookup_allowed(self, lookup, value, request=None):
        return lookup in self.list_parameters()

    def get_changelist_instance(self, request):
        lists.check_parameters(request.GET, self.list_parameters())
        try:
            found = super().get_changelist_instance(request)
        except IncorrectLookupParameters:
            raise BadRequest("There is no such page of this list.") from None
        if found.page_num > 1 and not found.multi_page:
            raise BadRequest("There is no such page of this list.")
        found.title = capfirst(self.opts.verbose_name_plural)
        for part in filter(None, request.GET.get("o", "").split(".")):
            index = int(part.lstrip("-"))
            if index >= len(found.list_display) or found.list_display[index] not in found.sortable_by:
                raise BadRequest("This list cannot be ordered like that.")
        return found

    def get_search_results(self, request, queryset, search_term):
        lists.check_search(search_term)
        return super().get_search_results(request, queryset, search_term)

    # --- one row -------------------------------------------------------------------------------------
    def get_fieldsets(self, request, obj=None):
        if obj is None:
            return [
                (None, {"fields": [*(name for name in self.add_form.base_fields if name not in PAGE_FIELDS), "reason"]})
            ]
        editable = self.editable(request) if self.has_change_permission(request, obj) else []
        shown = (None, {"fields": [self.columns.get(name, name) for name in self.fields if name not in editable]})
        return [shown, ("Change", {"fields": [*editable, *reversed(PAGE_FIELDS)]})] if editable else [shown]

    def get_readonly_fields(self, request, obj=None):
        return [] if obj is None else self.get_fieldsets(request, obj)[0][1]["fields"]

    def get_form(self, request, obj=None, change=False, **kwargs):
        base = self.form if change else self.add_form
        dropped = base.base_fields.keys() - set(PAGE_FIELDS) - set(self.editable(request)) if change else ()
        members = {
            **dict.fromkeys(dropped),
            "Meta": type("Meta", (), {"model": self.model, "fields": []}),
            "shown": [name for name in self.fields if hasattr(self.model, name)],
            "refused": getattr(request, "refused", None),
        }
        return type(base.__name__, (base,), members)

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        context = {"show_save_and_continue": False, "show_save_and_add_another": False, **(extra_context or {})}
        if request.method == "POST":
            throttling.count_caller(request, "write")
        is_known = request.method != "POST" or object_id is None or self.get_object(request, unquote(object_id))
        if not is_known:
            self.record_refused(request, "change", [unquote(object_id)])
        view = super().changeform_view  # Django's, which is one transaction
        try:
            return retried(view, request, object_id, form_url, context)
        except Refused as refused:
            # Once more, with its errors in the form, which is therefore not valid and only shown.
            request.refused = refused
            return view(request, object_id, form_url, context)
        except PermissionDenied:
            if request.method == "POST" and is_known:
                self.record_refused(request, "change" if object_id else "add", [unquote(object_id or "")])
            raise

    def save_model(self, request, obj, form, change):
        by = self.actor(request, form.cleaned_data["reason"])
        try:
            if change:
                obj.if_match = {form.cleaned_data["version"]}
                row, request.note = self.change_row(obj, form.values, by=by) if form.values else (obj, "")
                request.is_changed = row.version != obj.version
            else:
                row = self.create_row(form.values, by=by)
                obj.pk = row.pk
        except StaleVersion:
            raise Refused({"": STALE}, is_stale=True) from None
        except OperationRefused as refusal:
            raise Refused({"": refused_text(refusal)}) from None
        except InvalidChange as refusal:
            raise Refused({field: text for field, (_, text) in refusal.errors.items()}) from None
        except OutOfReach:
            raise Http404 from None

    def change_row(self, row, values, *, by):
        """Call the operation; returns (the changed row, a note for the page or "")."""
        raise NotImplementedError

    def create_row(self, values, *, by):
        """Call the operation; returns the new row."""
        raise NotImplementedError

    def save_related(self, request, form, formsets, change):
        """There is nothing besides what the operation saved."""

    def log_addition(self, request, obj, message):
        """The operation has written the audit event."""

    log_change = log_addition

    def response_change(self, request, obj):
        if request.is_changed:
            self.message_user(request, f"Saved. {request.note}".strip())
        else:
            self.message_user(request, "Nothing was changed: every value is as it was.", messages.INFO)
        return redirect(self.url("change", quote(obj.pk)))

    def response_add(self, request, obj, post_url_continue=None):
        self.message_user(request, f"The {self.opts.verbose_name} was created.")
        return redirect(self.url("change", quote(obj.pk)))

    def delete_view(self, request, object_id, extra_context=None):
        if request.method == "POST":
            throttling.count_caller(request, "write")
            self.record_refused(request, "delete", [unquote(object_id)])
        raise PermissionDenied

    def history_view(self, request, object_id, extra_context=None):
        """The audit trail of the row, as far as this person may read it."""
        subject_type, subject_id = self.audit_trail_of(request, unquote(object_id))
        query = urlencode({"subject_type": subject_type, "subject_id": subject_id})
        return redirect(f"{reverse('admin:support_platform_auditevent_changelist')}?{query}")

    def audit_trail_of(self, request, object_id):
        """(type, id) of the subject under which the row's audit events stand."""
        return self.audit_subject, object_id

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if change:
            context["operations"] = [
                (operation, self.url("operate", operation.name)) for operation in self.allowed_operations(request)
            ]
            context["related_lists"] = self.related_lists(request, obj)
            context["panels"] = panels.rendered(self.opts.label_lower, request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def related_lists(self, request, obj):
        """(name, address) of the lists that can be narrowed to this row."""
        found = []
        for relation in self.opts.related_objects:
            other = self.admin_site._registry.get(relation.related_model)
            if other and relation.field.name in other.list_parameters() and other.has_view_permission(request):
                query = urlencode({relation.field.name: obj.pk})
                found.append((other.opts.verbose_name_plural, f"{other.url('changelist')}?{query}"))
        return found

    # --- how values look -----------------------------------------------------------------------------
    def _column(self, field):
        """A field of the model, whole and exact: Django would round instants to words and pad decimals."""

        def column(row):
            value = getattr(row, field.name)
            if isinstance(value, models.Model):
                return self._linked(value)
            value = dict(field.flatchoices).get(value, value) if field.flatchoices else value
            return shown(value, self.instant_precision)

        column.__name__ = field.name
        is_instant = isinstance(field, models.DateTimeField | models.GeneratedField)
        column.short_description = f"{field.verbose_name} (UTC)" if is_instant else field.verbose_name
        column.admin_order_field = field.name
        column.boolean = isinstance(field, models.BooleanField)
        return column

    def _linked(self, row):
        other = self.admin_site._registry.get(type(row))
        if other is None or other.superuser_only:
            return str(row)
        return format_html('<a href="{}">{}</a>', other.url("change", row.pk), row)


def _property(name):
    """What the model works out, such as the status of a trade, as a column."""

    def column(row):
        return shown(getattr(row, name))

    column.__name__ = name
    column.short_description = name.replace("_", " ")
    return column


def shown(value, instant_precision="seconds"):
    """A value as the console shows it: instants in UTC, decimals plain, documents as a block."""
    if value is None or value == "":
        return "–"
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec=instant_precision)
    if isinstance(value, dict | list):
        return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))
    return value
