"""
The form with which one row is changed.

What it takes is validated by the serializer that the API uses for the same operation, so no rule stands twice.
"""

import json
from datetime import datetime
from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError

from support_platform.decimals import PLAIN, format_decimal
from support_platform.exceptions import flatten
from support_platform.instants import format_instant, parse_instant
from support_platform.models import REASON_LENGTH
from support_platform.parsers import MAX_NUMBER_LENGTH
from support_platform.text import check_text

from .look import dress

MAX_SNAPSHOT = 20_000
PAGE_FIELDS = ("version", "seen", "reason")


class ReadableField(forms.CharField):
    """Text that a person can read, on one line."""

    def clean(self, value):
        value = super().clean(value)
        if value:
            try:
                check_text(value, self.max_length)
            except ValueError as error:
                raise ValidationError(str(error), code="invalid_text") from None
        return value


class ReasonField(ReadableField):
    def __init__(self, **kwargs):
        super().__init__(
            max_length=REASON_LENGTH,
            help_text="Why this is done; kept in the audit trail.",
            widget=forms.TextInput(attrs={"autocomplete": "off"}),
            **kwargs,
        )


class NumberField(forms.CharField):
    """A decimal, exactly as typed; empty is None."""

    def __init__(self, **kwargs):
        super().__init__(empty_value=None, **kwargs)
        self.widget.attrs["inputmode"] = "decimal"

    def prepare_value(self, value):
        return format_decimal(value) if isinstance(value, Decimal) else value

    def to_python(self, value):
        text = super().to_python(value)
        if text is None or isinstance(text, Decimal):
            return text
        if len(text) > MAX_NUMBER_LENGTH or not PLAIN.fullmatch(text):
            raise ValidationError("Give a plain decimal such as 12.5, without exponent or spaces.", code="invalid")
        return Decimal(text)


class InstantField(forms.CharField):
    """An instant with its offset, shown in UTC; empty is None."""

    def __init__(self, **kwargs):
        super().__init__(empty_value=None, **kwargs)
        self.widget.attrs |= {"size": 32, "placeholder": "2026-01-31T09:30:00Z"}

    def prepare_value(self, value):
        return format_instant(value) if isinstance(value, datetime) else value

    def to_python(self, value):
        text = super().to_python(value)
        if text is None:
            return None
        try:
            return parse_instant(text)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class OperationForm(forms.ModelForm):
    """
    Values for one operation on one row, with the reason and what the page showed when it was made.

    `version` is the row's version on that page and is compared under the operation's lock; `seen` holds what the
    page showed, only so that a refusal can tell what has changed since. A subclass declares the fields that the
    operation takes and `input`, the API's serializer for it. `shown` and `refused` are set by the console.
    """

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    seen = forms.CharField(required=False, max_length=MAX_SNAPSHOT, widget=forms.HiddenInput)
    reason = ReasonField()

    input = None
    shown = ()
    refused = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        dress(self.fields)
        if self.instance.pk is None:
            del self.fields["version"], self.fields["seen"]
            return
        for name in self.fields:
            if name not in self.initial and hasattr(self.instance, name):
                self.initial[name] = getattr(self.instance, name)
        self.initial["seen"] = json.dumps(self.snapshot(self.instance))

    def snapshot(self, row):
        return {name: as_text(getattr(row, name)) for name in self.shown}

    def clean(self):
        cleaned = super().clean()
        self.values = {name: cleaned[name] for name in self.changed_data if name in cleaned and name not in PAGE_FIELDS}
        if self.input is not None and self.values and not self.errors:
            serializer = self.input(data={name: as_json(value) for name, value in self.values.items()})
            if serializer.is_valid():
                self.values = serializer.validated_data
            else:
                self._add({error["field"]: error["detail"] for error in flatten(serializer.errors)})
        if self.refused is not None:
            self._add(self.refused.errors)
        return cleaned

    def _add(self, errors):
        for field, text in errors.items():
            self.add_error(field if field in self.fields else None, text)

    def _post_clean(self):
        """Django would write the values into the row and apply the model's rules; both are the operation's."""

    @property
    def meanwhile(self):
        """What changed since the page was made: [(label, then, now)], once the row turned out to be newer."""
        if self.refused is None or not self.refused.is_stale:
            return []
        then, now = _read_snapshot(self.data.get("seen", "")), self.snapshot(self.instance)
        moved = [name for name in now if then.get(name, now[name]) != now[name]]
        return [(name.replace("_", " "), then[name], now[name]) for name in moved]


def as_text(value):
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return format_instant(value)
    return "–" if value in (None, "") else str(value)


def as_json(value):
    """A cleaned value as a JSON body would hold it."""
    return format_instant(value) if isinstance(value, datetime) else value


def _read_snapshot(text):
    """It has been in a browser: taken as text to show, whatever it is."""
    try:
        found = json.loads(text[:MAX_SNAPSHOT])
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
