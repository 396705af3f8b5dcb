"""What the console finds the rows of traders by: the part of their admins that search is made of."""

from accounts.search import of_traders
from support_platform.console import search
from support_platform.folded import begins, begins_unindexed

from . import reach
from .models import Strategy

MAX_STRATEGIES = 100
_WHOSE = "or the trader's e-mail or its beginning with the @"


class OwnedSearch:
    """A term with an @ names the trader, any other the row."""

    def search_listed(self, request, queryset, term):
        if "@" in term:
            return of_traders(self, request, queryset, term)
        return super().search_listed(request, queryset, term)

    def found_by(self, request, way, term, limit):
        condition, apart = way.condition(term), way.apart(term)
        return reach.ids_within_reach(request.user, self.model, condition, apart, limit)

    def found_words(self, request, row):
        """What it is and whose."""
        told = [str(self.opts.verbose_name), f"#{row.pk}", getattr(row, "symbol", ""), "of", row.user.email]
        deleted = ", deleted" if getattr(row, "is_deleted", False) else ""
        return str(row), " ".join(filter(None, told)) + deleted


class NamedSearch(OwnedSearch):
    search_fields = ("name",)
    ways = (search.by_id(), search.by_text("name"), search.by_beginning("name"), search.by_beginning("symbol"))
    search_help_text = f"The beginning of the name or of a symbol, an id, {_WHOSE}."


class DeploymentSearch(OwnedSearch):
    search_fields = ("symbol",)
    ways = (search.by_id(), search.by_beginning("symbol"))
    search_help_text = f"The beginning of a symbol or of the strategy's name, an id, {_WHOSE}."

    def search_apart(self, request, term):
        return super().search_apart(request, term) | begins_unindexed(term, "strategy__name")

    def found(self, request, term, limit):
        """In the list also the runs of the strategies that the term means."""
        found = super().found(request, term, limit)
        if len(found) == limit or limit < search.MAX_IN_LIST:
            return found
        strategies = reach.ids_within_reach(
            request.user,
            Strategy,
            begins(term, "name"),
            begins_unindexed(term, "name"),
            MAX_STRATEGIES,
        )
        runs = self.model.objects.filter(strategy__in=strategies).order_by().values_list("pk", flat=True)[:limit]
        return list(dict.fromkeys([*found, *runs]))[:limit]


class ImportedSearch(OwnedSearch):
    """Of rows so many that no index of their symbols is kept: in the list, a symbol is looked for among the newest."""

    search_fields = ("external_id",)
    ways = (search.by_id(), search.by_value("external_id"))
    search_help_text = (
        f"An id, an external id, {_WHOSE}, or the beginning of a symbol, which is looked for among the newest "
        f"{reach.MAX_NEWEST:,} rows, or in one trader's list among all."
    )
    newest_by = "taken_at"

    def search_apart(self, request, term):
        return super().search_apart(request, term) | begins_unindexed(term, "symbol")

    def found(self, request, term, limit):
        found = super().found(request, term, limit)
        if found or limit < search.MAX_IN_LIST:
            return found
        newest = reach.newest(request.user, self.model.objects.all(), self.newest_by, reach.MAX_NEWEST, "symbol")
        return [pk for pk, symbol in newest.rows if symbol.lower().startswith(term.lower())][:limit]


class TradeSearch(ImportedSearch):
    pass


class OrderSearch(ImportedSearch):
    newest_by = "placed_at"
