"""Rows that belong to a trader, of those within reach, without reading past those of all others."""


def ours_among(staff, rows, most, *fields):
    """([(id, *fields)] of those of the first `most` rows that are within reach, whether there were no more rows)."""
    looked_at = list(rows.values_list("user__broker_id", "user__is_staff", "pk", *fields)[:most])
    ours = [row for broker, is_staff, *row in looked_at if not is_staff and staff.broker_id in (None, broker)]
    return ours, len(looked_at) < most


def ids_among(staff, rows, most):
    return [pk for (pk,) in ours_among(staff, rows, most)[0]]
