"""What the closed trades earned and risked. Pure arithmetic on the shared ground of `metrics`."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext
from math import fsum, sqrt
from typing import Any, NamedTuple

from .metrics import EXACT, MICROSECOND, by_interval, mean, newest, number

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


def summary(trades: Iterable[ClosedTrade], starting_capital: Decimal | None = None, open_trades: int = 0) -> dict:
    with localcontext(EXACT):
        trades = list(trades)
        results = [trade.result for trade in trades]
        won, lost = [r for r in results if r > 0], [r for r in results if r < 0]
        pnl, fees, loss = sum(results), sum(trade.fees for trade in trades), -sum(lost)
        steps = _curve(trades, starting_capital)
        sharpe, sharpe_reason = _sharpe_ratio(trades, starting_capital)
        fall = _max_drawdown(steps, starting_capital)
        return {
            "count": len(trades),
            "excluded": {"open": open_trades},
            "method": "one step per closing instant",
            "trades": len(trades),
            "open_trades": open_trades,
            "wins": len(won),
            "losses": len(lost),
            "breakevens": len(trades) - len(won) - len(lost),
            "win_rate": _rate(len(won), len(trades)),
            "win_rate_decided": _rate(len(won), len(won) + len(lost)),
            "gross_pnl": pnl + fees if trades else None,
            "fees": fees if trades else None,
            "pnl": pnl if trades else None,
            "profit_factor": number(sum(won) / loss) if lost else None,
            "profit_factor_reason": None if lost else "no_losses" if trades else "no_trades",
            "expectancy": _average(results),
            "average_win": _average(won),
            "average_loss": _average(lost),
            "best": max(results, default=None),
            "worst": min(results, default=None),
            "starting_capital": starting_capital,
            "return_pct": number(pnl * 100 / starting_capital) if trades and starting_capital else None,
            "sharpe_ratio": sharpe,
            "sharpe_ratio_reason": sharpe_reason,
            "max_drawdown": fall,
            "average_holding_seconds": _average_holding_seconds(trades),
            "equity_curve": [
                {"at": step.at, "equity": step.equity, "drawdown": step.drawdown} for step in _thinned(steps, fall)
            ],
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
        last_step = {
            start: steps[-1]
            for start, steps in by_interval(_curve(trades, starting_capital), lambda step: step.at, interval)
        }
        rows = []
        for start, group in by_interval(trades, lambda trade: trade.closed_at, interval):
            wins = sum(trade.result > 0 for trade in group)
            rows.append(
                {
                    "start": start,
                    "trades": len(group),
                    "wins": wins,
                    "losses": sum(trade.result < 0 for trade in group),
                    "pnl": sum(trade.result for trade in group),
                    "fees": sum(trade.fees for trade in group),
                    "win_rate": _rate(wins, len(group)),
                    "equity": last_step[start].equity,
                    "drawdown": last_step[start].drawdown,
                }
            )
        return rows


def _rate(part: int, whole: int) -> float | None:
    return number(part / whole) if whole else None


def _average(amounts: list[Decimal]) -> Decimal | None:
    # Adding 0 turns the negative zero that rounding may leave into 0.
    return round(sum(amounts) / len(amounts), 8) + 0 if amounts else None


def _average_holding_seconds(trades: list[ClosedTrade]) -> float | None:
    held = mean([(trade.closed_at - trade.taken_at) // MICROSECOND for trade in trades])
    return None if held is None else number(held / 1_000_000)


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
    fall = dict.fromkeys(("absolute", "percent", "peak_at", "trough_at", "recovered_at"))
    if not steps:
        return fall
    trough = max(steps, key=lambda step: step.drawdown)
    fall["absolute"] = trough.drawdown
    if starting_capital is not None and trough.peak > 0:
        fall["percent"] = number(trough.drawdown * 100 / trough.peak)
    if trough.drawdown:
        back = (step.at for step in steps if step.at > trough.at and step.equity >= trough.peak)
        fall.update(peak_at=trough.peak_at, trough_at=trough.at, recovered_at=next(back, None))
    return fall


def _thinned(steps: list[_Step], fall: dict) -> list[_Step]:
    if len(steps) <= CURVE_POINTS:
        return steps
    spaced = CURVE_POINTS - 2  # the peak and the trough come on top
    kept = {index * (len(steps) - 1) // (spaced - 1) for index in range(spaced)}
    marks = (fall["peak_at"], fall["trough_at"])
    return [step for index, step in enumerate(steps) if index in kept or step.at in marks]


def _sharpe_ratio(trades: list[ClosedTrade], starting_capital: Decimal | None) -> tuple[float | None, str | None]:
    """
    The ratio, or None and the reason. The risk-free rate is 0 and the year has 365 days.

    The first day's return stands on the starting capital and counts; no zero return is put before it. That is
    what empyrical and quantstats make of daily balances when the starting capital leads them.
    """
    if not trades:
        return None, "no_trades"
    if starting_capital is None:
        return None, "no_starting_capital"
    days = by_interval(trades, lambda trade: trade.closed_at, "day")
    span = (days[-1][0] - days[0][0]).days + 1
    if span < 2:
        return None, "fewer_than_two_days"
    equity, returns = starting_capital, []
    for _, group in days:
        if equity <= 0:
            return None, "equity_not_positive"
        earned = sum(trade.result for trade in group)
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
