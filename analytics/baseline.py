"""
Is it only this trader, or everyone? One trader's newest orders beside those of others, on the same symbols at the same
times.

The others are the traders of the whole platform, whatever their broker: what comes out are medians and percentiles of
at least MIN_TRADERS of them, and nothing of a single one.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from support_platform.bounded import rows_of_all
from trading.models import Order

from . import latency, slippage
from .metrics import number, percentile

OWN = 200  # the trader's newest orders
ASKED = 40  # so many of them, evenly chosen, are looked around
NEAREST = 25  # so many orders on the same symbol stand nearest before each
WITHIN = timedelta(hours=24)
MIN_ORDERS = 20  # fewer say nothing of a 95th percentile
MIN_TRADERS = 5  # of fewer, one could be guessed
RULE = (
    f"This trader: the newest {OWN} orders. Others: around up to {ASKED} of these, evenly chosen, the {NEAREST} orders "
    "on the same symbol nearest before it, at most 24 hours before, that are not this trader's, whatever the broker; "
    "of them so many that each symbol has the same share on both sides. A symbol is left out that fewer than "
    f"{MIN_TRADERS} others traded, or with fewer than half as many orders as this trader's. A limit order, which waits "
    f"for its price, counts up to its acknowledgement only. A figure takes {MIN_ORDERS} orders on both sides, and "
    f"{MIN_TRADERS} others. It differs by more than a quarter of the others' and by more than 20 ms or 1 bps; a p95 of "
    "others from 1,000 ms or 20 bps on is bad for everyone."
)
STAGES = ("acknowledgement", "decision", "execution", "fill", "total")
UP_TO_THE_FILL = ("execution", "fill", "total")


class Yardstick(NamedTuple):
    """A figure differs if it does by more than a quarter of the others' and by more than `margin`."""

    unit: str
    margin: float
    much: float  # from this 95th percentile on it is bad for everyone
    worse: str
    worse_among_bad: str
    better: str
    all_bad: str
    alike: str


LATENCY = Yardstick(
    unit="ms",
    margin=20,
    much=1000,
    worse="Slower than others",
    worse_among_bad="Slower than others, who are slow too",
    better="Faster than others",
    all_bad="Everyone is slow",
    alike="As fast as others",
)
SLIPPAGE = Yardstick(
    unit="bps",
    margin=1,
    much=20,
    worse="Costlier than for others",
    worse_among_bad="Costlier than for others, for whom it is costly too",
    better="Cheaper than for others",
    all_bad="Costly for everyone",
    alike="As for others",
)


class Side(NamedTuple):
    """The orders of which something is known, and of how many traders. Of too few others no p50 and p95 are told."""

    count: int
    traders: int
    p50: float | None = None
    p95: float | None = None


class Figure(NamedTuple):
    name: str
    own: Side
    others: Side

    @property
    def is_comparable(self):
        return self.own.count >= MIN_ORDERS and self.others.p95 is not None


class Baseline(NamedTuple):
    """`since` and `until` are the instants of the trader's oldest and newest order that is compared, or None."""

    orders: int
    other_orders: int
    other_traders: int
    symbols: list
    lone_symbols: list  # on which too few others trade
    since: datetime | None
    until: datetime | None
    stages: list  # a Figure of milliseconds for each of STAGES
    slippage: Figure  # in bps
    latency_verdict: str
    slippage_verdict: str


class Placed(NamedTuple):
    """An order with what is compared, None where unknown."""

    order: int
    user: int
    symbol: str
    at: datetime
    gaps: dict  # stage: milliseconds
    bps: float | None


def baseline_of(trader):
    """The Baseline of the trader with this id, from at most OWN + ASKED * NEAREST orders read by two statements."""
    rows = Order.objects.filter(user=trader, placed_at__isnull=False).order_by("-placed_at", "-id")
    own = [_placed(*row) for row in rows.values_list(*_COLUMNS)[:OWN]]
    return compare(own, _others(trader, own))


def compare(own, others):
    lone = {order.symbol for order in own}
    own, others = _alike(own, others)
    symbols = {order.symbol for order in own}
    stages = [_figure(stage, own, others, lambda order, stage=stage: order.gaps[stage]) for stage in STAGES]
    bps = _figure("slippage", own, others, lambda order: order.bps)
    instants = [order.at for order in own]
    return Baseline(
        orders=len(own),
        other_orders=len(others),
        other_traders=len({order.user for order in others}),
        symbols=sorted(symbols),
        lone_symbols=sorted(lone - symbols),
        since=min(instants, default=None),
        until=max(instants, default=None),
        stages=stages,
        slippage=bps,
        latency_verdict=verdict(stages, LATENCY),
        slippage_verdict=verdict([bps], SLIPPAGE),
    )


def _alike(own, others):
    """Those of both on symbols that enough others trade, with the same share of each symbol among both."""
    ours, theirs = (_by_symbol(orders) for orders in (own, others))
    shared = [
        symbol
        for symbol in ours.keys() & theirs.keys()
        if len({order.user for order in theirs[symbol]}) >= MIN_TRADERS and 2 * len(theirs[symbol]) >= len(ours[symbol])
    ]
    to_one = min((Fraction(len(theirs[symbol]), len(ours[symbol])) for symbol in shared), default=0)
    chosen = []
    for symbol in shared:
        known, wanted = theirs[symbol], int(to_one * len(ours[symbol]))
        chosen += [known[place * len(known) // wanted] for place in range(wanted)]  # evenly, from the newest on
    return [order for order in own if order.symbol in shared], chosen


def _by_symbol(orders):
    found = defaultdict(list)
    for order in sorted(orders, key=lambda order: (order.at, order.order), reverse=True):
        found[order.symbol].append(order)
    return found


def verdict(figures, by):
    """
    The comparison in one sentence, or why there is none: of the first figure that is worse than the others', else of
    the first that is better, else of the first.
    """
    comparable = [figure for figure in figures if figure.is_comparable]
    if not comparable:
        fullest = max(figures, key=lambda figure: (figure.others.p95 is not None, figure.own.count))
        if fullest.others.p95 is None:
            known = f"{fullest.others.count} orders of {fullest.others.traders} others"
            return f"Nobody to compare with: {known}, and it takes {MIN_ORDERS} orders of {MIN_TRADERS}."
        return f"Too few orders to say: {fullest.own.count} of this trader's newest, and it takes {MIN_ORDERS}."
    for sign, words in ((1, (by.worse, by.worse_among_bad)), (-1, (by.better, by.better))):
        for figure in comparable:
            for name, mine, theirs in _percentiles(figure):
                if sign * (mine - theirs) > max(by.margin, abs(theirs) / 4):
                    is_bad = figure.others.p95 >= by.much
                    return f"{words[is_bad]}: {_in_words(figure, name, mine, theirs, by)}."
    bad = [figure for figure in comparable if figure.others.p95 >= by.much]
    figure = (bad or comparable)[0]
    return f"{by.all_bad if bad else by.alike}: {_in_words(figure, *_percentiles(figure)[0], by)}."


def _percentiles(figure):
    own, others = figure.own, figure.others
    return ("p95", own.p95, others.p95), ("median", own.p50, others.p50)


def _in_words(figure, name, mine, theirs, by):
    return f"{figure.name} {name} {_round(mine)} {by.unit} against {_round(theirs)} {by.unit}"


def _round(value):
    """As far as a sentence needs it; the table beside it has all digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _figure(name, own, others, value_of):
    return Figure(name, _side(own, value_of), _side(others, value_of, is_of_others=True))


def _side(orders, value_of, *, is_of_others=False):
    values = sorted(value for order in orders if (value := value_of(order)) is not None)
    traders = len({order.user for order in orders if value_of(order) is not None})
    if is_of_others and (traders < MIN_TRADERS or len(values) < MIN_ORDERS):
        return Side(len(values), traders)
    return Side(len(values), traders, number(percentile(values, 50)), number(percentile(values, 95)))


_STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
_PRICES = ("expected_price", "arrival_price", "filled_price", "filled_quantity")
_COLUMNS = ("id", "user_id", "symbol", "side", "order_type", "placed_at", *_STAMPS, *_PRICES)


def _placed(order, user, symbol, side, order_type, at, *values):
    stamps, prices = values[: len(_STAMPS)], values[len(_STAMPS) :]
    times = latency.record(latency.OrderTimes(order, None, *stamps))
    bps = slippage.bps_of(slippage.OrderPrices(order, None, symbol, side, *prices, at, stamps[-1]))
    gaps = {stage: times[f"{stage}_ms"] for stage in STAGES}
    if order_type == Order.OrderType.LIMIT:
        gaps |= dict.fromkeys(UP_TO_THE_FILL)
    return Placed(order, user, symbol, at, gaps, None if bps is None else number(bps))


def _others(trader, own):
    """Whatever stands nearest is read and the trader's own then left out, so that an only trader costs no more."""
    around = [
        Order.objects.filter(symbol=order.symbol, placed_at__lte=order.at, placed_at__gt=order.at - WITHIN)
        .order_by("-placed_at", "-id")
        .values_list(*_COLUMNS)[:NEAREST]
        for order in own[:: -(-len(own) // ASKED) or 1]
    ]
    found = {row[0]: row for row in rows_of_all(around) if row[1] != trader}
    return [_placed(*row) for row in found.values()]
