"""
Keyset pages: a page is found by comparing with the last row seen, not by counting rows skipped.

So page 100,000 costs what page 1 costs, and rows that arrive or change meanwhile neither repeat nor hide others.
The row's id breaks every tie. (DRF's CursorPagination counts an offset within equal values and loses rows.)
"""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core import signing
from django.utils.functional import cached_property
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.response import Response

from .instants import parse_instant
from .renderers import Finite
from .shapes import Part

SALT = "support_platform.pagination"
_SIZE = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


def invalid(name, code, detail):
    """A query parameter refused by name (400)."""
    return ValidationError({name: [ErrorDetail(detail, code=code)]})


@dataclass(frozen=True)
class Position:
    """Where a page begins: beside the row (value, id); value None is the part of the rows that have none."""

    value: object
    id: int
    backward: bool


class KeysetPagination(BasePagination):
    """
    `{"next", "previous", "results"}`, and `"total"` when `include_total=true` asks for it: exact up to `max_total`,
    which is as far as rows are counted.

    The view names its `orderings`, the default first, each an instant of its serializer with or without "-". A column
    that can be null comes last in both directions.
    """

    default_page_size = 100
    max_total = 10_000
    max_page_size = 1000
    parameters = ("cursor", "page_size", "ordering", "include_total")

    def paginate_queryset(self, listing, request, view=None):
        """The page's rows as the view's serializer would answer them, of a `shapes.Listing` or `shapes.Rows`."""
        self.request, self.view = request, view
        self.size = self._page_size(request.query_params.get("page_size"))
        self.ordering = self._ordering(request.query_params.get("ordering"), view.orderings)
        self.with_total = self._include_total(request.query_params.get("include_total"))
        self.seal = self._seal(request)
        position = self._position(request.query_params.get("cursor"))
        self.total = self._count(listing) if self.with_total else None
        page = self._page(listing, position)
        more = len(page) > self.size
        page = page[: self.size]
        backward = position is not None and position.backward
        if backward:
            page.reverse()
        self.next = self.previous = None
        if page:
            if more or backward:
                self.next = self._link(page[-1], backward=False)
            if (more and backward) or (position is not None and not backward):
                self.previous = self._link(page[0], backward=True)
        return page

    @cached_property
    def _signer(self):
        """What a cursor is made of needs no escaping in an address."""
        return signing.Signer(salt=f"{SALT}:{self.seal!r}", sep=".")

    def get_paginated_response(self, data):
        body = Finite(next=self.next, previous=self.previous, results=data)
        if self.with_total:
            body["total"] = min(self.total, self.max_total)
            if self.total > self.max_total:
                body["total_is_capped"] = True
        return Response(body)

    def _count(self, listing):
        """How many there are, counted to one more than `max_total`."""
        return listing.queryset.order_by().values("pk")[: self.max_total + 1].count()

    def _page(self, listing, position):
        """One page and one row more, from the part with values and then, if any room is left, the part without."""
        column = self.ordering.lstrip("-")
        is_backward = position is not None and position.backward
        is_descending = self.ordering.startswith("-") != is_backward
        is_nullable = listing.read_by.model._meta.get_field(column).null
        parts = [False, True] if is_nullable else [False]
        if is_backward:
            parts.reverse()
        if is_nullable and position is not None:
            parts = parts[parts.index(position.value is None) :]
        page = []
        for is_empty in parts:
            is_first = position is None or (position.value is None) != is_empty
            part = Part(column, is_descending, is_nullable, is_empty, is_first)
            at, row_id = (None, None) if is_first else (position.value, position.id)
            page += listing.read(part, at, row_id, self.size + 1 - len(page))
            if len(page) > self.size:
                break
        return page

    def _page_size(self, given):
        if given is None:
            return self.default_page_size
        if _SIZE.fullmatch(given) and int(given) <= self.max_page_size:
            return int(given)
        raise invalid("page_size", "invalid", f"Give a whole number from 1 to {self.max_page_size}.")

    @staticmethod
    def _include_total(given):
        if given not in (None, "true", "false"):
            raise invalid("include_total", "invalid", "Give true or false.")
        return given == "true"

    @staticmethod
    def _ordering(given, orderings):
        if given is None:
            return orderings[0]
        if given not in orderings:
            raise invalid("ordering", "invalid_choice", f"Must be one of: {', '.join(orderings)}.")
        return given

    def _seal(self, request):
        """What a cursor belongs to: this caller, this list, these filters. Another's cursor is refused."""
        filters = sorted(
            (name, value)
            for name, value in request.query_params.items()
            if name not in ("cursor", "page_size", "include_total")
        )
        return [request.user.pk, request.path, self.ordering, filters]

    def _position(self, cursor):
        if cursor is None:
            return None
        try:
            instant, row_id, backward = self._signer.unsign_object(cursor)
        except (signing.BadSignature, ValueError):
            raise invalid(
                "cursor",
                "invalid_cursor",
                "Not a cursor of this list with these filters. Follow `next` as given, or begin without cursor.",
            ) from None
        return Position(None if instant is None else parse_instant(instant), row_id, backward)

    def _link(self, row, *, backward):
        place = [row[self.ordering.lstrip("-")], row["id"], backward]
        cursor = self._signer.sign_object(place)
        query = urlencode({**self.request.query_params.dict(), "cursor": cursor})
        # The path of a list is a route of ours as it stands: nothing in it to escape.
        return f"{self.request.scheme}://{self.request.get_host()}{self.request.path}?{query}"
