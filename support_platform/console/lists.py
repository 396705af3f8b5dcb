"""Lists of the console: parameters as strict as the API's, filters, and pages without counting a whole table."""

import re
from datetime import timedelta
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import capfirst

from support_platform import ids
from support_platform.instants import parse_instant
from support_platform.text import check_text

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_PAGE = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ORDER = re.compile(r"-?[0-9]{1,2}(\.-?[0-9]{1,2}){0,4}", re.ASCII)

PERIODS = {"24h": 1, "7d": 7, "30d": 30, "365d": 365}


def is_id(model, text):
    """Whether the text is the one way to write a primary key of the model."""
    if model._meta.pk.get_internal_type() == "UUIDField":
        return bool(_UUID.fullmatch(text))
    return ids.is_id(text)


def check_parameters(query, allowed):
    """
    :raises BadRequest: for an unknown, repeated or unreadable parameter of a list
    """
    for name, values in query.lists():
        if name not in allowed:
            raise BadRequest(f"Unknown parameter {name!a:.100}. This page takes: {', '.join(sorted(allowed))}.")
        if len(values) > 1:
            raise BadRequest(f"{name} is given {len(values)} times. Give it once.")
        if name in ("p", "page") and not _PAGE.fullmatch(values[0]):
            raise BadRequest("Not a page number.")
        if name == "o" and values[0] and not _ORDER.fullmatch(values[0]):
            raise BadRequest("Not an ordering of this list.")
        if name in ("q", "term"):
            check_search(values[0])


def check_search(term):
    if not term.strip():
        return
    try:
        check_text(term, 100)
    except ValueError as error:
        raise BadRequest(f"The search text is not valid. {error}") from None


class CappedPaginator(Paginator):
    """Counts and shows no more than the first `cap` rows: what lies further back is found by a filter or search."""

    cap = 10_000
    template_name = "admin/pages.html"

    @cached_property
    def _counted(self):
        return self.object_list.order_by().values("pk")[: self.cap + 1].count()

    @cached_property
    def count(self):
        return min(self._counted, self.cap)

    @property
    def is_capped(self):
        return self._counted > self.cap


class ConsoleFilter(admin.SimpleListFilter):
    """One of the choices, each a condition on the row; anything else is a 400."""

    conditions = {}

    def lookups(self, request, model_admin):
        return [(value, capfirst(value.replace("_", " "))) for value in self.conditions]

    def queryset(self, request, queryset):
        value = self.value()
        if value is None:
            return queryset
        if value not in dict(self.lookup_choices):
            known = ", ".join(dict(self.lookup_choices))
            raise BadRequest(f"{self.parameter_name} must be one of: {known}.")
        return queryset.filter(self.condition(value))

    def condition(self, value):
        return self.conditions[value]


def choice_filter(parameter, conditions, title=None):
    """A filter by `conditions`: {choice: what it asks of the row}."""
    members = {"parameter_name": parameter, "title": title or parameter.replace("_", " "), "conditions": conditions}
    return type("ChoiceFilter", (ConsoleFilter,), members)


def value_filter(field, values, title=None):
    """A filter by the few values that a field can have."""
    return choice_filter(field, {value: Q(**{field: value}) for value in values}, title)


def period_filter(field, title):
    """A filter by how long ago the instant is."""

    class PeriodFilter(ConsoleFilter):
        parameter_name = "period"

        def lookups(self, request, model_admin):
            return [(value, "Last 24 hours" if days == 1 else f"Last {days} days") for value, days in PERIODS.items()]

        def condition(self, value):
            return Q(**{f"{field}__gte": timezone.now() - timedelta(days=PERIODS[value])})

    PeriodFilter.title = title
    return PeriodFilter


class SpanFilter(admin.ListFilter):
    """
    From one instant up to before another (half-open, UTC), by the parameters that the API's lists have for it.

    Either may be left out. A day stands for its beginning.
    """

    template = "admin/span_filter.html"
    field = ""
    parameter_names = ()

    def __init__(self, request, params, model, model_admin):
        super().__init__(request, params, model, model_admin)
        for name in self.parameter_names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]
        self.span = {name: parse_day_or_instant(name, text) for name, text in self.used_parameters.items() if text}
        after, before = map(self.span.get, self.parameter_names)
        if after and before and after > before:
            raise BadRequest(f"{self.parameter_names[0]} must not be later than {self.parameter_names[1]}.")

    def has_output(self):
        return True

    def expected_parameters(self):
        return list(self.parameter_names)

    def queryset(self, request, queryset):
        lookups = dict(zip(self.parameter_names, (f"{self.field}__gte", f"{self.field}__lt"), strict=True))
        return queryset.filter(**{lookups[name]: instant for name, instant in self.span.items()})

    def choices(self, changelist):
        """One entry, for the template: the two fields, and what else the list's address holds."""
        others = {name: text for name, text in self.request.GET.items() if name not in (*self.parameter_names, "p")}
        labels = zip(self.parameter_names, ("From", "Before"), strict=True)
        yield {
            "fields": [(name, label, self.used_parameters.get(name, "")) for name, label in labels],
            "others": others.items(),
            "clear": f"?{urlencode(others)}" if self.span else "",
        }


def span_filter(field, title):
    """By the API's names: taken_at is narrowed by taken_after and taken_before."""
    stem = field.removesuffix("_at")
    names = ("at_after", "at_before") if field == "at" else (f"{stem}_after", f"{stem}_before")
    return type("SpanFilter", (SpanFilter,), {"field": field, "parameter_names": names, "title": title})


def parse_day_or_instant(name, text):
    try:
        return parse_instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError:
        raise BadRequest(
            f"{name}: give a day such as 2026-01-31, or an instant such as 2026-01-31T09:30:00Z."
        ) from None


def parameters_of(list_filter):
    """The parameters by which a list's address sets the filter."""
    return getattr(list_filter, "parameter_names", None) or (list_filter.parameter_name,)


class ByAddressFilter(admin.SimpleListFilter):
    """A filter that links lead to and that shows only while it is on; no list of all its values is ever made."""

    def lookups(self, request, model_admin):
        value = self.used_parameters.get(self.parameter_name)
        return [] if value is None else [(value, self.label(request, model_admin, value))]

    def label(self, request, model_admin, value):
        return value

    def queryset(self, request, queryset):
        return queryset.filter(**{self.parameter_name: self.value()})


def row_filter(field):
    """The rows that belong to one row of another list, such as the trades of a trader; it must be in reach."""

    class RowFilter(ByAddressFilter):
        parameter_name, title = field, field

        def label(self, request, model_admin, value):
            related = model_admin.admin_site.get_model_admin(model_admin.opts.get_field(field).related_model)
            if not is_id(related.model, value):
                raise BadRequest(f"{field}: give an id.")
            row = related.get_object(request, value) if related.has_view_permission(request) else None
            if row is None:
                raise Http404
            return str(row)

    return RowFilter


def exact_filter(field, *, is_number=False):
    """The rows with exactly this id or name in a field."""

    class ExactFilter(ByAddressFilter):
        parameter_name, title = field, field.replace("_", " ")

        def label(self, request, model_admin, value):
            check_search(value)
            if not value or (is_number and not ids.is_id(value)):
                raise BadRequest(f"{field}: give {'an id' if is_number else 'a name'}.")
            return value

    return ExactFilter
