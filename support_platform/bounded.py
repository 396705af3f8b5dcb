"""Reads that cost the same however many rows there are: counts up to a cap, several short reads in one statement."""

from typing import NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import IntegerField, Subquery

SHOWN = 10
COUNTED = 1000


class CappedCount(Subquery):
    """How many rows a queryset has, counted to one more than the cap, as a column of another."""

    output_field = IntegerField()
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"

    def __init__(self, queryset, cap=COUNTED):
        super().__init__(queryset.order_by().values("pk")[: cap + 1])


class Few(NamedTuple):
    """The first rows of many."""

    rows: list
    total: int  # no more than one above the cap

    @property
    def is_cut(self):
        return self.total > len(self.rows)

    @property
    def counted(self):
        """The total in words, such as "12" or "1,000+"."""
        return f"{COUNTED:,}+" if self.total > COUNTED else f"{self.total:,}"


def few(queryset, size=SHOWN):
    """The first `size` rows of an ordered queryset, and how many there are, in one statement."""
    rows = list(queryset.annotate(counted_rows=CappedCount(queryset))[:size])
    return Few(rows, rows[0].counted_rows if rows else 0)


def rows_of_all(querysets):
    """
    The rows of all of them, as tuples in no order, by one statement.

    Each is a `values_list` of columns of the same kinds, and keeps its own order and bound, so that each is served by
    its own index. (Django's `union` takes no bounded parts on SQLite.)
    """
    connection = connections[DEFAULT_DB_ALIAS]
    parts, values, compiler = [], [], None
    for queryset in querysets:
        part = queryset.query.get_compiler(connection=connection)
        try:
            sql, params = part.as_sql()
        except EmptyResultSet:
            continue
        parts.append(f"SELECT * FROM ({sql}) AS part_{len(parts)}")  # noqa: S608  the ORM's own SQL
        values += params
        compiler = compiler or part
    if not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        rows = cursor.fetchall()
    converters = compiler.get_converters([expression for expression, _, _ in compiler.select])
    return [tuple(row) for row in compiler.apply_converters(rows, converters)] if converters else rows
