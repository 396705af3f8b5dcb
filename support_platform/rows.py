"""
The rows of a list, as its serializer would write them, without an object for each row.

The ORM writes the page's SQL from the fields that the serializer declares; a row comes as a tuple and leaves as the
JSON object's members. Money and instants come as text, which saves parsing what would only be written again. A field
that is neither a column, an annotation nor one of the model's `computed` is refused by name, and a field of a kind
not known here is converted by itself: the list says what the serializer says, or nothing.
"""

from functools import cache
from itertools import starmap

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Expression, Func, TextField
from django.db.models.sql import Query
from rest_framework import serializers

from .decimals import ExactDecimalField, format_decimal
from .fields import DecimalField, InstantField
from .statements import Written

# Whose answer is the column's value as it is.
_AS_KEPT = (
    serializers.BigIntegerField,
    serializers.BooleanField,
    serializers.CharField,
    serializers.ChoiceField,
    serializers.EmailField,
    serializers.IPAddressField,
    serializers.IntegerField,
    serializers.JSONField,
    serializers.PrimaryKeyRelatedField,
)
# What the driver may read in its binary form (statements.Written).
_PLAIN = (models.IntegerField, models.CharField, models.TextField, models.BooleanField)


class AsText(Func):
    """A column as the text that SQLite keeps anyway; `template` makes the same of PostgreSQL's type."""

    output_field = TextField()

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, template="CAST(%(expressions)s AS TEXT)")


class DecimalText(AsText):
    """As format_decimal writes it."""

    template = "TRIM_SCALE(%(expressions)s)::text"


class InstantText(AsText):
    """In UTC, such as "2026-01-31 09:30:00.5"."""

    template = "(%(expressions)s AT TIME ZONE 'UTC')::text"


def instant_of_text(text):
    """An InstantText as format_instant writes it. PostgreSQL leaves the zeros at a fraction's end out."""
    fraction = text[19:]
    return f"{text[:10]}T{text[11:19]}{fraction.ljust(7, '0')}Z" if fraction else f"{text[:10]}T{text[11:]}Z"


class Columns(Expression):
    """
    Several columns as one expression, whose SQL is written once and not for every query. They are the select's last;
    `place` is how many stand before, which the numbers of `converters` count.
    """

    output_field = TextField()

    def __init__(self, columns, compiler, place):
        super().__init__()
        parts = [column.select_format(compiler, *compiler.compile(column)) for column in columns]
        self.sql = ", ".join(sql for sql, _ in parts)
        self.params = [param for _, params in parts for param in params]
        converters = compiler.get_converters(columns)
        self.converters = {place + number: converter for number, converter in converters.items()}

    def as_sql(self, compiler, connection):
        return self.sql, self.params


def _row_of(come, names, conversions):
    """
    A function of a row's values, in the order in which they `come`, that gives the row as a dict of these `names`.

    Made of its source, as Python's namedtuple is: a page is a hundred rows of some twenty values, and any other way to
    such a dict looks at each name and at each kind of value anew.
    """
    value = {name: f"value{number}" for number, name in enumerate(come)}
    convert = {name: f"convert{number}" for number, name in enumerate(conversions)}
    members = (
        f"{name!r}: None if {value[name]} is None else {convert[name]}({value[name]})"
        if name in conversions
        else f"{name!r}: {value[name]}"
        for name in names
    )
    source = f"lambda {', '.join(value.values())}: {{{', '.join(members)}}}"
    return eval(source, {convert[name]: conversion for name, conversion in conversions.items()})  # noqa: S307


@cache
def reader_of(serializer_class):
    return Reader(serializer_class)


class Reader:
    """
    Reads the rows of a queryset as dicts, each equal to the serializer's answer for that row.

    :raises LookupError: naming a field that cannot be read in SQL
    """

    def __init__(self, serializer_class):
        fields = {name: field for name, field in serializer_class().fields.items() if not field.write_only}
        self.serializer_class, self.model = serializer_class, serializer_class.Meta.model
        self.columns, self._attributes, annotated, conversions = {}, [], [], {}
        for name, field in fields.items():
            column, conversion = self._column(name, field)
            self._attributes.append((name, *self._attribute(field)))
            if isinstance(column, str):
                annotated.append((name, column))
            else:
                self.columns[name] = column
            if conversion is not None:
                conversions[name] = conversion
        self.annotations, self.names = dict(annotated), tuple(fields)
        # A row comes with the annotations before the columns, and leaves in the serializer's order.
        self._row = _row_of([*self.annotations, *self.columns], fields, conversions)
        self._is_plain = all(isinstance(column.output_field, _PLAIN) for column in self.columns.values())
        self._selected = {}

    def __call__(self, queryset):
        return self.read(self.written(queryset, connections[queryset.db]), {})

    def written(self, queryset, connection, **how):
        """The SQL that reads these rows (statements.Written, made `how`); the queryset may hold what each run gives."""
        query = queryset.query.chain()
        annotations = [self._annotation(query, name) for name in self.annotations.values()]
        query.set_annotation_mask(())
        query.clear_select_clause()
        columns = self._columns_for(query.get_compiler(connection=connection))
        query.set_select([*annotations, columns])
        return Written(query, connection, converters=columns.converters, is_binary=self._is_plain, **how)

    def read(self, written, given):
        """The rows of what `written` wrote, as dicts."""
        return list(starmap(self._row, written.rows(connections[DEFAULT_DB_ALIAS], given)))

    def of(self, instance):
        """The same of an instance of the model."""
        row = {}
        for name, attribute, convert in self._attributes:
            value = getattr(instance, attribute)
            row[name] = value if convert is None or value is None else convert(value)
        return row

    def _attribute(self, field):
        """(the attribute that has a field's value, how to convert it or None)"""
        column = {column.name: column for column in self.model._meta.concrete_fields}.get(field.source)
        attribute = column.attname if column is not None else field.source
        if type(field) is DecimalField:
            return attribute, format_decimal
        return attribute, None if type(field) in _AS_KEPT else field.to_representation

    def _columns_for(self, compiler):
        vendor = compiler.connection.vendor
        if vendor not in self._selected:
            self._selected[vendor] = Columns(list(self.columns.values()), compiler, place=len(self.annotations))
        return self._selected[vendor]

    def _annotation(self, query, name):
        try:
            return query.annotations[name]
        except KeyError:
            raise self._unreadable(name) from None

    def _unreadable(self, name):
        return LookupError(f"{name}: neither a column nor computed in SQL for lists of {self.model.__name__}.")

    def _column(self, name, field):
        """(what to select: an expression, or the name of the queryset's annotation; how to convert it or None)"""
        kept = None if type(field) in _AS_KEPT else field.to_representation
        column = {column.name: column for column in self.model._meta.concrete_fields}.get(field.source)
        if column is None:
            computed = getattr(self.model, "computed", {})
            if field.source in computed:
                return computed[field.source].resolve_expression(Query(self.model)), kept
            if type(field) is serializers.IntegerField:
                return field.source, kept
            raise self._unreadable(name)
        expression = column.get_col(self.model._meta.db_table)
        if type(field) is DecimalField and isinstance(column, ExactDecimalField):
            return DecimalText(expression), None
        if type(field) is InstantField and isinstance(column, models.DateTimeField):
            return InstantText(expression), instant_of_text
        return expression, kept
