"""Panels of a trader's page: what runs, what was traded, what was made, and the story of it all."""

import re
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.utils import timezone

from support_platform import ids
from support_platform.bounded import CappedCount, few
from support_platform.console.panels import PagePanel, Panel, list_url
from support_platform.instants import format_instant, parse_instant

from .models import Deployment, Scanner, Strategy, Trade
from .queries import SOURCES, Timeline

COUNTED_OPEN = 100
QUIET = timedelta(days=30)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# What runs comes first, and of that what runs without its strategy.
_FIRST = Case(
    When(~Q(status=Deployment.Status.STOPPED) & Q(strategy__deleted_at__isnull=False), then=Value(0)),
    When(status=Deployment.Status.ACTIVE, then=Value(1)),
    When(status=Deployment.Status.PAUSED, then=Value(2)),
    default=Value(3),
)


class TablePanel(Panel):
    """The first rows of one of a trader's lists, how many there are, and the way to all of them."""

    noun = ""
    model = None
    narrowed = {}  # what the list's address says besides the trader
    order = "newest"

    def rows(self, trader):
        """The rows in the order in which they are shown."""
        raise NotImplementedError

    def show(self, request, row):
        url = list_url(self.model, user=row.pk, **self.narrowed)
        return {"few": few(self.rows(row)), "all_rows": url, "noun": self.noun, "order": self.order}


class DeploymentsPanel(TablePanel):
    title = "Deployments"
    template = "admin/trader/deployments.html"
    right = "trading.view_deployment"
    is_wide = True
    noun, model = "deployments", Deployment
    order = "first"

    def rows(self, trader):
        trades = Trade.objects.filter(deployment=OuterRef("pk"))
        newest = trades.order_by("-taken_at", "-id").values("taken_at")[:1]
        found = Deployment.objects.filter(user=trader.pk).select_related("strategy")
        return found.annotate(
            open_trades=CappedCount(trades.open(), COUNTED_OPEN), last_trade_at=Subquery(newest)
        ).order_by(_FIRST, "-started_at", "-id")

    def show(self, request, row):
        found, now = super().show(request, row), timezone.now()
        for deployment in found["few"].rows:
            deployment.troubles = troubles(deployment, row, now)
        return found


def troubles(deployment, trader, now):
    """
    What is wrong with a deployment, in words. It carries `open_trades`, counted to one above COUNTED_OPEN, and
    `last_trade_at`.
    """
    found = []
    if deployment.status == Deployment.Status.STOPPED:
        return ["stopped with open trades"] if deployment.open_trades else []
    if deployment.strategy.is_deleted:
        found.append("its strategy is deleted")
    if not trader.is_active:
        found.append("its trader is inactive")
    if deployment.open_trades > deployment.max_open_trades:
        found.append("more open trades than it may have")
    if deployment.status == Deployment.Status.ACTIVE:
        if deployment.last_trade_at is None:
            found.append("no trades yet")
        elif now - deployment.last_trade_at > QUIET:
            found.append(f"no trade for {(now - deployment.last_trade_at).days} days")
    return found


class OpenTradesPanel(TablePanel):
    title = "Open trades"
    template = "admin/trader/open_trades.html"
    right = "trading.view_trade"
    noun, model, narrowed = "open trades", Trade, {"status": "open"}

    def rows(self, trader):
        # By the index on (user, closed_at, id), in which the open ones stand together.
        return Trade.objects.open().filter(user=trader.pk).select_related("strategy").order_by("-id")


class ClosedTradesPanel(TablePanel):
    title = "Closed trades"
    template = "admin/trader/closed_trades.html"
    right = "trading.view_trade"
    noun, model, narrowed = "closed trades", Trade, {"status": "closed"}

    def rows(self, trader):
        closed = Trade.objects.closed().filter(user=trader.pk)
        return closed.select_related("strategy").order_by("-closed_at", "-id")


class StrategiesPanel(TablePanel):
    title = "Strategies"
    template = "admin/trader/strategies.html"
    right = "trading.view_strategy"
    noun, model = "strategies", Strategy

    def rows(self, trader):
        return Strategy.objects.filter(user=trader.pk).with_active_deployments().order_by("-created_at", "-id")


class ScannersPanel(TablePanel):
    title = "Scanners"
    template = "admin/trader/scanners.html"
    right = "trading.view_scanner"
    noun, model = "scanners", Scanner

    def rows(self, trader):
        return Scanner.objects.filter(user=trader.pk).order_by("-created_at", "-id")


class TimelinePanel(PagePanel):
    """The trader's story; on its own page whole, by kind and by day."""

    title = "Timeline"
    template = "admin/trader/timeline.html"
    page_template = "admin/trader/timeline_page.html"
    right = "accounts.view_user"
    is_wide = True
    parameters = frozenset({"kind", "from", "to", "older", "newer"})
    shown, page_size = 20, 50

    def show(self, request, row):
        return {"entries": self._linked(request, Timeline(row, request.user).entries(self.shown))}

    def show_page(self, request, row):
        given = {name: value for name, value in request.GET.items() if value}
        kind = given.get("kind")
        if kind is not None and kind not in SOURCES:
            raise BadRequest(f"kind must be one of: {', '.join(SOURCES)}.")
        first, last = (_day(name, given.get(name)) for name in ("from", "to"))
        if first and last and first > last:
            raise BadRequest("from must not be later than to.")
        if "older" in given and "newer" in given:
            raise BadRequest("Give older or newer, not both.")
        timeline = Timeline(
            row, request.user, kind=kind, at_after=_midnight(first), at_before=_midnight(last, after=True)
        )
        is_back = "newer" in given
        place = _place(given["newer" if is_back else "older"]) if is_back or "older" in given else None
        entries = timeline.entries(self.page_size + 1, beyond=place, descending=not is_back)
        has_more, entries = len(entries) > self.page_size, entries[: self.page_size]
        if is_back:
            entries.reverse()
        kept = {name: given[name] for name in ("kind", "from", "to") if name in given}
        return {
            "entries": self._linked(request, entries),
            "kinds": [(name, name.replace("_", " ").capitalize(), name == kind) for name in SOURCES],
            "given": given,
            "is_filtered": bool(kept),
            "newest": f"?{urlencode(kept)}" if place else None,
            "older": _link(kept, "older", entries[-1]) if entries and (has_more or is_back) else None,
            "newer": _link(kept, "newer", entries[0]) if entries and (has_more if is_back else place) else None,
        }

    def _linked(self, request, entries):
        """[(entry, its address, its subject's)], None for what has no page that this person may see."""
        pages = {
            model._meta.model_name: page
            for model, page in admin.site._registry.items()
            if not page.superuser_only and page.has_view_permission(request)
        }

        def address(kind, pk):
            return pages[kind].url("change", pk) if kind in pages and pk else None

        found = []
        for entry in entries:
            subject = address(entry.subject_type, entry.subject_id) if entry.subject_type != "user" else None
            if entry.event:
                found.append((entry, address("auditevent", entry.event.pk), subject))
            elif entry.kind in ("mail", "reset"):
                found.append((entry, address("outgoingmail", entry.row_id), None))
            else:
                found.append((entry, subject, None))
        return found


def _day(name, text):
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadRequest(f"{name}: give a day, such as 2026-01-31.")


def _midnight(day, *, after=False):
    """The beginning of a day in UTC, or its end, which is None for the last of all days."""
    if day is None or (after and day == date.max):
        return None
    return datetime.combine(day + timedelta(days=1) if after else day, time(), UTC)


def _place(text):
    """
    A place of the story as a page's address names it: instant, kind and id.

    :raises BadRequest: for any other text
    """
    at, _, rest = text.partition("~")
    kind, _, row_id = rest.partition("~")
    if kind in SOURCES and ids.is_id(row_id):
        try:
            return parse_instant(at), kind, int(row_id)
        except ValueError:
            pass
    raise BadRequest("This is no place of the timeline. Begin without older and newer.")


def _link(kept, name, entry):
    return f"?{urlencode({**kept, name: f'{format_instant(entry.at)}~{entry.kind}~{entry.row_id}'})}"
