"""
Operations on chosen rows, from a list or from one row's page: a page that asks why, then row by row.

Each row is its own transaction, so that one that is refused does not undo the others; what happened to each is told.
"""

import re
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponseNotAllowed, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from rest_framework.exceptions import Throttled

from support_platform import audit, throttling
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach, StaleVersion, is_unavailable
from support_platform.exports import MAX_ROWS as MAX_EXPORT
from support_platform.exports import csv_lines
from support_platform.retries import retried

from . import lists
from .forms import ReasonField
from .look import dress

MAX_ROWS = 500
EXPORT = "export_csv"
_SEEN = re.compile(r"[0-9a-f-]{1,36}:[0-9]{1,10}( [0-9a-f-]{1,36}:[0-9]{1,10})*", re.ASCII)


class ReasonForm(forms.Form):
    """What every operation on chosen rows asks. `seen` names them, with the versions that were shown."""

    seen = forms.CharField(widget=forms.HiddenInput)
    reason = ReasonField()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["reason"] = self.fields.pop("reason")  # last, after what a subclass asks
        dress(self.fields)

    def clean_seen(self):
        return read_seen(self.cleaned_data["seen"])


def read_seen(text):
    """
    {id as text: version} of the rows a page named.

    :raises BadRequest: no page of the console names rows like this
    """
    if not _SEEN.fullmatch(text):
        raise BadRequest("The chosen rows are not readable. Choose them in the list again.")
    return {row_id: int(version) for row_id, version in (part.split(":") for part in text.split(" "))}


@dataclass(frozen=True)
class Operation:
    name: str
    label: str
    right: str | None
    form: type
    bucket: tuple | None


def operation(label, *, right=None, form=ReasonForm, bucket=None):
    """
    Make a method of an OperationAdmin an operation on chosen rows.

    The method takes the request, a row that carries the version seen, `by` and the form's further fields, calls the
    operation of the domain, one transaction, and returns (the row, a note for the page or ""). Without `right`, who
    sees the rows may. `bucket` is the limit (bucket, key) that each row is counted by.
    """

    def mark(method):
        method.operation = Operation(method.__name__, label, right, form, bucket)
        return method

    return mark


@dataclass(frozen=True)
class Outcome:
    """What became of one row. `level` is that of Django's messages."""

    row: object
    text: str
    level: int = messages.SUCCESS

    @property
    def tag(self):
        return messages.DEFAULT_TAGS[self.level]


class ActionsMixin:
    """The part of OperationAdmin that runs operations on chosen rows and exports lists."""

    # What an export holds, each a field or dotted path of the row; empty: no export.
    export_fields = ()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        marked = (
            name for cls in type(self).__mro__ for name, member in vars(cls).items() if hasattr(member, "operation")
        )
        self.operations = {name: getattr(self, name) for name in marked}

    def get_urls(self):
        name = f"{self.opts.app_label}_{self.opts.model_name}_operate"
        view = self.admin_site.admin_view(self.operate_view)
        return [path("operate/<slug:name>/", view, name=name), *super().get_urls()]

    def allowed_operations(self, request):
        if not self.has_view_permission(request):
            return []
        return [
            method.operation
            for method in self.operations.values()
            if method.operation.right is None or request.user.has_perm(method.operation.right)
        ]

    # --- from the list -------------------------------------------------------------------------------
    def get_actions(self, request):
        """Django's table of the actions in the list's menu; `response_action` below carries them out."""
        offered = [(operation.name, operation.label) for operation in self.allowed_operations(request)]
        if self.export_fields and self.has_view_permission(request):
            offered.append((EXPORT, "Export as CSV"))
        return {name: (None, name, label) for name, label in offered}

    def response_action(self, request, queryset):
        throttling.count_caller(request, "read")  # choosing changes nothing yet
        name, across = request.POST.get("action", ""), request.POST.get("select_across") == "1"
        if not name:
            self.message_user(request, "Choose an action first. Nothing was changed.", messages.WARNING)
            return None
        ids = self._readable(request.POST.getlist(ACTION_CHECKBOX_NAME))
        if name == EXPORT:
            return self.export(request, queryset if across else queryset.filter(pk__in=ids), across)
        if across:
            ids = [str(pk) for pk in queryset.values_list("pk", flat=True)[: MAX_ROWS + 1]]
        return self._confirm(request, self._operation(request, name, ids), ids)

    # --- from one row's page, and from the page that asks why ------------------------------------------
    def operate_view(self, request, name):
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if "seen" not in request.POST:
            throttling.count_caller(request, "read")
            ids = self._readable(request.POST.getlist("id"))
            return self._confirm(request, self._operation(request, name, ids), ids)
        throttling.count_caller(request, "write")  # once, however many rows
        seen = read_seen(request.POST["seen"])
        ids = self._readable(seen)
        operation = self._operation(request, name, ids)
        form = operation.form(request.POST)
        if not form.is_valid():
            return self._confirm(request, operation, ids, form)
        return self._carry_out(request, operation, self._rows(request, operation, ids), seen, form.cleaned_data)

    def _readable(self, ids):
        ids = list(dict.fromkeys(ids))
        if not all(lists.is_id(self.model, row_id) for row_id in ids):
            raise BadRequest("One of the chosen ids is none.")
        return ids

    def _operation(self, request, name, ids):
        if name not in self.operations:
            raise Http404
        operation = self.operations[name].operation
        if operation not in self.allowed_operations(request):
            self.record_refused(request, name, ids[:MAX_ROWS])
            raise PermissionDenied
        return operation

    def _rows(self, request, operation, ids):
        """Those of the rows that are in reach. An attempt on the others is recorded."""
        rows = self.get_queryset(request).select_related(*self.list_select_related or ()).in_bulk(ids)
        rows = {str(pk): row for pk, row in rows.items()}
        self.record_refused(request, operation.name, [row_id for row_id in ids if row_id not in rows])
        return [rows[row_id] for row_id in ids if row_id in rows]

    def _confirm(self, request, operation, ids, form=None):
        if len(ids) > MAX_ROWS:
            text = f"An operation takes at most {MAX_ROWS} rows at a time. Narrow the list by filters or search."
            self.message_user(request, text, messages.ERROR)
            return redirect(self.url("changelist"))
        rows = self._rows(request, operation, ids)
        if not rows:
            self.message_user(request, "What you chose does not exist. Nothing was changed.", messages.ERROR)
            return redirect(self.url("changelist"))
        if form is None:
            form = operation.form(initial={"seen": " ".join(f"{row.pk}:{version_of(row)}" for row in rows)})
        context = {
            "title": f"{operation.label}: {self._counted(rows)}",
            "operation": operation,
            "form": form,
            "rows": [(row, self.url("change", row.pk)) for row in rows],
            "missing": len(ids) - len(rows),
            "action": self.url("operate", operation.name),
            "back": self.url("change", rows[0].pk) if len(rows) == 1 else self.url("changelist"),
        }
        return self._page(request, "admin/confirm_operation.html", context)

    def _carry_out(self, request, operation, rows, seen, values):
        by = self.actor(request, values.pop("reason"))
        del values["seen"]
        outcomes = [self._attempt(request, operation, row, seen[str(row.pk)], by, values) for row in rows]
        if not outcomes:
            self.message_user(request, "What you chose does not exist. Nothing was changed.", messages.ERROR)
            return redirect(self.url("changelist"))
        if len(outcomes) == 1:
            [outcome] = outcomes
            self.message_user(request, f"{operation.label}: {outcome.text}", outcome.level)
            return redirect(self.url("change", outcome.row.pk))
        context = {
            "title": f"{operation.label}: {self._counted(outcomes)}",
            "operation": operation,
            "outcomes": [(outcome, self.url("change", outcome.row.pk)) for outcome in outcomes],
            "done": sum(outcome.level == messages.SUCCESS for outcome in outcomes),
            "back": self.url("changelist"),
        }
        return self._page(request, "admin/operation_outcomes.html", context)

    def _attempt(self, request, operation, row, version, by, values):
        if hasattr(row, "version"):
            row.if_match = {version}
        before = version_of(row)
        try:
            if operation.bucket:
                throttling.count(request, *operation.bucket, row.pk)
            changed, note = retried(self.operations[operation.name], request, row, by=by, **values)
        except StaleVersion:
            return Outcome(row, "Not done: it was changed meanwhile. Look at it again, then repeat.", messages.ERROR)
        except PermissionDenied:
            return Outcome(row, "Not done: it takes a right that you do not have.", messages.ERROR)
        except OutOfReach:
            return Outcome(row, "Not done: it does not exist any more.", messages.ERROR)
        except OperationRefused as refusal:
            return Outcome(row, f"Not done: {refused_text(refusal)}", messages.ERROR)
        except InvalidChange as refusal:
            return Outcome(row, f"Not done: {refusal}", messages.ERROR)
        except Throttled as refusal:
            seconds = max(1, int(refusal.wait))
            return Outcome(row, f"Not done: the limit is reached. Try again in {seconds} seconds.", messages.ERROR)
        except Exception as error:
            if not is_unavailable(error):
                raise
            return Outcome(row, "Not done: the database or the cache is away. Try again shortly.", messages.ERROR)
        if not note and version_of(changed) == before and hasattr(row, "version"):
            return Outcome(row, "Nothing to do: it is so already.", messages.INFO)
        return Outcome(row, note or "Done.")

    def _counted(self, rows):
        return f"{len(rows)} {self.opts.verbose_name if len(rows) == 1 else self.opts.verbose_name_plural}"

    def _page(self, request, template, context):
        request.current_app = self.admin_site.name
        page = {**self.admin_site.each_context(request), "opts": self.opts, "subtitle": None, **context}
        return TemplateResponse(request, template, page)

    # --- export --------------------------------------------------------------------------------------
    def export(self, request, queryset, across):
        """The rows of the list, newest first, as CSV; the first 50,000, which the file's name then says."""
        if not self.export_fields:
            raise PermissionDenied
        count = queryset.order_by().values("pk")[: MAX_EXPORT + 1].count()
        is_cut, count = count > MAX_EXPORT, min(count, MAX_EXPORT)
        filters = {name: value for name, value in request.GET.items() if name not in ("p", "o")}
        changes = {"rows": (None, count), "filters": (None, filters if across else {**filters, "chosen": "by hand"})}
        subject = self.model()
        by = self.actor(request)
        record = transaction.atomic(audit.record)
        retried(record, f"{self.audit_subject}.exported", subject, by=by, changes=changes, broker_id=by.broker_id)
        rows = queryset[:MAX_EXPORT].iterator(chunk_size=2000)
        lines = csv_lines(self.export_fields, ([follow(row, name) for name in self.export_fields] for row in rows))
        stem = str(self.opts.verbose_name_plural).replace(" ", "-") + (f"-first-{MAX_EXPORT}" if is_cut else "")
        name = f"{stem}-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def url(self, view, *args):
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{view}", args=args)


def version_of(row):
    return getattr(row, "version", 0)


def refused_text(refusal):
    """An operation's refusal with the rows it names, such as the deployments that are active."""
    named = "".join(f" {name.capitalize()}: {', '.join(map(str, ids))}." for name, ids in refusal.extra.items())
    return f"{refusal.detail}{named}"


def follow(row, path):
    for name in path.split("."):
        row = getattr(row, name, None)
    return row
