"""
What a search term finds: on every page (Ctrl-K) and in the box of each list.

An admin names the `ways` in which a term may mean one of its rows, the likeliest first. Every way is one place or one
range of an index, of which no more is read than is shown: the cost of a search does not grow with the tables
(docs/decisions/0020-search.md).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q
from django.urls import reverse

from support_platform import ids
from support_platform.folded import begins, begins_unindexed, equals

from . import lists

MAX_IN_LIST = 1_000
MAX_OF_KIND = 5
MAX_IN_ALL = 25
_ID = re.compile(r"#?([1-9][0-9]*)", re.ASCII)
_PHONE = re.compile(r"(?:\+|00)([1-9][0-9]{2,14})|([1-9][0-9]{5,14})", re.ASCII)
_NATIONAL = re.compile(r"0([1-9][0-9]{5,13})", re.ASCII)
_NOT_OF_PHONES = re.compile(r"[\s()/.-]+")
# How E.164 numbers can begin: the countries' codes, by where codes of one, two and three digits are given out.
_OF_THREE = [f"{tens}" for tens in (*range(21, 27), 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99)]
_OF_TWO = [f"{n}" for n in range(20, 99) if f"{n}" not in _OF_THREE and n // 10 != 7]
_COUNTRIES = ["1", "7", *_OF_TWO, *(f"{tens}{n}" for tens in _OF_THREE for n in range(10))]


@dataclass(frozen=True)
class Way:
    """
    `condition(term)` is what a row must be, or None where a term like this cannot mean a row.

    `apart` is the same where a few rows are chosen by other means already, and must not be led by this one's index.
    """

    condition: Callable[[str], Q | None]
    apart: Callable[[str], Q | None]


def _way(condition, apart=None):
    return Way(condition, apart or condition)


def by_id():
    """The row's own id, also as #5."""

    def condition(term):
        match = _ID.fullmatch(term)
        return Q(pk=int(match[1])) if match and ids.is_id(match[1]) else None

    return _way(condition)


def by_value(field):
    """Exactly this text in a field that has an index of its own."""
    return _way(lambda term: Q(**{field: term}))


def by_text(*columns):
    """The whole text of the columns, in any case; for an index on `Folded(*columns)`."""
    return _way(lambda term: equals(term, *columns))


def by_beginning(*columns):
    return _way(lambda term: begins(term, *columns), lambda term: begins_unindexed(term, *columns))


def by_address(field="email"):
    """The whole e-mail address, in any case; it is stored in lower case."""
    return _way(lambda term: Q(**{field: term.lower()}) if "@" in term else None)


def by_phone(field="phone"):
    """A number as people write it: with the country's code its beginning, or else all of it."""

    def way(begins):
        def condition(term):
            digits = _NOT_OF_PHONES.sub("", term)
            if match := _PHONE.fullmatch(digits):
                return begins(f"+{match[1] or match[2]}", field)
            if match := _NATIONAL.fullmatch(digits):
                return Q(**{f"{field}__in": [f"+{country}{match[1]}" for country in _COUNTRIES]})
            return None

        return condition

    return _way(way(begins), way(begins_unindexed))


def tidy(term):
    """A term as the indexes have it: single spaces, and "Stone, Ada" without its comma."""
    return " ".join(term.replace(", ", " ").split())


class SearchMixin:
    """The part of OperationAdmin that finds rows."""

    ways = ()

    def get_search_results(self, request, queryset, search_term):
        lists.check_search(search_term)
        if not search_term.strip():
            return queryset, False
        if not self.ways:
            return super().get_search_results(request, queryset, search_term)
        term = tidy(search_term)
        if self.is_narrowed(request):
            return queryset.filter(self.search_apart(request, term)), False
        return self.search_listed(request, queryset, term), False

    def search_listed(self, request, queryset, term):
        """Those of the list's rows that the term means."""
        found = self.found(request, term, MAX_IN_LIST)
        if len(found) >= MAX_IN_LIST and request.method == "GET":
            text = f"More than {MAX_IN_LIST} {self.opts.verbose_name_plural} may match; these are of them. Type more."
            self.message_user(request, text, messages.WARNING)
        return queryset.filter(pk__in=found)

    def is_narrowed(self, request):
        """Whether the list is that of one other row, such as a trader, so that an index serves it as it is."""
        by_address = (one for one in self.list_filter if issubclass(one, lists.ByAddressFilter))
        return any(one.parameter_name in request.GET for one in by_address)

    def search_apart(self, request, term):
        """What the rows must be that the term means, without an index."""
        conditions = [condition for way in self.ways if (condition := way.apart(term)) is not None]
        together = Q(pk__in=[])
        for condition in conditions:
            together |= condition
        return together

    def found(self, request, term, limit):
        """The ids of at most `limit` rows within reach that the term means, the likeliest first."""
        found = {}
        for way in self.ways:
            condition = way.condition(term)
            if condition is not None and len(found) < limit:
                found |= dict.fromkeys(self.found_by(request, way, term, limit))
        return list(found)[:limit]

    def found_by(self, request, way, term, limit):
        """The ids of at most `limit` rows within reach, by one way; in no order."""
        rows = self.get_queryset(request).filter(way.condition(term)).order_by()
        return list(rows.values_list("pk", flat=True)[:limit])

    def found_rows(self, request, term, limit):
        """Those rows."""
        pks = self.found(request, term, limit)
        rows = self.get_queryset(request).select_related(*self.list_select_related or ()).in_bulk(pks)
        return [rows[pk] for pk in pks if pk in rows]

    def found_words(self, request, row):
        """(what stands for the row, what it is and whose)."""
        return str(row), str(self.opts.verbose_name)


def found(site, request, term):
    """[(title, what it is and whose, address, icon)]: rows of each kind, the likeliest first, then pages by name."""
    term = tidy(term)
    if not term:
        return []
    rows = [one for page in _pages(site, request) if page.ways for one in _found_of_kind(page, request, term)]
    return rows[:MAX_IN_ALL] + list(_named(site, request, term))


def _pages(site, request):
    """The admins of what this person may see, in the order of the side bar."""
    return [site._registry[model["model"]] for app in site.get_app_list(request) for model in app["models"]]


def _found_of_kind(page, request, term):
    rows = page.found_rows(request, term, MAX_OF_KIND + 1)
    for row in rows[:MAX_OF_KIND]:
        yield *page.found_words(request, row), page.url("change", row.pk), page.icon
    if len(rows) > MAX_OF_KIND:
        kinds = page.opts.verbose_name_plural
        yield f"All {kinds} for “{term}”", "list", f"{page.url('changelist')}?{urlencode({'q': term})}", "list"


def _named(site, request, term):
    names = [("Home", "page", reverse("admin:index"), "home")]
    for app in site.get_app_list(request):
        names += [
            (str(model["name"]).capitalize(), f"list in {app['name']}", model["admin_url"], model["icon"])
            for model in app["models"]
        ]
    names.append(("Change your password", "page", reverse("admin:password_change"), "password"))
    for title, kind, address, icon in names:
        if any(title.lower()[at:].startswith(term.lower()) for at in _word_starts(title)):
            yield title, kind, address, icon


def _word_starts(text):
    return [match.start() for match in re.finditer(r"\S+", text)]
