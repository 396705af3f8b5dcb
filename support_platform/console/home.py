"""
The home page: first what needs attention, within the reach and the rights of whoever looks.

What can need it are *matters*, named in `settings.CONSOLE_MATTERS`; the apps above write them. Each finds its rows by
an index that holds few of very many, and no more of them than are counted here.
"""

import logging
from functools import cache

from django.conf import settings
from django.contrib import admin
from django.db.models import Q
from django.utils.module_loading import import_string

from support_platform import logs, refusals

from .lists import ConsoleFilter
from .panels import Panel

MAX_COUNTED = 100
MAX_LISTED = 1_000
SHOWN = 3


class Matter:
    """
    Something that should not be so: rows of one list, which is where they are put right.

    `name` is what the list's address calls it (?attention=...), `advice` what to do about it.
    """

    name = ""
    title = ""
    advice = ""
    model = ""  # "trading.deployment"
    rights = ()

    def is_for(self, request):
        return all(request.user.has_perm(right) for right in self.rights)

    def ids(self, request, limit):
        """The ids of at most `limit` such rows within reach, the newest first."""
        raise NotImplementedError

    def words(self, row):
        """What the row is called among others of the matter."""
        return str(row)


@cache
def matters():
    return tuple(import_string(path)() for path in settings.CONSOLE_MATTERS)


class AttentionPanel(Panel):
    title = "Needs attention"
    template = "admin/home/attention.html"
    is_wide = True

    def show(self, request, row):
        told = [_told(matter, request) for matter in matters() if matter.is_for(request)]
        return {
            "matters": [matter for matter in told if matter],
            "is_looked_at": bool(told),
            "refused": _refused(request.user),
        }


def _told(matter, request):
    ids = matter.ids(request, MAX_COUNTED + 1)
    if not ids:
        return None
    [page] = [page for model, page in admin.site._registry.items() if model._meta.label_lower == matter.model]
    rows = page.get_queryset(request).select_related(*page.list_select_related or ()).in_bulk(ids[:SHOWN])
    return {
        "title": matter.title,
        "advice": matter.advice,
        "count": f"{MAX_COUNTED}+" if len(ids) > MAX_COUNTED else str(len(ids)),
        "rows": [(matter.words(rows[pk]), page.url("change", pk)) for pk in ids[:SHOWN] if pk in rows],
        "others": len(ids) > SHOWN,
        "address": f"{page.url('changelist')}?attention={matter.name}",
    }


def _refused(staff):
    """{bucket: count} of the last day, or None while the cache does not tell."""
    try:
        return refusals.of_last_day(staff.broker_id)
    except Exception as error:  # comfort: the page is shown without
        logs.event("cache_away", level=logging.ERROR, error=type(error).__name__)
        return None


class AttentionFilter(ConsoleFilter):
    """Exactly the rows that a matter of the home page is about."""

    title = "needs attention"
    parameter_name = "attention"

    def lookups(self, request, model_admin):
        self.request = request
        self.matters = {
            matter.name: matter
            for matter in matters()
            if matter.model == model_admin.opts.label_lower and matter.is_for(request)
        }
        return [(name, matter.title) for name, matter in self.matters.items()]

    def has_output(self):
        return bool(self.matters) or self.value() is not None  # so that one that is not for this person is refused

    def queryset(self, request, queryset):
        self.request = request
        return super().queryset(request, queryset)

    def condition(self, value):
        return Q(pk__in=self.matters[value].ids(self.request, MAX_LISTED))
