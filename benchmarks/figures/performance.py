"""
Performance of a strategy of 100,000 trades: processor time of the first call, and of those after it.

The three strategies of the trader with most trades are asked for one after the other, on a server that has answered for
another trader before; each then again and again. Counts, PnL and drawdown are compared with the raw rows. Reached: the
first call costs at most 120 ms, the later ones at most 10 ms (medians of the three).
"""

from faults.figures import Measured

from .. import pages, single, truth
from ..rows import DifferentRows
from ..servers import MeasuredServer

REACH = "first call <= 120 ms, after it <= 10 ms (CPU)"
FULL = {"trades": 5_000_000, "repeats": 50}
QUICK = {"trades": 50_000, "repeats": 5}
DUE = {"first": 120, "after": 10}
STRATEGIES = """
SELECT strategy_id, count(*) FROM trading_trade WHERE user_id = %s AND closed_at IS NOT NULL
GROUP BY strategy_id ORDER BY strategy_id
"""


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    (largest, _), (other, _), *_ = filled.owners()
    strategies = filled.rows(STRATEGIES, largest)
    costs = []
    with MeasuredServer("platform", filled) as server:
        for _ in range(4):
            pages.body_of(server, f"/api/v1/analytics/performance/?user={other}")
        for number, (strategy, _) in enumerate(strategies):
            advance(number, len(strategies))
            path = f"/api/v1/analytics/performance/?strategy={strategy}"
            costs.append(single.first_and_after(server, path, sizes["repeats"]))
            told = pages.body_of(server, path)
            if wrong := truth.performance_differences(filled, "strategy", strategy, told):
                raise DifferentRows(f"performance of strategy {strategy}: (told, due) {wrong}")
    first, after = single.middle(costs, "first"), single.middle(costs, "after")
    closed = min(count for _, count in strategies)
    said = (
        f"{closed:,} trades: first {first:.0f} ms, after {after:.1f} ms CPU "
        f"({single.middle(costs, 'first', 'wall_ms'):.0f} and {single.middle(costs, 'after', 'wall_ms'):.0f} ms waited)"
    )
    reached = first <= DUE["first"] and after <= DUE["after"]
    return Measured(reached, said, {"closed_trades": [count for _, count in strategies], "strategies": costs})
