"""
Rows of one broker among those of all.

A row of a trader does not carry its broker, which would have to be kept right in two places. So what belongs to a
broker is found from either end, each bounded: the rows come first and tell their traders' broker, which finds enough
for a broker that has much; or the broker's traders come first, where they are few. docs/decisions/0020-search.md has
what this costs.
"""

from typing import NamedTuple

from django.contrib.auth import get_user_model

from accounts.reach import ours_among

# How many rows of all brokers are looked at, and up to how many traders are few.
MAX_FOUND_AMONG = 2_000
MAX_NEWEST_AMONG = 10_000
MAX_NEWEST = 5_000
FEW_TRADERS = 1_000
FEW_FIELDS = 2


def few_traders(staff):
    """The ids of all traders within reach, or None when they are many; read once for a request, as `staff` is."""
    if not hasattr(staff, "few_traders"):
        traders = get_user_model().objects.visible_to(staff).order_by().values_list("pk", flat=True)
        traders = list(traders[: FEW_TRADERS + 1])
        staff.few_traders = traders if len(traders) <= FEW_TRADERS else None
    return staff.few_traders


def ids_within_reach(staff, model, condition, apart, limit):
    """
    The ids of at most `limit` rows within reach that meet a condition which an index serves, in no order. `apart` is
    the same condition in a form that no index serves.

    For a broker with many traders, only the rows among the first 2,000 of all brokers.
    """
    rows = model.objects.filter(condition).order_by()
    if staff.broker_id is None:
        return list(rows.visible_to(staff).values_list("pk", flat=True)[:limit])
    ours, is_all = ours_among(staff, rows, MAX_FOUND_AMONG)
    ours = [pk for (pk,) in ours[:limit]]
    if is_all or len(ours) == limit or (traders := few_traders(staff)) is None:
        return ours
    rows = model.objects.filter(apart, user__in=traders).order_by()
    return list(rows.values_list("pk", flat=True)[:limit])


class Newest(NamedTuple):
    """`rows` are (id, *fields), the newest first; `is_all`: there are no others within reach and span."""

    rows: list
    is_all: bool


def newest(staff, rows, column, limit, *fields):
    """
    The newest at most `limit` rows within reach, by a column that has an index of its own and one after the trader.

    For a broker whose rows are few among those of all and whose traders are many, only those among the newest 10,000.
    """
    order = (f"-{column}", "-pk")
    rows = rows.filter(**{f"{column}__isnull": False}).order_by(*order)
    if staff.broker_id is None:
        found = list(rows.visible_to(staff).values_list("pk", *fields)[: limit + 1])
        return Newest(found[:limit], len(found) <= limit)
    # Of the rows of others no more is read than tells whose they are, and what hardly costs more.
    read_along = fields if len(fields) <= FEW_FIELDS else ()
    ours, is_all = ours_among(staff, rows, MAX_NEWEST_AMONG, *read_along)
    if not is_all and len(ours) < limit and (traders := few_traders(staff)) is not None:
        of_traders = rows.filter(user__in=traders).order_by().values_list("pk", column, *fields)
        of_traders = list(of_traders[: limit + 1])
        if len(of_traders) <= limit:
            of_traders.sort(key=lambda row: (row[1], row[0]), reverse=True)
            return Newest([(pk, *values) for pk, _, *values in of_traders], True)
    is_all, ours = is_all and len(ours) <= limit, ours[:limit]
    if read_along or not fields:
        return Newest(ours, is_all)
    found = rows.model.objects.filter(pk__in=[pk for (pk,) in ours]).order_by(*order).values_list("pk", *fields)
    return Newest(list(found), is_all)
