"""Panels that list the rows which belong to the row of a page: the newest few, and the way to all of them."""

from datetime import datetime
from typing import NamedTuple

from django.contrib import admin

from support_platform.bounded import few

from .base import shown
from .panels import Panel, list_url


class Cell(NamedTuple):
    text: str
    kind: str  # its style: number, instant or ""


class RowsPanel(Panel):
    """
    `columns` maps a heading to a dotted path; the first one leads to the row's own page. All of them stand in the list
    of the model, narrowed by `parameter` to the row of the page.
    """

    template = "admin/rows/table.html"
    is_wide = True
    model = None
    columns = {}
    numbers = ()  # headings whose cells stand at the end of the line
    parameter = ""
    nothing = ""
    instant_precision = "seconds"

    def rows(self, request, row):
        """Those that belong to it, in their order. Only the first few are read."""
        raise NotImplementedError

    def query(self, row):
        return {self.parameter: row.pk}

    def show(self, request, row):
        found = few(self.rows(request, row))
        page = admin.site.get_model_admin(self.model)
        return {
            "head": [(heading, heading in self.numbers) for heading in self.columns],
            "table": [(page.url("change", one.pk), list(self._cells(one))) for one in found.rows],
            "all_rows": list_url(self.model, **self.query(row)) if found.is_cut else "",
            "counted": found.counted,
            "plural": self.model._meta.verbose_name_plural,
            "nothing": self.nothing,
        }

    def _cells(self, one):
        for heading, path in self.columns.items():
            value = follow(one, path)
            kind = "number" if heading in self.numbers else "instant" if isinstance(value, datetime) else ""
            yield Cell(shown(value, self.instant_precision), kind)


def follow(row, path):
    for name in path.split("."):
        row = getattr(row, name, None)
    return row() if callable(row) else row
