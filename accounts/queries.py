"""Reads that need thought."""

from dataclasses import dataclass
from functools import cache

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.db.models import BigIntegerField, OuterRef, Subquery, TextField, Value
from django.db.models.functions import Concat

from support_platform.exceptions import OutOfReach
from support_platform.statements import Given, Statement, columns_of

from .models import User


def find_trader(staff, *, user_id=None, email=None):
    """
    The trader a staff member names by id and/or address (in any case).

    :raises OutOfReach: if there is none within the staff member's reach
    """
    given = {}
    if user_id is not None:
        given["id"] = user_id
    if email is not None:
        given["email"] = email.lower()
    row = _statement(staff.broker_id is not None, tuple(given)).first(broker=staff.broker_id, **given)
    if row is None:
        raise OutOfReach
    return User.from_db(DEFAULT_DB_ALIAS, columns_of(User), row)


def require_superuser(by):
    """
    The system acts without an id; whoever has one must be a superuser still.

    :raises PermissionDenied: for anyone else
    """
    if by.id is not None and not User.objects.filter(pk=by.id, is_superuser=True, is_active=True).exists():
        raise PermissionDenied("Only a superuser changes staff accounts.")


@dataclass(frozen=True)
class Reach:
    """Stands for a staff member while SQL is written that looks for what one may see: each run gives its `broker`."""

    broker_id: object

    @classmethod
    def given(cls, is_scoped):
        return cls(Given("broker", BigIntegerField()) if is_scoped else None)


@cache
def _statement(is_scoped, names):
    """The trader by these columns, in SQL that is written once: most lists and all figures ask for one."""
    staff = Reach.given(is_scoped)
    given = {name: Given(name, User._meta.get_field(name)) for name in names}
    return Statement(lambda: User.objects.visible_to(staff).filter(**given), columns_of(User))


class RightNames(Subquery):
    """The names of rights ("trading.view_trade") in one text, by spaces; null without any."""

    output_field = TextField()
    template = "(SELECT STRING_AGG(label, ' ') FROM (%(subquery)s) AS labels)"

    def __init__(self, **whose):
        label = Concat("content_type__app_label", Value("."), "codename")
        super().__init__(Permission.objects.filter(**whose).order_by().annotate(label=label).values("label"))

    def as_sqlite(self, compiler, connection):
        template = self.template.replace("STRING_AGG", "GROUP_CONCAT")
        return self.as_sql(compiler, connection, template=template)


def rights_of(user):
    """A user's own rights and those of its groups, as two columns."""
    return RightNames(user=OuterRef(user)), RightNames(group__user=OuterRef(user))
