from django.core.exceptions import ValidationError
from django.db.models import Q

from support_platform.filters import (
    ChoiceFilter,
    IdFilter,
    InstantFilter,
    StrictFilterSet,
    TextField,
    TextFilter,
)
from support_platform.ids import is_id

from . import queries
from .models import User
from .serializers import PHONE


class PhoneField(TextField):
    json_schema = {"type": "string", "pattern": f"^{PHONE.pattern}$"}

    def to_python(self, value):
        value = super().to_python(value)
        if value is not None and not PHONE.fullmatch(value):
            raise ValidationError("Give the number as +4915112345678 (in an address the + is %2B).", code="invalid")
        return value


class PhoneFilter(TextFilter):
    field_class = PhoneField


class UserFilter(StrictFilterSet):
    email = TextFilter(method="by_email", max_length=254)
    phone = PhoneFilter()
    status = ChoiceFilter(choices=User.Status.values, method="by_status")
    broker = TextFilter(method="by_broker")
    search = TextFilter(method="by_search")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    def by_email(self, queryset, name, value):
        return queryset.filter(email=value.lower())  # iexact would compare UPPER(email), which no index serves

    def by_status(self, queryset, name, value):
        return queryset.filter(is_active=value == User.Status.ACTIVE)

    def by_broker(self, queryset, name, value):
        """A broker's id, or its name."""
        by_name = Q(broker__name__iexact=value)
        return queryset.filter(Q(broker_id=int(value)) | by_name if is_id(value) else by_name)

    def by_search(self, queryset, name, value):
        """Each word somewhere in the address, the phone or the name."""
        for word in value.split():
            queryset = queryset.filter(
                Q(email__icontains=word)
                | Q(phone__contains=word)
                | Q(first_name__icontains=word)
                | Q(last_name__icontains=word)
            )
        return queryset


class OwnedFilter(StrictFilterSet):
    """For lists that belong to traders: `user` and `user_email`; an unknown trader is a 404, not an empty list."""

    user = IdFilter()
    user_email = TextFilter(method="by_user_email", max_length=254)

    def check_empty(self):
        """A row tells that its trader is within reach; without one it is asked."""
        if "user" in self.data:
            queries.find_trader(self.request.user, user_id=int(self.data["user"]))

    def by_user_email(self, queryset, name, value):
        return queryset.filter(user=queries.find_trader(self.request.user, email=value).pk)
