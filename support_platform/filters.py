"""
Query parameters, strictly: every one known, given once, not empty and valid, or a 400 that names it.

django-filter's forms turn junk into "no filter" in places (a boolean, an empty string); here nothing is ignored.
"""

from ipaddress import ip_address

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from rest_framework.exceptions import ErrorDetail
from rest_framework.exceptions import ValidationError as InvalidRequest

from .exceptions import OutOfReach
from .ids import is_id
from .instants import parse_instant
from .models import AuditEvent
from .statements import Given
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
    """
    django-filter's declaration of a list's parameters; applied to those that are given, without a form.

    Also refuses a span that ends before it begins: `x_after` past `x_before`.
    """

    def __init__(self, data, *, request):
        self.data, self.request = data, request

    def cleaned(self):
        """
        The given parameters' values.

        :raises InvalidRequest: naming each that is not valid, with its code
        """
        values, errors = {}, {}
        for name in self.data.keys() & self.base_filters.keys():
            try:
                values[name] = self.base_filters[name].field.clean(self.data[name])
            except ValidationError as error:
                errors[name] = [ErrorDetail(error.message, code=error.code)]
        for name, start in values.items():
            end = values.get(name.replace("_after", "_before")) if name.endswith("_after") else None
            if end and start > end:
                errors[name] = [ErrorDetail("Must not be later than the _before.", code="invalid")]
        if errors:
            raise InvalidRequest(errors)
        return values

    def check_empty(self):
        """
        Called where nothing was found, for what then may not be answered by an empty list.

        :raises OutOfReach: if the list is one of somebody who is out of the caller's reach
        """

    def applied(self, queryset, values):
        """The queryset with what these values of parameters leave of it."""
        for name in (name for name in self.base_filters if name in values):
            declared = self.base_filters[name]
            if declared.method:
                queryset = getattr(self, declared.method)(queryset, declared.field_name, values[name])
            else:
                queryset = declared.filter(queryset, values[name])
        return queryset

    def shape(self, values):
        """
        What the SQL of the filtered queryset depends on besides the values that are bound: the names of these, and the
        others with their few values. None if it depends on more (support_platform/shapes.py).
        """
        shape = []
        for name, value in values.items():
            declared = self.base_filters[name]
            if _is_bound(declared):
                shape.append(name)
            elif isinstance(declared, ChoiceFilter | BooleanFilter):
                shape.append((name, value))
            else:
                return None
        return frozenset(shape)

    def compared(self, values):
        """[(column, lookup)] of these parameters if each compares a column with its value, else None."""
        declared = [self.base_filters[name] for name in values]
        return [(one.field_name, one.lookup_expr) for one in declared] if all(map(_is_bound, declared)) else None

    def as_given(self, values, model):
        """The same with a Given in the place of each value that is bound."""
        return {
            name: Given(name, model._meta.get_field(self.base_filters[name].field_name))
            if _is_bound(self.base_filters[name])
            else value
            for name, value in values.items()
        }


def _is_bound(declared):
    """Whether a filter compares a column with the value and does nothing else."""
    return (
        isinstance(declared, IdFilter | InstantFilter | TextFilter)
        and declared.lookup_expr in ("exact", "gte", "lt")
        and not (declared.method or declared.exclude or declared.distinct)
    )


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
