"""What the serializers take and give: the schemas of bodies and answers."""

import inspect

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from rest_framework.serializers import ModelSerializer

from ..fields import PatchSerializer, StrictSerializer

# The model that a schema tells of; a mark for hooks, which takes it away.
MODEL = "x-model"


class SerializerSchema(AutoSchema):
    def _map_basic_serializer(self, serializer, direction):
        """Bodies say that they take nothing else, answers that all of it is there."""
        serializer = force_instance(serializer)
        model = serializer.Meta.model if isinstance(serializer, ModelSerializer) else None
        if model:
            _know_the_columns(serializer, model)
        schema = super()._map_basic_serializer(serializer, direction)
        fields = serializer.fields
        properties = {
            name: _tidy(part, direction)
            for name, part in schema.get("properties", {}).items()
            if not (fields[name].read_only if direction == "request" else fields[name].write_only)
        }
        described = {"type": "object", "properties": properties, MODEL: model}
        if text := type(serializer).__dict__.get("__doc__"):
            described["description"] = inspect.cleandoc(text)
        if isinstance(serializer, StrictSerializer):
            described["additionalProperties"] = False
            required = [name for name in properties if fields[name].required]
        else:
            required = [name for name in properties if not _may_be_absent(serializer, name)]
        if required:
            described["required"] = required
        if isinstance(serializer, PatchSerializer):
            described["minProperties"] = 1
        return described


def _know_the_columns(serializer, model):
    """
    A field written out in a serializer does not know that its column may be null, and then the answer is null too;
    one made from a text column takes "" for an answer even where the column's format says otherwise.
    """
    columns = {column.name: column for column in model._meta.fields}
    for field in serializer.fields.values():
        if field.source in columns:
            field.allow_null = field.allow_null or columns[field.source].null
            field.allow_blank = False


def _may_be_absent(serializer, name):
    field = serializer._declared_fields.get(name)
    return field is not None and not field.required and not field.read_only


def _tidy(schema, direction):
    """Without the marks that matter only where body and answer share a schema, and without a database's bounds."""
    dropped = {"readOnly", "writeOnly", "x-spec-enum-id"}
    if direction == "response" and "integer" in schema.get("type", ()):
        dropped |= {"minimum", "maximum"}
        schema = {**schema, "format": "int64"}
    return {key: value for key, value in schema.items() if key not in dropped}
