"""
The SQL of lists: written by the ORM once for each shape of a request, and run for every request of that shape.

A shape is all that the text of the SQL depends on: the view, which filters are given (and the value of those that
choose among conditions), the order, where the page begins. Values are bound on each run. The caller is not part of a
shape, so the SQL is written for a stand-in that knows only what it may: its broker and id are bound on each run too,
and whatever it was asked for its rights must be answered alike. So no caller is answered by what was written for
another's reach. Lists that cannot be had this way (a search) are written anew each time.
"""

from functools import cached_property
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BigIntegerField, DateTimeField, F
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from . import rows
from .statements import Given, Written, columns_of, for_all_threads

# More are forgotten together. In practice there are some dozens.
MOST = 500


class Part(NamedTuple):
    """
    A stretch of a list in one order: by a column and, for ties, by id. Of a column that can be null it has the rows
    with a value or (`is_empty`) those without.
    """

    column: str
    is_descending: bool
    is_nullable: bool
    is_empty: bool
    is_first: bool

    def of(self, queryset, at, row_id):
        """Its rows in their order; unless it is the first one, those beyond the row (at, row_id)."""
        if self.is_nullable:
            queryset = queryset.filter(**{f"{self.column}__isnull": self.is_empty})
        if not self.is_first and self.is_empty:
            queryset = queryset.filter(**{"id__lt" if self.is_descending else "id__gt": row_id})
        elif not self.is_first:
            beyond = TupleLessThan if self.is_descending else TupleGreaterThan
            queryset = queryset.filter(beyond((F(self.column), F("id")), (at, row_id)))
        fields = ["id"] if self.is_empty else [self.column, "id"]
        return queryset.order_by(*(f"-{field}" if self.is_descending else field for field in fields))

    def is_of_one_index(self, model, compared):
        """
        Whether an index of the model has the rows that these comparisons leave, and in this order, so that there is one
        plan for whatever values are compared with. `compared` are (column, lookup); None if there is more to a filter.
        """
        if self.is_empty or compared is None:
            return False
        equal = {column for column, lookup in compared if lookup == "exact"}
        spans = {column for column, lookup in compared if lookup != "exact"}
        # Without one that is equal it is the caller's broker that decides, and how many of the rows are its own.
        return (
            bool(equal)
            and spans <= {self.column}
            and any(
                index.condition is None and {*index.fields[:-2]} == equal and index.fields[-2:] == [self.column, "id"]
                for index in model._meta.indexes
            )
        )


class Caller:
    """Stands for a caller while SQL is written. It has nothing else, so SQL cannot depend on anything else of it."""

    __slots__ = ("_staff", "answered", "broker_id", "pk")

    def __init__(self, staff):
        self._staff, self.answered = staff, {}
        self.pk = Given("caller", BigIntegerField())
        self.broker_id = None if staff.broker_id is None else Given("caller_broker", BigIntegerField())

    def has_perm(self, right):
        self.answered[right] = self._staff.has_perm(right)
        return self.answered[right]


class Listing:
    """The rows of a view that a caller may see, filtered as asked."""

    def __init__(self, view, staff, filters=None):
        self.view, self.staff, self.filters = view, staff, filters
        self.given = filters.cleaned() if filters else {}

    @cached_property
    def read_by(self):
        return rows.reader_of(self.view.get_serializer_class())

    @property
    def queryset(self):
        return self._filtered(self.staff, self.given)

    def read(self, part, at, row_id, limit):
        """The first rows of a Part, as dicts."""
        shape = self.filters.shape(self.given)
        if shape is None:
            return self.read_by(part.of(self.queryset, at, row_id)[:limit])
        is_prepared = part.is_of_one_index(self.read_by.model, self.filters.compared(self.given))
        written = self._written((part, shape), self._rows_of, is_limited=True, is_prepared=is_prepared)
        return self.read_by.read(written, self._values(beyond=at, beyond_id=row_id, limit=limit))

    def one(self, pk):
        """The row of this id as a dict, or None."""
        found = self.read_by.read(self._written("one", self._row_of, is_prepared=True), self._values(pk=pk))
        return found[0] if found else None

    def instance(self, pk):
        """The row of this id as an instance of its model, with its trader, without the view's annotations; or None."""
        return self._written("instance", self._row_of, write=_Instances, is_prepared=True).first(self._values(pk=pk))

    def _filtered(self, staff, given):
        queryset = self.view.rows(staff)
        return self.filters.applied(queryset, given) if self.filters else queryset

    def _values(self, **given):
        return {**self.given, **given, "caller": self.staff.pk, "caller_broker": self.staff.broker_id}

    def _rows_of(self, caller, key):
        part, _ = key
        queryset = self._filtered(caller, self.filters.as_given(self.given, self.read_by.model))
        return part.of(queryset, Given("beyond", DateTimeField()), Given("beyond_id", BigIntegerField()))

    def _row_of(self, caller, key):
        return self._filtered(caller, {}).filter(pk=Given("pk", BigIntegerField()))

    def _written(self, key, build, *, write=None, **how):
        shape = type(self.view), self.view.get_serializer_class(), key, self.staff.broker_id is None
        for answered, written in _written.get(shape, ()):
            if all(self.staff.has_perm(right) == answer for right, answer in answered.items()):
                return written
        caller = Caller(self.staff)
        with for_all_threads() as connection:
            written = (write or self.read_by.written)(build(caller, key), connection, **how)
        if len(_written) > MOST:
            _written.clear()
        _written[shape] = [*_written.get(shape, ()), (caller.answered, written)]
        return written


class _Instances:
    """Reads instances of a queryset's model with the traders that they belong to, if they do."""

    def __init__(self, queryset, connection, **how):
        self.model, self.owner = queryset.model, None
        names = self.names = columns_of(self.model)
        if "user_id" in self.names:
            self.owner = self.model._meta.get_field("user").related_model
            names = (*names, *columns_of(self.owner, "user__"))
        self.written = Written(queryset.values_list(*names).query, connection, **how)

    def first(self, given):
        found = self.written.rows(connections[DEFAULT_DB_ALIAS], given)
        if not found:
            return None
        row = self.model.from_db(DEFAULT_DB_ALIAS, self.names, found[0][: len(self.names)])
        if self.owner:
            row.user = self.owner.from_db(DEFAULT_DB_ALIAS, columns_of(self.owner), found[0][len(self.names) :])
        return row


class Rows:
    """As a Listing, of any queryset; written anew each time."""

    def __init__(self, view, queryset):
        self.queryset, self.read_by = queryset, rows.reader_of(view.get_serializer_class())

    def read(self, part, at, row_id, limit):
        return self.read_by(part.of(self.queryset, at, row_id)[:limit])


_written = {}  # shape -> [(rights that were asked for with the answers, statements.Written)]
