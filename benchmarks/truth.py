"""What the analytics must tell, from the raw rows by the database itself; and how far they are off."""

from decimal import Decimal

STAGES = {
    "decision": ("signal_at", "sent_at"),
    "acknowledgement": ("sent_at", "acknowledged_at"),
    "fill": ("acknowledged_at", "filled_at"),
    "execution": ("sent_at", "filled_at"),
    "total": ("signal_at", "filled_at"),
}
# Ordered by the instant alone, a running sum takes trades that close at once in one step, as the platform does.
PERFORMANCE = """
SELECT count(*), count(*) FILTER (WHERE result > 0), count(*) FILTER (WHERE result < 0), coalesce(sum(result), 0),
    coalesce(max(greatest(high, 0) - total), 0)
FROM (
    SELECT result, total, max(total) OVER (ORDER BY closed_at) AS high
    FROM (
        SELECT id, closed_at, result, sum(result) OVER (ORDER BY closed_at) AS total
        FROM trading_trade WHERE {scope} = %s AND closed_at IS NOT NULL
    ) run
) peaks
"""
LATENCY = """
SELECT count({gap}), percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY {gap})
FROM trading_order WHERE user_id = %s
"""
SLIPPAGE = """
SELECT count(*), percentile_cont(ARRAY[0.05, 0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY
    (CASE side WHEN 'buy' THEN 1 ELSE -1 END) * (filled_price - expected_price) / expected_price * 10000)
FROM trading_order WHERE user_id = %s AND filled_price IS NOT NULL AND filled_quantity > 0 AND expected_price > 0
"""


def performance_differences(filled, scope, owner, told):
    """The members of a performance answer that are not what the rows say: {name: (told, due)}"""
    [due] = filled.rows(PERFORMANCE.format(scope=f"{scope}_id"), owner)
    found = told["trades"], told["wins"], told["losses"], told["pnl"], told["max_drawdown"]["absolute"]
    names = ("trades", "wins", "losses", "pnl", "max_drawdown")
    return {
        name: (said, str(true))
        for name, said, true in zip(names, found, due, strict=True)
        if Decimal(said or 0) != Decimal(true)
    }


def latency_errors(filled, user, told):
    """How far each percentile of each stage is off, as a share of it; a wrong count is off by all."""
    for stage, (start, end) in STAGES.items():
        gap = f"extract(epoch FROM {end} - {start})::float8 * 1000"
        [(count, due)] = filled.rows(LATENCY.format(gap=gap), user)
        said = told["stages"][stage]
        yield from _errors(count, due, said["count"], [said[name] for name in ("p50", "p90", "p95", "p99")])


def slippage_errors(filled, user, told):
    [(count, due)] = filled.rows(SLIPPAGE, user)
    yield from _errors(count, due, told["count"], [told[name] for name in ("p5_bps", "p50_bps", "p95_bps", "p99_bps")])


def _errors(count, due, told_count, told):
    yield 0.0 if told_count == count else 1.0
    for true, said in zip(due, told, strict=True):
        yield share_off(said, float(true))


def share_off(said, true):
    """Differences below the digits that are answered are none."""
    difference = abs(said - true)
    return 0.0 if difference <= 1e-6 + 1e-6 * abs(true) else difference / max(abs(true), 1e-6)
