"""
The forms of the console's dialogs: the parameters of a change, and why it is made.

What changes a row is validated by the serializer that the API uses for the same operation, so no rule stands twice.
"""

import json
import re
from datetime import datetime
from decimal import Decimal

from django import forms
from django.core.exceptions import BadRequest, ValidationError
from django.utils.crypto import constant_time_compare, salted_hmac

from support_platform.decimals import PLAIN, format_decimal
from support_platform.exceptions import flatten
from support_platform.instants import format_instant, parse_instant
from support_platform.models import REASON_LENGTH
from support_platform.parsers import MAX_NUMBER_LENGTH
from support_platform.text import check_text

from .look import dress

MAX_SNAPSHOT, MAX_TEXT = 20_000, 200
PAGE_FIELDS = ("seen", "shown", "reason")
UNCHANGED = "Nothing was changed: every value is as it was."
_SEEN = re.compile(r"[0-9a-f-]{1,36}:[0-9]{1,10}( [0-9a-f-]{1,36}:[0-9]{1,10})*", re.ASCII)


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


def read_seen(text):
    """
    {id as text: version} of the rows a page named.

    :raises BadRequest: no page of the console names rows like this
    """
    if not _SEEN.fullmatch(text):
        raise BadRequest("The chosen rows are not readable. Choose them in the list again.")
    return {row_id: int(version) for row_id, version in (part.split(":") for part in text.split(" "))}


def version_of(row):
    return getattr(row, "version", 0)


class ReasonForm(forms.Form):
    """
    What every change asks: why. A subclass adds the parameters; `values` are those of a valid form.

    `seen` names the rows, with the versions that the dialog spoke of and that are compared under the operation's lock;
    `shown` holds what it knew of a single row, only so that a refusal can tell what has changed since. Fields whose
    right (`rights`) the person lacks are not there.
    """

    seen = forms.CharField(widget=forms.HiddenInput)
    shown = forms.CharField(required=False, max_length=MAX_SNAPSHOT, strip=False, widget=forms.HiddenInput)
    reason = ReasonField()

    rights = {}

    def __init__(self, data=None, *, rows=(), names=(), may=None):
        super().__init__(data)
        self.row = rows[0] if len(rows) == 1 else None
        self.names = [name for name in names if hasattr(self.row, name)]
        for name in [name for name, right in self.rights.items() if may and not may(right)]:
            del self.fields[name]
        self.fields["reason"] = self.fields.pop("reason")  # last, after what a subclass asks
        dress(self.fields)
        self.prefill()
        if not rows:
            del self.fields["seen"], self.fields["shown"]
            return
        self.initial["seen"] = " ".join(f"{row.pk}:{version_of(row)}" for row in rows)
        if self.row is not None:
            self.initial["shown"] = json.dumps(
                {"row": self._row_as_text(), "form": self._form_as_text()}, ensure_ascii=False
            )

    def prefill(self):
        """Set what the fields hold before anything is typed."""

    @property
    def values(self):
        return {name: value for name, value in self.cleaned_data.items() if name not in PAGE_FIELDS}

    def secrets(self):
        """The fields that are typed again to confirm, since no page sends them back."""
        return [field for field in self if isinstance(field.field.widget, forms.PasswordInput)]

    def sealed(self):
        """What the secrets are, readable by nobody: so that the second typing can be compared with the first."""
        typed = [self.cleaned_data.get(field.name) for field in self.secrets()]
        return salted_hmac("console.dialog", repr(typed), algorithm="sha256").hexdigest()

    def clean(self):
        cleaned = super().clean()
        given = self.data.get("sealed")
        if given and not self.errors and self.secrets() and not constant_time_compare(given, self.sealed()):
            self.refuse({field.name: "This is not what you typed before." for field in self.secrets()})
        return cleaned

    def kept(self):
        """Everything else that was given, as hidden fields of the page that asks to confirm."""
        return [field.as_hidden() for field in self if not isinstance(field.field.widget, forms.PasswordInput)]

    def refuse(self, errors):
        for field, text in errors.items():
            self.add_error(field if field in self.fields else None, text)

    # --- a row that moved on while the dialog was open -------------------------------------------------
    def begun_again(self, data):
        """What was typed into the older dialog, for this one. What nobody touched there is as it is now."""
        memory, now = _read_memory(data.get("shown", ""), "form"), self._form_as_text()
        again = data.copy()
        for name, text in now.items():
            if memory.get(name) == data.get(name, ""):
                again[name] = text
                if text == "":
                    del again[name]
        again["seen"], again["shown"] = self.initial["seen"], self.initial["shown"]
        return again

    def meanwhile(self, shown):
        """[(label, then, now)] of what differs from the memory of an older dialog."""
        then, now = _read_memory(shown, "row"), self._row_as_text()
        moved = [name for name in now if then.get(name, now[name]) != now[name]]
        return [(name.replace("_", " "), then[name], now[name]) for name in moved]

    def _row_as_text(self):
        return {name: as_text(getattr(self.row, name)) for name in self.names}

    def _form_as_text(self):
        """What a browser would send back of the fields as they are prefilled."""
        found = {}
        for name, field in self.fields.items():
            if name not in PAGE_FIELDS:
                value = field.prepare_value(self.get_initial_for_field(field, name))
                if isinstance(field, forms.BooleanField):
                    value = "on" if value else ""
                found[name] = "" if value is None else str(value)
        return found


class RowForm(ReasonForm):
    """
    The values of one row, filled with what it holds; only what was changed there is asked of the operation.

    `input` is the API's serializer for it.
    """

    input = None

    def prefill(self):
        for name in self.fields.keys() - set(PAGE_FIELDS):
            if hasattr(self.row, name):
                self.initial[name] = getattr(self.row, name)

    def clean(self):
        cleaned = super().clean()
        self.changes = {
            name: cleaned[name] for name in self.changed_data if name in cleaned and name not in PAGE_FIELDS
        }
        if self.errors:
            return cleaned
        if self.row is not None and not self.changes:
            raise ValidationError(UNCHANGED, code="unchanged")
        if self.input is not None:
            serializer = self.input(data={name: as_json(value) for name, value in self.changes.items()})
            if serializer.is_valid():
                self.changes = serializer.validated_data
            else:
                self.refuse({error["field"]: error["detail"] for error in flatten(serializer.errors)})
        return cleaned

    @property
    def values(self):
        return dict(self.changes)


def as_text(value):
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return format_instant(value)
    return "–" if value in (None, "") else str(value)[:MAX_TEXT]


def as_json(value):
    """A cleaned value as a JSON body would hold it."""
    return format_instant(value) if isinstance(value, datetime) else value


def _read_memory(text, part):
    """It has been in a browser: taken as text to show, whatever it is."""
    try:
        found = json.loads(text[:MAX_SNAPSHOT])[part]
    except (ValueError, RecursionError, TypeError, LookupError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
