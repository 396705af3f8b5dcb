"""What the closed trades earned and risked. Pure arithmetic on the shared ground of `metrics`."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext
from math import fsum, sqrt
from typing import Any, NamedTuple

from .metrics import EXACT, MICROSECOND, by_interval, check_intervals, newest, number

CURVE_POINTS = 1000


class ClosedTrade(NamedTuple):
    trade: Any
    taken_at: datetime
    closed_at: datetime
    result: Decimal  # net of fees
    fees: Decimal
    # What only a record tells.
    strategy: Any = None
    deployment: Any = None
    symbol: str = ""
    side: str = ""  # long | short

    @property
    def outcome(self) -> str:
        return "win" if self.result > 0 else "loss" if self.result < 0 else "breakeven"


class _Step(NamedTuple):
    """The curve after all trades that closed at one instant."""

    at: datetime
    equity: Decimal
    peak: Decimal
    peak_at: datetime | None

    @property
    def drawdown(self) -> Decimal:
        return self.peak - self.equity


class Totals(NamedTuple):
    """What the figures are made of, whichever way it was added up."""

    trades: int
    wins: int
    losses: int
    won: Decimal
    lost: Decimal  # the losses added up: not above 0
    fees: Decimal
    best: Decimal | None
    worst: Decimal | None
    held: int  # microseconds from taken to closed


def summary(trades: Iterable[ClosedTrade], starting_capital: Decimal | None = None, open_trades: int = 0) -> dict:
    with localcontext(EXACT):
        trades = list(trades)
        steps = _curve(trades, starting_capital)
        fall = _max_drawdown(steps, starting_capital)
        curve = [{"at": step.at, "equity": step.equity, "drawdown": step.drawdown} for step in _thinned(steps, fall)]
        days = by_interval(trades, lambda trade: trade.closed_at, "day")
        earned = [(day.toordinal(), sum(trade.result for trade in group)) for day, group in days]
        sharpe = sharpe_ratio(earned, starting_capital)
        return answer(_totals(trades), starting_capital, open_trades, sharpe, fall, curve)


def answer(
    totals: Totals,
    starting_capital: Decimal | None,
    open_trades: int,
    sharpe: tuple[float | None, str | None],
    max_drawdown: dict,
    equity_curve: list[dict],
) -> dict:
    with localcontext(EXACT):
        count, pnl = totals.trades, totals.won + totals.lost
        return {
            "count": count,
            "excluded": {"open": open_trades},
            "method": "one step per closing instant",
            "trades": count,
            "open_trades": open_trades,
            "wins": totals.wins,
            "losses": totals.losses,
            "breakevens": count - totals.wins - totals.losses,
            "win_rate": _rate(totals.wins, count),
            "win_rate_decided": _rate(totals.wins, totals.wins + totals.losses),
            "gross_pnl": pnl + totals.fees if count else None,
            "fees": totals.fees if count else None,
            "pnl": pnl if count else None,
            "profit_factor": number(totals.won / -totals.lost) if totals.losses else None,
            "profit_factor_reason": None if totals.losses else "no_losses" if count else "no_trades",
            "expectancy": _average(pnl, count),
            "average_win": _average(totals.won, totals.wins),
            "average_loss": _average(totals.lost, totals.losses),
            "best": totals.best,
            "worst": totals.worst,
            "starting_capital": starting_capital,
            "return_pct": number(pnl * 100 / starting_capital) if count and starting_capital else None,
            "sharpe_ratio": sharpe[0],
            "sharpe_ratio_reason": sharpe[1],
            "max_drawdown": max_drawdown,
            "average_holding_seconds": number(totals.held / count / 1_000_000) if count else None,
            "equity_curve": equity_curve,
        }


def figures(trades: Iterable[ClosedTrade], starting_capital: Decimal | None = None) -> dict:
    """What a correction of a trade moves: win rate, PnL and maximum drawdown."""
    full = summary(trades, starting_capital)
    return {name: full[name] for name in ("win_rate", "pnl", "max_drawdown")}


def records(trades: Iterable[ClosedTrade], limit: int) -> list[dict]:
    return [record(trade) for trade in newest(trades, lambda trade: trade.closed_at, limit)]


def record(trade: ClosedTrade) -> dict:
    return {
        "trade": trade.trade,
        "strategy": trade.strategy,
        "deployment": trade.deployment,
        "symbol": trade.symbol,
        "side": trade.side,
        "result": trade.result,
        "fees": trade.fees,
        "taken_at": trade.taken_at,
        "closed_at": trade.closed_at,
        "outcome": trade.outcome,
    }


def series(trades: Iterable[ClosedTrade], interval: str, starting_capital: Decimal | None = None) -> list[dict]:
    with localcontext(EXACT):
        trades = list(trades)
        groups = by_interval(trades, lambda trade: trade.closed_at, interval)
        check_intervals(len(groups))
        last_step = {
            start: steps[-1]
            for start, steps in by_interval(_curve(trades, starting_capital), lambda step: step.at, interval)
        }
        rows = []
        for start, group in groups:
            wins = sum(trade.result > 0 for trade in group)
            rows.append(
                interval_row(
                    start,
                    len(group),
                    wins,
                    sum(trade.result < 0 for trade in group),
                    sum(trade.result for trade in group),
                    sum(trade.fees for trade in group),
                    last_step[start].equity,
                    last_step[start].drawdown,
                )
            )
        return rows


def interval_row(
    start: datetime,
    trades: int,
    wins: int,
    losses: int,
    pnl: Decimal,
    fees: Decimal,
    equity: Decimal,
    drawdown: Decimal,
) -> dict:
    """One row of the series; equity and drawdown are those at its last close."""
    return {
        "start": start,
        "trades": trades,
        "wins": wins,
        "losses": losses,
        "pnl": pnl,
        "fees": fees,
        "win_rate": _rate(wins, trades),
        "equity": equity,
        "drawdown": drawdown,
    }


def no_fall() -> dict:
    return dict.fromkeys(("absolute", "percent", "peak_at", "trough_at", "recovered_at"))


def percent_of_peak(fall: Decimal, peak: Decimal, starting_capital: Decimal | None) -> float | None:
    return number(fall * 100 / peak) if starting_capital is not None and peak > 0 else None


def kept_points(steps: int, marks: Iterable[int]) -> list[int]:
    """Which steps of the curve are told, by their number: evenly spaced ones with both ends, and the marked ones."""
    if steps <= CURVE_POINTS:
        return list(range(steps))
    spaced = CURVE_POINTS - 2  # the peak and the trough come on top
    return sorted({index * (steps - 1) // (spaced - 1) for index in range(spaced)} | set(marks))


def _rate(part: int, whole: int) -> float | None:
    return number(part / whole) if whole else None


def _average(total: Decimal, count: int) -> Decimal | None:
    # Adding 0 turns the negative zero that rounding may leave into 0.
    return round(total / count, 8) + 0 if count else None


def _totals(trades: list[ClosedTrade]) -> Totals:
    results = [trade.result for trade in trades]
    won, lost = [r for r in results if r > 0], [r for r in results if r < 0]
    return Totals(
        trades=len(trades),
        wins=len(won),
        losses=len(lost),
        won=sum(won, Decimal(0)),
        lost=sum(lost, Decimal(0)),
        fees=sum((trade.fees for trade in trades), Decimal(0)),
        best=max(results, default=None),
        worst=min(results, default=None),
        held=sum((trade.closed_at - trade.taken_at) // MICROSECOND for trade in trades),
    )


def _curve(trades: list[ClosedTrade], starting_capital: Decimal | None) -> list[_Step]:
    results = defaultdict(Decimal)
    for trade in trades:
        results[trade.closed_at] += trade.result
    equity = peak = starting_capital or Decimal(0)
    peak_at, steps = None, []
    for at in sorted(results):
        equity += results[at]
        if equity > peak:
            peak, peak_at = equity, at
        steps.append(_Step(at, equity, peak, peak_at))
    return steps


def _max_drawdown(steps: list[_Step], starting_capital: Decimal | None) -> dict:
    """The deepest fall, the first one among equals."""
    fall = no_fall()
    if not steps:
        return fall
    trough = max(steps, key=lambda step: step.drawdown)
    fall["absolute"] = trough.drawdown
    fall["percent"] = percent_of_peak(trough.drawdown, trough.peak, starting_capital)
    if trough.drawdown:
        back = (step.at for step in steps if step.at > trough.at and step.equity >= trough.peak)
        fall.update(peak_at=trough.peak_at, trough_at=trough.at, recovered_at=next(back, None))
    return fall


def _thinned(steps: list[_Step], fall: dict) -> list[_Step]:
    marked = {fall["peak_at"], fall["trough_at"]}
    marks = [index for index, step in enumerate(steps) if step.at in marked]
    return [steps[index] for index in kept_points(len(steps), marks)]


def sharpe_ratio(days: list[tuple], starting_capital) -> tuple[float | None, str | None]:
    """
    The ratio, or None and the reason; of what each day with closes earned, as (number of the day, amount), ascending.
    The amounts and the capital are Decimals, or whole numbers of the same unit.

    The risk-free rate is 0 and the year has 365 days. The first day's return stands on the starting capital and counts;
    no zero return is put before it. That is what empyrical and quantstats make of daily balances when the starting
    capital leads them.
    """
    if not days:
        return None, "no_trades"
    if starting_capital is None:
        return None, "no_starting_capital"
    span = days[-1][0] - days[0][0] + 1
    if span < 2:
        return None, "fewer_than_two_days"
    equity, returns = starting_capital, []
    for _, earned in days:
        if equity <= 0:
            return None, "equity_not_positive"
        returns.append(float(earned / equity))
        equity += earned
    quiet = span - len(days)  # days without closes, each a return of 0
    if len({*returns, 0.0} if quiet else {*returns}) == 1:
        return None, "zero_deviation"
    mean = fsum(returns) / span
    squares = fsum((value - mean) ** 2 for value in returns) + quiet * mean**2
    return number(mean / sqrt(squares / (span - 1)) * sqrt(365)), None


DEFINITIONS = {
    "since": "Trades closed at this instant or later; null: from the first one.",
    "until": "Trades closed before this instant; null: to the last one.",
    "window": "The trailing time asked for: since = as_of - window.",
    "count": "Closed trades in scope and span, the same as trades.",
    "excluded": "Open trades: in no figure but open_trades.",
    "method": "Trades ordered by closed_at; those that close at the same instant are one step of the curve.",
    "trades": "Closed trades.",
    "open_trades": "Trades in scope that are open as of as_of, whatever the span.",
    "wins": "Closed trades with result > 0, net of fees.",
    "losses": "Closed trades with result < 0, net of fees.",
    "breakevens": "Closed trades with result = 0: neither win nor loss.",
    "win_rate": "wins / trades, breakevens in the divisor.",
    "win_rate_decided": "wins / (wins + losses); null when no trade is decided.",
    "gross_pnl": "pnl + fees: the profit before fees.",
    "fees": "Sum of the closed trades' fees, positive = paid.",
    "pnl": "Sum of the closed trades' results, net of fees.",
    "profit_factor": "Sum of the wins / |sum of the losses|, net of fees; null without losses.",
    "profit_factor_reason": "Why profit_factor is null: no_trades or no_losses; else null.",
    "expectancy": "pnl / trades, to 8 decimals.",
    "average_win": "Mean result of the wins, to 8 decimals; null without wins.",
    "average_loss": "Mean result of the losses (negative), to 8 decimals; null without losses.",
    "best": "Largest single result, whatever its sign.",
    "worst": "Smallest single result, whatever its sign.",
    "starting_capital": (
        "Sum of the capital of the deployments in scope, where known; null when none is. A span is measured as if it "
        "began with this capital."
    ),
    "return_pct": "pnl / starting_capital * 100; null without starting capital.",
    "sharpe_ratio": (
        "Mean / sample standard deviation of daily returns * sqrt(365), risk-free rate 0. A return is the "
        "UTC day's pnl / equity at its start; every day from the first to the last close counts, quiet "
        "days as 0."
    ),
    "sharpe_ratio_reason": (
        "Why sharpe_ratio is null: no_trades, no_starting_capital, fewer_than_two_days, "
        "equity_not_positive (at the start of a day) or zero_deviation; else null."
    ),
    "max_drawdown": (
        "The deepest fall of equity below its running peak, the first among equals; the peak starts at "
        "the starting capital (0 when unknown). absolute: the fall, positive. percent: that fall in % of "
        "the equity at its peak, null without starting capital or when that equity is not above 0. "
        "peak_at: when the peak was first reached, null when it is the starting capital. trough_at: the "
        "deepest point. recovered_at: the first instant back at or above the peak, null if not yet."
    ),
    "average_holding_seconds": "Mean of closed_at - taken_at in seconds.",
    "slippage_cost": (
        "total_cost of the slippage of the same trades' orders, in quote currency, positive = cost; "
        "already part of pnl. Orders that count for no slippage, or have no quantity, add nothing."
    ),
    "equity_curve": (
        "Starting capital (0 when unknown) + running pnl at each closing instant, with the fall below the "
        "running peak as drawdown; at most 1,000 points, always with both ends, the peak and the trough."
    ),
    "outcome": "Of one trade: win (result > 0), loss (< 0) or breakeven.",
    "records": "The newest closed trades by closed_at.",
    "series": (
        "Per UTC interval of closed_at, without empty intervals: trades, wins, losses, pnl, fees, "
        "win_rate, and equity and drawdown at its last close."
    ),
}
