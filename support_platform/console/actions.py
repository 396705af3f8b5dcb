"""
The one flow of every change, of one row or of many: ask, preview, confirm, receipt.

Each step is a page that works by itself; on a row's page dialog.js shows the same pages as a dialog. Each row is its
own transaction, so that one that is refused does not undo the others; what happened to each is told.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from support_platform import throttling

from . import lists
from .attempts import NOTHING_TO_DO, STALE, attempt
from .differences import differences
from .export import EXPORT, ExportMixin
from .forms import ReasonForm, read_seen, version_of

MAX_ROWS = 500
MAX_REHEARSED = 50
# What an answer to a dialog asks for: to go back and type, to see what would happen (which is the default), to do it.
EDIT, PREVIEW, CONFIRM = STEPS = ("edit", "preview", "confirm")


@dataclass(frozen=True)
class Operation:
    name: str
    label: str
    rights: tuple
    form: type
    bucket: tuple | None
    suits: Callable
    is_for_one: bool
    is_grave: bool


def operation(label, *, right=None, form=ReasonForm, bucket=None, suits=None, is_for_one=False, is_grave=False):
    """
    Make a method of an OperationAdmin an operation on chosen rows.

    The method takes the request, a row that carries the version seen, `by` and the form's values, calls the operation
    of the domain, and returns (the row, what was done besides: {name: text or attempts.Figures}). It is called in a
    transaction, which a preview rolls back. `right` is one, or several of which one is enough; without, who sees the
    rows may. `bucket` is the limit (bucket, key) that each row is counted by. Pages of rows that it `suits` offer it.
    `is_for_one`: it takes one row at a time. `is_grave`: it cannot be undone by its opposite, or hurts at once.
    """
    rights = (right,) if isinstance(right, str) else tuple(right or ())

    def mark(method):
        fits = suits or (lambda row: True)
        method.operation = Operation(method.__name__, label, rights, form, bucket, fits, is_for_one, is_grave)
        return method

    return mark


class ActionsMixin(ExportMixin):
    """The part of OperationAdmin that runs operations on chosen rows."""

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
            if not method.operation.rights or any(map(request.user.has_perm, method.operation.rights))
        ]

    def offered_operations(self, request, row):
        """[(operation, its address)] of those that this person may do and that make sense for the row as it is."""
        offered = [operation for operation in self.allowed_operations(request) if operation.suits(row)]
        return [(operation, self.url("operate", operation.name)) for operation in offered]

    # --- from the list -------------------------------------------------------------------------------
    def get_actions(self, request):
        """Django's table of the actions in the list's menu; `response_action` below carries them out."""
        allowed = self.allowed_operations(request)
        offered = [(operation.name, operation.label) for operation in allowed if not operation.is_for_one]
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
        return self._begin(request, name, ids)

    # --- from one row's page, and from the pages of the flow itself ----------------------------------------
    def operate_view(self, request, name):
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if "seen" not in request.POST:
            throttling.count_caller(request, "read")
            return self._begin(request, name, self._readable(request.POST.getlist("id")))
        step = request.POST.get("step", PREVIEW)
        if step not in STEPS:
            raise BadRequest(f"step must be one of: {', '.join(STEPS)}.")
        throttling.count_caller(request, "read" if step == EDIT else "write")  # once, however many rows
        seen = read_seen(request.POST["seen"])
        ids = self._readable(seen)
        operation = self._operation(request, name, ids)
        rows = self._rows(request, operation, ids)
        if not rows or len(rows) > self._most(operation):
            return self._refuse_choice(request, operation, rows)
        form = self._form(request, operation, rows, request.POST)
        if step == EDIT or not form.is_valid():
            return self._ask(request, operation, rows, form, missing=len(ids) - len(rows))
        return self._answer(request, operation, rows, form, seen, is_dry_run=step == PREVIEW)

    def _begin(self, request, name, ids):
        operation = self._operation(request, name, ids)
        if len(ids) > self._most(operation):
            return self._refuse_choice(request, operation, ids)
        rows = self._rows(request, operation, ids)
        if not rows:
            return self._refuse_choice(request, operation, rows)
        form = self._form(request, operation, rows)
        return self._ask(request, operation, rows, form, missing=len(ids) - len(rows))

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

    @staticmethod
    def _most(operation):
        return 1 if operation.is_for_one else MAX_ROWS

    def _refuse_choice(self, request, operation, rows):
        if not rows:
            text = "What you chose does not exist. Nothing was changed."
        elif operation.is_for_one:
            text = f"{operation.label} takes one {self.opts.verbose_name} at a time. Nothing was changed."
        else:
            text = f"An operation takes at most {MAX_ROWS} rows at a time. Narrow the list by filters or search."
        self.message_user(request, text, messages.ERROR)
        return redirect(self.url("changelist"))

    def _form(self, request, operation, rows, data=None):
        return operation.form(data, rows=rows, names=self.fields, may=request.user.has_perm)

    # --- the steps -----------------------------------------------------------------------------------
    def _ask(self, request, operation, rows, form, **context):
        return self._step(request, operation, rows, "admin/ask_operation.html", form=form, **context)

    def _answer(self, request, operation, rows, form, seen, *, is_dry_run):
        """Do it to each row, or rehearse it with the first of them; a single row that is refused is asked again."""
        method, by = self.operations[operation.name], self.actor(request, form.cleaned_data["reason"])
        tried = {"by": by, "values": form.values, "bucket": operation.bucket, "is_dry_run": is_dry_run}
        some = rows[:MAX_REHEARSED] if is_dry_run else rows
        outcomes = [attempt(request, method, row, seen[str(row.pk)], **tried) for row in some]
        [outcome, *others] = outcomes
        if form.row is not None and not outcome.is_done:
            return self._ask_again(request, operation, rows, form, outcome)
        context = {
            "outcomes": [(outcome, self.url("change", outcome.row.pk)) for outcome in outcomes],
            "done": sum(outcome.is_done for outcome in outcomes),
            "reason": by.reason,
            "further": len(rows) - len(some),
        }
        if not others and form.row is not None:
            context["outcome"] = outcome
            context["differences"] = differences(outcome.changes, self.admin_site, request)
        if is_dry_run:
            return self._step(request, operation, rows, "admin/preview_operation.html", form=form, **context)
        trail = self.admin_site.pages_by_name["auditevent"]
        context["events"] = [(event, trail.url("change", event.pk)) for event in outcome.events]
        return self._step(request, operation, rows, "admin/receipt_of_operation.html", **context)

    def _ask_again(self, request, operation, rows, form, outcome):
        if outcome.is_stale:
            rows = self._rows(request, operation, [str(rows[0].pk)])  # as it is now
            fresh = self._form(request, operation, rows)
            form = self._form(request, operation, rows, fresh.begun_again(request.POST))
            if form.is_valid():
                form.refuse({"": STALE})
            return self._ask(
                request,
                operation,
                rows,
                form,
                is_stale=True,
                meanwhile=fresh.meanwhile(request.POST.get("shown", "")),
                versions=(read_seen(request.POST["seen"])[str(rows[0].pk)], version_of(rows[0])),
            )
        form.refuse(outcome.errors or {"": NOTHING_TO_DO})
        response = self._ask(request, operation, rows, form)
        if outcome.retry_after is not None:
            response.status_code = 503
            response["Retry-After"] = str(outcome.retry_after)
        return response

    def _step(self, request, operation, rows, template, **context):
        row = rows[0] if len(rows) == 1 else None
        context = {
            "title": f"{operation.label}: {self.named(row) if row else self._counted(rows)}",
            "operation": operation,
            "row": row,
            "rows": [(row, self.url("change", row.pk)) for row in rows],
            "action": self.url("operate", operation.name),
            "back": self.url("change", row.pk) if row else self.url("changelist"),
            **context,
        }
        return self._page(request, template, context)

    def named(self, row):
        """The row as the dialogs and the audit trail's page call it."""
        return str(row)

    def _counted(self, rows):
        return f"{len(rows)} {self.opts.verbose_name if len(rows) == 1 else self.opts.verbose_name_plural}"

    def _page(self, request, template, context):
        request.current_app = self.admin_site.name
        page = {**self.admin_site.each_context(request), "opts": self.opts, "subtitle": None, **context}
        return TemplateResponse(request, template, page)

    def url(self, view, *args):
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{view}", args=args)
