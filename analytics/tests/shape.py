"""Does an answer have the shape that its serializer tells the schema?"""

from rest_framework import serializers

from analytics.serializers import AmountField
from support_platform.fields import InstantField

TYPES = {
    serializers.IntegerField: int,
    serializers.FloatField: (int, float),
    serializers.CharField: str,
    serializers.ChoiceField: str,
    AmountField: str,
    InstantField: str,
}


def assert_shape(value, field, path="answer"):
    if value is None:
        assert field.allow_null, f"{path} is null"
    elif isinstance(field, serializers.ListSerializer):
        assert isinstance(value, list), path
        for index, item in enumerate(value):
            assert_shape(item, field.child, f"{path}[{index}]")
    elif isinstance(field, serializers.Serializer):
        required = {name for name, inner in field.fields.items() if inner.required}
        assert required <= set(value) <= set(field.fields), (path, set(value) ^ set(field.fields))
        for name, item in value.items():
            assert_shape(item, field.fields[name], f"{path}.{name}")
    elif isinstance(field, serializers.DictField):
        for name, item in value.items():
            assert_shape(item, field.child, f"{path}.{name}")
    else:
        assert isinstance(value, TYPES[type(field)]), (path, value)
        assert not isinstance(value, bool), path
