"""The query parameters that latency, slippage and performance have in common."""

import re

from django import forms
from django.core.exceptions import ValidationError
from rest_framework import exceptions

from support_platform.filters import ChoiceField, IdField, InstantField, TextField
from support_platform.instants import parse_window

from .metrics import INTERVALS

SCOPES = ("user", "user_email", "strategy", "deployment")
DEFAULT_RECORDS = 30
MAX_RECORDS = 100
_WHOLE = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)


class WindowField(forms.Field):
    json_schema = {"type": "string", "pattern": "^[1-9][0-9]{0,4}[mhd]$"}

    def to_python(self, value):
        if value is None:
            return None
        try:
            return parse_window(value)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class LimitField(forms.Field):
    json_schema = {"type": "integer", "minimum": 0, "maximum": MAX_RECORDS, "default": DEFAULT_RECORDS}

    def to_python(self, value):
        if value is None:
            return DEFAULT_RECORDS
        if not _WHOLE.fullmatch(value) or int(value) > MAX_RECORDS:
            raise ValidationError(f"Give a whole number from 0 to {MAX_RECORDS}.", code="invalid")
        return int(value)


class FiguresForm(forms.Form):
    """Exactly one scope; a span by `since` and `until`, or by a trailing `window`."""

    user = IdField(required=False, help_text="Scope (give exactly one): a trader.")
    user_email = TextField(
        required=False, max_length=254, help_text="Scope (give exactly one): a trader by address, in any case."
    )
    strategy = IdField(required=False, help_text="Scope (give exactly one): a strategy, deleted or not.")
    deployment = IdField(required=False, help_text="Scope (give exactly one): a deployment.")
    since = InstantField(required=False, help_text="From this instant on.")
    until = InstantField(required=False, help_text="Before this instant.")
    window = WindowField(
        required=False,
        help_text="Trailing, live to the last row: minutes, hours or days up to 3660d, such as 15m, 24h or 30d.",
    )
    interval = ChoiceField(required=False, choices=INTERVALS, help_text="Adds the figures per UTC interval: `series`.")
    limit = LimitField(required=False, help_text="How many of the newest `records` come along.")

    def clean(self):
        given = [name for name in SCOPES if name in self.data]
        if len(given) != 1:
            for name in given or SCOPES:
                self._refuse(name, "exactly_one", f"Give exactly one of: {', '.join(SCOPES)}.")
        if "window" in self.data and ("since" in self.data or "until" in self.data):
            self._refuse("window", "invalid", "Give either window, or since and until.")
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since > until:
            self._refuse("since", "invalid", "Must not be later than until.")

    def _refuse(self, name, code, detail):
        self.add_error(name, ValidationError(detail, code=code))


def figures_asked(query_params):
    """
    The parameters' values by name, None where not given.

    :raises ValidationError: naming each that is not valid and what is allowed
    """
    form = FiguresForm(query_params)
    if form.is_valid():
        return form.cleaned_data
    raise exceptions.ValidationError(
        {
            name: [exceptions.ErrorDetail(error["message"], code=error["code"]) for error in errors]
            for name, errors in form.errors.get_json_data().items()
        }
    )
