"""
What the fields take and give, as JSON Schema.

The ground's own fields are described here. A field of an app that the ground does not know says it itself, in an
attribute ``json_schema``; that goes for a serializer's field and for the form field of a query parameter alike.
"""

import inspect

from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from .. import fields, filters
from ..decimals import DECIMAL_PLACES, MAX_DIGITS
from ..ids import MAX_ID

ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
INSTANT = {"type": "string", "format": "date-time"}
BOOLEAN = {"type": "boolean"}
_DIGITS = rf"(0|[1-9][0-9]{{0,{MAX_DIGITS - DECIMAL_PLACES - 1}}})(\.[0-9]{{1,{DECIMAL_PLACES}}})?$"

# What a lookup of django-filter means to the caller.
LOOKUPS = {
    "exact": "Rows with exactly this `{name}`.",
    "iexact": "Rows with exactly this `{name}`, in any case.",
    "icontains": "Rows whose `{column}` holds this text, in any case.",
    "has_key": "Rows whose `{column}` name this.",
    "gte": "Rows with `{column}` at or after this instant.",
    "lt": "Rows with `{column}` before this instant.",
}


class FieldExtension(OpenApiSerializerFieldExtension):
    """Every field that says what it is, and every strict field of the ground."""

    target_class = "rest_framework.serializers.Field"
    match_subclasses = True

    @classmethod
    def _matches(cls, target):
        return hasattr(target, "json_schema") or isinstance(target, tuple(_SERIALIZER_FIELDS))

    def map_serializer_field(self, auto_schema, direction):
        if hasattr(self.target, "json_schema"):
            return dict(self.target.json_schema)
        return _first(_SERIALIZER_FIELDS, self.target)(self.target, direction)


def query_schema(field):
    """The schema of a query parameter, from the form field that reads it."""
    if hasattr(field, "json_schema"):
        return dict(field.json_schema)
    describe = _first(_FORM_FIELDS, field)
    if describe is None:
        warn(f"{type(field).__name__} of a query parameter needs an attribute json_schema.")
        return {"type": "string"}
    return describe(field)


def filter_description(filterset_class, name, filter_):
    """In the filter's own words (help_text), else its method's docstring, else what its lookup means."""
    text = filter_.extra.get("help_text")
    if not text and filter_.method:
        method = getattr(filterset_class, filter_.method) if isinstance(filter_.method, str) else filter_.method
        text = method.__doc__
    text = text or LOOKUPS.get(filter_.lookup_expr, LOOKUPS["exact"])
    return inspect.cleandoc(text).format(name=name, column=filter_.field_name or name)


def _decimal(field, direction):
    signed = not (field.positive or (field.minimum is not None and field.minimum >= 0))
    schema = {"type": "string", "format": "decimal", "pattern": f"^{'-?' if signed else ''}{_DIGITS}"}
    if direction == "request":
        rules = [
            "A decimal in a string, kept exactly; a JSON number is taken as it is written.",
            "Greater than 0." if field.positive else "",
            f"At least {field.minimum}." if field.minimum is not None else "",
            f"At most {field.maximum}." if field.maximum is not None else "",
        ]
        schema["description"] = " ".join(rule for rule in rules if rule)
    return schema


def _percent(field, direction):
    schema = {"type": "number"}
    if direction == "request":
        if field.positive:
            schema["exclusiveMinimum"] = 0
        if field.minimum is not None:
            schema["minimum"] = float(field.minimum)
        if field.maximum is not None:
            schema["maximum"] = float(field.maximum)
        schema["description"] = "At most six decimal places."
    return schema


def _integer(field, direction):
    schema = {"type": "integer", "minimum": field.minimum, "maximum": field.maximum}
    return schema if field.maximum < 2**31 else {**schema, "format": "int64"}


def _choice(field, direction):
    return {"type": "string", "enum": [*field.choices, *([None] if field.allow_null else [])]}


def _text(field, direction=None):
    return {"type": "string", "minLength": 1, "maxLength": field.max_length}


# The first class that fits counts, so a subclass stands before its base.
_SERIALIZER_FIELDS = {
    fields.PercentField: _percent,
    fields.DecimalField: _decimal,
    fields.IntegerField: _integer,
    fields.BooleanField: lambda field, direction: dict(BOOLEAN),
    fields.ChoiceField: _choice,
    fields.TextField: _text,
    fields.InstantField: lambda field, direction: dict(INSTANT),
}
_FORM_FIELDS = {
    filters.IdField: lambda field: dict(ID),
    filters.InstantField: lambda field: dict(INSTANT),
    filters.BooleanField: lambda field: dict(BOOLEAN),
    filters.ChoiceField: lambda field: {"type": "string", "enum": list(field.choices)},
    filters.TextField: _text,
    filters.AddressField: lambda field: {"type": "string", "description": "An IPv4 or IPv6 address."},
}


def _first(table, field):
    return next((describe for kind, describe in table.items() if isinstance(field, kind)), None)
