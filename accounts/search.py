"""What the console finds accounts by: the part of their admins that search is made of."""

from support_platform.console import lists, search

from .models import NAME, Broker, User

MAX_TRADERS = 100
MIN_FOUND = 50  # of each way, so that the likeliest of so many are shown
_BEGINNINGS = (
    search.by_beginning("email"),
    search.by_beginning(*NAME),
    search.by_beginning(*reversed(NAME)),
)


class TraderSearch:
    search_fields = ("email",)
    ways = (
        search.by_address(),
        search.by_phone(),
        search.by_id(),
        search.by_text(*NAME),
        search.by_text(*reversed(NAME)),
        *_BEGINNINGS,
    )
    search_help_text = "The beginning of the e-mail or of a name, the phone number, or the id."

    def found_by(self, request, way, term, limit):
        """By indexes that begin with the broker; active traders first, then by address."""
        broker = request.user.broker_id
        brokers = Broker.objects.values_list("pk", flat=True) if broker is None else [broker]
        rows = self.get_queryset(request).filter(way.condition(term), broker__in=list(brokers)).order_by()
        rows = rows.values_list("is_active", "email", "pk")[: max(limit, MIN_FOUND)]
        return [pk for *_, pk in sorted(rows, key=lambda row: (not row[0], row[1]))][:limit]

    def found_words(self, request, row):
        told = [f"trader {row.get_full_name()}".strip(), row.phone, "" if row.is_active else "inactive"]
        told.append(row.broker.name if request.user.broker_id is None else "")
        return row.email, ", ".join(filter(None, told))


class StaffSearch:
    """By the index of staff alone, who are few."""

    search_fields = ("email",)
    ways = (search.by_id(), *_BEGINNINGS)
    search_help_text = "The beginning of the e-mail or of a name, or the id."


class BrokerSearch:
    """Brokers are few."""

    search_fields = ("name",)
    ways = (search.by_id(), search.by_beginning("name"), search.by_beginning("domain"))
    search_help_text = "The beginning of the name or of the domain, or the id."


class MailSearch:
    search_fields = ("user__email",)
    search_help_text = "The beginning of the trader's e-mail or name, the phone number, or the trader's id."

    def get_search_results(self, request, queryset, search_term):
        lists.check_search(search_term)
        return (of_traders(self, request, queryset, search_term) if search_term.strip() else queryset), False


def of_traders(page, request, queryset, term):
    """Those of the rows that belong to the traders whom the term means, or to the one whose address it is."""
    term = search.tidy(term)
    traders = page.admin_site.get_model_admin(User).found(request, term, MAX_TRADERS)
    exact = User.objects.filter(pk__in=traders, email=term.lower()).values_list("pk", flat=True)
    # Found first and by themselves, so that the rows are read by their index on the trader.
    return queryset.filter(user__in=list(exact) or traders)
