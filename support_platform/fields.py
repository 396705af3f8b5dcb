"""Serializer fields and the base serializer: exact types, and nothing silently ignored or converted."""

from decimal import Decimal

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from .decimals import PLAIN, check_fits, format_decimal
from .ids import MAX_ID
from .instants import EXPECTED, format_instant, parse_instant
from .parsers import MAX_NUMBER_LENGTH
from .text import check_text


class StrictSerializer(serializers.Serializer):
    """Refuses fields it does not know and fields that only answers carry."""

    def to_internal_value(self, data):
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            unknown = f"Unknown field. This call takes: {', '.join(sorted(writable)) or 'nothing'}."
            refused = {}
            for name in data:
                if name in self.fields and name not in writable:
                    refused[name] = [serializers.ErrorDetail("This field cannot be set.", code="read_only")]
                elif name not in writable:
                    refused[name] = [serializers.ErrorDetail(unknown, code="unknown")]
            if refused:
                raise serializers.ValidationError(refused)
        return super().to_internal_value(data)


class PatchSerializer(StrictSerializer):
    """A partial change: every field optional, at least one given."""

    def validate(self, attrs):
        if not attrs:
            allowed = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            raise serializers.ValidationError(
                {"body": [serializers.ErrorDetail(f"Name at least one of: {allowed}.", code="required")]}
            )
        return attrs


class NothingSerializer(StrictSerializer):
    """A call without input: the body stays empty, or is {}."""


class DecimalField(serializers.Field):
    """
    Money, a price or a quantity: a decimal string, or a JSON number taken exactly as written.

    `positive` asks for more than zero, `minimum` and `maximum` are inclusive bounds.
    """

    default_error_messages = {
        "invalid": 'Give a plain decimal such as "12.5", without exponent or spaces.',
        "negative_zero": "Zero has no sign: give 0.",
        "positive": "Must be greater than 0.",
        "minimum": "Must be at least {bound}.",
        "maximum": "Must be at most {bound}.",
    }

    def __init__(self, *, positive=False, minimum=None, maximum=None, **kwargs):
        super().__init__(**kwargs)
        self.positive, self.minimum, self.maximum = positive, minimum, maximum

    def to_internal_value(self, data):
        value = self.parse(data)
        if value.is_signed() and not value:
            self.fail("negative_zero")
        try:
            check_fits(value)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.message, code=error.code) from None
        if self.positive and value <= 0:
            self.fail("positive")
        if self.minimum is not None and value < self.minimum:
            self.fail("minimum", bound=self.minimum)
        if self.maximum is not None and value > self.maximum:
            self.fail("maximum", bound=self.maximum)
        return value

    def parse(self, data):
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.fail("invalid")
        if isinstance(data, str) and (len(data) > MAX_NUMBER_LENGTH or not PLAIN.fullmatch(data)):
            self.fail("invalid")
        return Decimal(data)

    def to_representation(self, value):
        return format_decimal(value)


class PercentField(DecimalField):
    """A percentage: a JSON number in both directions, at most six decimal places (so a float carries it exactly)."""

    default_error_messages = {
        "invalid": "Give a JSON number such as 2.5.",
        "max_decimal_places": "May have 6 decimal places.",
    }

    def parse(self, data):
        if isinstance(data, str):
            self.fail("invalid")
        value = super().parse(data)
        if len(format_decimal(value).partition(".")[2]) > 6:
            self.fail("max_decimal_places")
        return value

    def to_representation(self, value):
        return None if value is None else float(value)


class IntegerField(serializers.Field):
    """A JSON integer: no string, no bool, no 1.0."""

    default_error_messages = {"invalid": "Give a whole number from {minimum} to {maximum}."}

    def __init__(self, *, minimum=1, maximum=MAX_ID, **kwargs):
        super().__init__(**kwargs)
        self.minimum, self.maximum = minimum, maximum

    def to_internal_value(self, data):
        if isinstance(data, bool) or not isinstance(data, int) or not self.minimum <= data <= self.maximum:
            self.fail("invalid", minimum=self.minimum, maximum=self.maximum)
        return data

    def to_representation(self, value):
        return value


class BooleanField(serializers.Field):
    """true or false; nothing else is close enough."""

    default_error_messages = {"invalid": "Give true or false."}

    def to_internal_value(self, data):
        if not isinstance(data, bool):
            self.fail("invalid")
        return data

    def to_representation(self, value):
        return value


class ChoiceField(serializers.Field):
    """One of the given strings."""

    default_error_messages = {"invalid": "Must be one of: {allowed}."}

    def __init__(self, *, choices, **kwargs):
        super().__init__(**kwargs)
        self.choices = list(choices)

    def to_internal_value(self, data):
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid", allowed=", ".join(self.choices))
        return data

    def to_representation(self, value):
        return value


class TextField(serializers.Field):
    """Readable text, taken as it is: see support_platform.text."""

    default_error_messages = {"invalid": "Give a string."}

    def __init__(self, *, max_length, **kwargs):
        super().__init__(**kwargs)
        self.max_length = max_length

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return check_text(data, self.max_length)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid_text") from None

    def to_representation(self, value):
        return value


class InstantField(serializers.Field):
    """An RFC 3339 instant with its offset; answers are in UTC with Z."""

    default_error_messages = {"invalid": EXPECTED}

    def to_internal_value(self, data):
        try:
            return parse_instant(data)
        except ValueError:
            self.fail("invalid")

    def to_representation(self, value):
        return format_instant(value)
