"""
Query parameters, strictly: every one known, given once, not empty and valid, or a 400 that names it.

django-filter's forms turn junk into "no filter" in places (a boolean, an empty string); here nothing is ignored.
"""

from ipaddress import ip_address

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail
from rest_framework.exceptions import ValidationError as InvalidRequest

from .exceptions import OutOfReach
from .ids import is_id
from .instants import parse_instant
from .models import AuditEvent
from .text import check_text


class IdField(forms.Field):
    def to_python(self, value):
        if value in (None, ""):
            return None
        if not is_id(value):
            raise ValidationError("Give an id: a whole number from 1.", code="invalid")
        return int(value)


class InstantField(forms.Field):
    def to_python(self, value):
        if value in (None, ""):
            return None
        try:
            return parse_instant(value)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class BooleanField(forms.Field):
    def to_python(self, value):
        if value in (None, ""):
            return None
        if value not in ("true", "false"):
            raise ValidationError("Give true or false.", code="invalid")
        return value == "true"


class ChoiceField(forms.Field):
    def __init__(self, *, choices=(), **kwargs):
        super().__init__(**kwargs)
        self.choices = list(choices)

    def to_python(self, value):
        if value in (None, ""):
            return None
        if value not in self.choices:
            raise ValidationError(f"Must be one of: {', '.join(self.choices)}.", code="invalid_choice")
        return value


class TextField(forms.Field):
    def __init__(self, *, max_length=100, **kwargs):
        super().__init__(**kwargs)
        self.max_length = max_length

    def to_python(self, value):
        if value in (None, ""):
            return None
        try:
            return check_text(value, self.max_length)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class AddressField(forms.Field):
    def to_python(self, value):
        if value in (None, ""):
            return None
        try:
            address = ip_address(value)
        except ValueError:
            address = None
        if address is None or "%" in value:
            raise ValidationError("Give an IP address, without a zone.", code="invalid")
        return str(address)


class AddressFilter(django_filters.Filter):
    field_class = AddressField


class IdFilter(django_filters.Filter):
    field_class = IdField


class InstantFilter(django_filters.Filter):
    field_class = InstantField


class BooleanFilter(django_filters.Filter):
    field_class = BooleanField


class ChoiceFilter(django_filters.Filter):
    field_class = ChoiceField


class TextFilter(django_filters.Filter):
    field_class = TextField


class StrictFilterSet(django_filters.FilterSet):
    """Also refuses a span that ends before it begins: `x_after` past `x_before`."""

    class StrictForm(forms.Form):
        def clean(self):
            cleaned = super().clean()
            for name, start in list(cleaned.items()):
                end = cleaned.get(name.replace("_after", "_before")) if name.endswith("_after") else None
                if start and end and start > end:
                    self.add_error(name, ValidationError("Must not be later than the _before.", code="invalid"))
            return cleaned

    def get_form_class(self):
        fields = {name: filter_.field for name, filter_ in self.filters.items()}
        return type("StrictFilterForm", (self.StrictForm,), fields)


def check_parameters(request, allowed):
    """
    Refuse unknown, repeated and empty query parameters.

    :raises ValidationError: naming each and what is allowed
    """
    errors = {}
    for name, values in request.query_params.lists():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            errors[name] = [ErrorDetail(f"Unknown parameter. This call takes: {known}.", code="unknown")]
        elif len(values) > 1:
            errors[name] = [ErrorDetail("Give it once.", code="repeated")]
        elif values[0] == "":
            errors[name] = [ErrorDetail("Give a value, or leave the parameter out.", code="empty")]
    if errors:
        raise InvalidRequest(errors)


class StrictFilterBackend(DjangoFilterBackend):
    """django-filter's backend; every invalid value is refused by name, with its code."""

    def filter_queryset(self, request, queryset, view):
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise InvalidRequest(
                {
                    name: [ErrorDetail(error["message"], code=error["code"]) for error in found]
                    for name, found in filterset.errors.get_json_data().items()
                }
            )
        return filterset.qs


class AuditEventFilter(StrictFilterSet):
    """On each field of an event: `at` by span, `changes` by the name of a changed field, `reason` by a part of it."""

    id = IdFilter()
    at = InstantFilter()
    at_after = InstantFilter(field_name="at", lookup_expr="gte")
    at_before = InstantFilter(field_name="at", lookup_expr="lt")
    actor = TextFilter(lookup_expr="iexact", max_length=254)
    actor_id = IdFilter()
    broker = IdFilter()
    action = TextFilter()
    subject_type = TextFilter()
    subject_id = IdFilter()
    user = IdFilter()
    user_email = TextFilter(method="by_user_email", max_length=254)
    changes = TextFilter(lookup_expr="has_key")
    reason = TextFilter(lookup_expr="icontains")
    request_id = TextFilter()
    source = ChoiceFilter(choices=AuditEvent.Source.values)
    ip = AddressFilter()

    def by_user_email(self, queryset, name, value):
        trader = get_user_model().objects.visible_to(self.request.user).filter(email=value.lower()).first()
        if trader is None:
            raise OutOfReach
        return queryset.filter(user=trader.pk)
