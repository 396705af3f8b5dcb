"""Lists of the console as CSV: in scope, on record, streamed, and capped."""

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone

from support_platform import audit
from support_platform.exports import MAX_ROWS as MAX_EXPORT
from support_platform.exports import csv_lines
from support_platform.retries import retried

EXPORT = "export_csv"


class ExportMixin:
    """The part of OperationAdmin that exports lists."""

    # What an export holds, each a field or dotted path of the row; empty: no export.
    export_fields = ()

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
        told = retried(
            record, f"{self.audit_subject}.exported", subject, by=by, changes=changes, broker_id=by.broker_id
        )
        rows = self.without_event(queryset, told)[:MAX_EXPORT].iterator(chunk_size=2000)
        lines = csv_lines(self.export_fields, ([follow(row, name) for name in self.export_fields] for row in rows))
        stem = str(self.opts.verbose_name_plural).replace(" ", "-") + (f"-first-{MAX_EXPORT}" if is_cut else "")
        name = f"{stem}-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def without_event(self, queryset, event):
        """The rows without the export's own audit event, where it could be among them."""
        return queryset


def follow(row, path):
    for name in path.split("."):
        row = getattr(row, name, None)
    return row
