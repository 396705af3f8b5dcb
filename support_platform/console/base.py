"""What every model's pages in the console inherit: to look freely, to change only through an operation."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import models
from django.forms import ModelForm
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from support_platform import audit, throttling
from support_platform.decimals import format_decimal
from support_platform.models import AuditEvent
from support_platform.retries import retried

from . import home, lists, panels
from .actions import ActionsMixin
from .attempts import attempt
from .search import SearchMixin


def actor_of(request, *, reason="", user=None):
    """Who acts in the console, and the circumstances."""
    return audit.Actor.of(
        user or request.user,
        reason=reason,
        request_id=request.request_id,
        source=AuditEvent.Source.CONSOLE,
        ip=throttling.client_address(request),
    )


class OperationAdmin(SearchMixin, ActionsMixin, panels.PanelPagesMixin, ModelAdmin):
    """
    Read-only, apart from operations.

    A subclass names `fields`, what a row's page shows first. Methods marked with `actions.operation` are what can be
    done with rows; `add_form` and `create_row` make a new one.
    """

    add_form = None
    superuser_only = False
    icon = "table_rows"
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
        if any(matter.model == model._meta.label_lower for matter in home.matters()):
            self.list_filter = (*self.list_filter, home.AttentionFilter)
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
        return False  # a row's page shows it; operations change it

    def has_add_permission(self, request):
        return self.add_form is not None and self.has_view_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

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
        return {"q", "o", "p", *(name for filter_ in self.list_filter for name in lists.parameters_of(filter_))}

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
        found.full_result_count = found.result_count  # else unfold takes every list for a narrowed one, in its title
        for part in filter(None, request.GET.get("o", "").split(".")):
            index = int(part.lstrip("-"))
            if index >= len(found.list_display) or found.list_display[index] not in found.sortable_by:
                raise BadRequest("This list cannot be ordered like that.")
        return found

    # --- one row -------------------------------------------------------------------------------------
    def get_fieldsets(self, request, obj=None):
        return [(None, {"fields": [self.columns.get(name, name) for name in self.fields]})]

    def get_readonly_fields(self, request, obj=None):
        return self.get_fieldsets(request, obj)[0][1]["fields"]

    def get_form(self, request, obj=None, change=False, **kwargs):
        """None is sent: the page shows."""
        return type("Facts", (ModelForm,), {"Meta": type("Meta", (), {"model": self.model, "fields": []})})

    def change_view(self, request, object_id, form_url="", extra_context=None):
        if request.method == "POST":
            self._refuse_post(request, "change", object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def delete_view(self, request, object_id, extra_context=None):
        if request.method == "POST":
            self._refuse_post(request, "delete", object_id)
        raise PermissionDenied

    def _refuse_post(self, request, attempted, object_id):
        throttling.count_caller(request, "write")
        self.record_refused(request, attempted, [unquote(object_id)])
        raise PermissionDenied

    # --- a new row -----------------------------------------------------------------------------------
    def add_view(self, request, form_url="", extra_context=None):
        if request.method == "POST":
            throttling.count_caller(request, "write")
        if not self.has_add_permission(request):
            if request.method == "POST":
                self.record_refused(request, "add", [""])
            raise PermissionDenied
        form = self.add_form(request.POST if request.method == "POST" else None)
        if form.is_valid():
            by = self.actor(request, form.cleaned_data["reason"])
            outcome = attempt(request, self._create, self.model(), 0, by=by, values=form.values)
            if outcome.is_done:
                self.message_user(request, f"The {self.opts.verbose_name} was created.")
                return redirect(self.url("change", quote(outcome.row.pk)))
            form.refuse(outcome.errors)
        context = {
            "title": f"Add {self.opts.verbose_name}",
            "form": form,
            "action": request.path,
            "back": self.url("changelist"),
        }
        return self._page(request, "admin/ask_operation.html", context)

    def _create(self, request, row, *, by, **values):
        return self.create_row(values, by=by), {}

    def create_row(self, values, *, by):
        """Call the operation; returns the new row."""
        raise NotImplementedError

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
            context["operations"] = self.offered_operations(request, obj)
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
