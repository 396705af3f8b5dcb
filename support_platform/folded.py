"""
Text without regard to case, found by its beginning through an index, on either database and in any of its collations.

    class Meta:
        indexes = [models.Index(Folded("name"), name="strategy_name")]

    Strategy.objects.filter(begins("grid", "name"))

SQLite folds the letters of ASCII only: there "Ö" and "ö" differ.
"""

from django.db.models import Func, Q, TextField, Value
from django.db.models.functions import Left, Length
from django.db.models.lookups import Exact, GreaterThanOrEqual, LessThan

# After every text that begins so, in the order of the bytes.
_LAST = "\U0010ffff"


class Folded(Func):
    """A column in lower case, or several with a space between them, ordered by its bytes."""

    function = "LOWER"
    arg_joiner = " || ' ' || "
    output_field = TextField()

    def as_postgresql(self, compiler, connection):
        # By bytes: in the order of a language a beginning is no range.
        return self.as_sql(compiler, connection, template='(%(function)s(%(expressions)s) COLLATE "C")')


def begins(term, *columns):
    """The rows in which the columns begin with the term: one range of an index on `Folded(*columns)`."""
    folded = Folded(*columns)
    return Q(GreaterThanOrEqual(folded, Folded(Value(term)))) & Q(LessThan(folded, Folded(Value(term + _LAST))))


def equals(term, *columns):
    return Q(Exact(Folded(*columns), Folded(Value(term))))


def begins_unindexed(term, *columns):
    """As `begins`, but no index serves it: for few rows that are found by another one, so that this is not taken."""
    folded = Folded(Value(term))
    return Q(Exact(Left(Folded(*columns), Length(folded)), folded))
