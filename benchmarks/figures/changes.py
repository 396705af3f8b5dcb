"""
Figures after changes: performance, latency and slippage against the raw rows, while trades and orders change anew.

Round after round the rows of the trader with most trades are changed behind the platform's back, in the database: rows
inserted late, between old ones and at instants that others have, results corrected, rows deleted; and by the API, a
correction. After each change all three are asked for and compared with what the database makes of the raw rows.
Reached: count, wins, losses, PnL and drawdown always equal; percentiles exact below 50,000 orders, else within 1
percent.
"""

from random import Random

from faults.figures import Measured
from faults.load import expect

from .. import pages, truth
from ..servers import MeasuredServer

REACH = "always equal to the raw rows"
FULL = {"trades": 500_000, "rounds": 60}
QUICK = {"trades": 50_000, "rounds": 8}
EXACT_BELOW, DUE_ERROR = 50_000, 0.01
# Each takes the trader and an offset into the trader's rows.
COPY_TRADE = """
INSERT INTO trading_trade (version, user_id, strategy_id, deployment_id, symbol, side, quantity, entry_price,
    exit_price, strike, stop_loss, target, fees, result, taken_at, closed_at, is_corrected, external_id)
SELECT 1, user_id, strategy_id, deployment_id, symbol, side, quantity, entry_price, exit_price, strike, stop_loss,
    target, fees, -3 * result + 0.01, taken_at, closed_at {later}, false, NULL
FROM trading_trade WHERE user_id = %s AND closed_at IS NOT NULL ORDER BY closed_at, id OFFSET %s LIMIT 20
"""
COPY_ORDER = """
INSERT INTO trading_order (version, user_id, strategy_id, deployment_id, external_id, symbol, side, order_type,
    quantity, expected_price, arrival_price, filled_price, filled_quantity, signal_at, sent_at, acknowledged_at,
    filled_at)
SELECT 1, user_id, strategy_id, deployment_id, 'late-' || gen_random_uuid(), symbol, side, order_type, quantity,
    expected_price, arrival_price, filled_price * 1.02, filled_quantity, signal_at, sent_at, acknowledged_at,
    filled_at + interval '3 seconds'
FROM trading_order WHERE user_id = %s ORDER BY placed_at, id OFFSET %s LIMIT 20
"""
SOME_TRADES = (
    "(SELECT id FROM trading_trade WHERE user_id = %s AND closed_at IS NOT NULL ORDER BY id OFFSET %s LIMIT 5)"
)
SOME_ORDERS = "(SELECT id FROM trading_order WHERE user_id = %s ORDER BY id OFFSET %s LIMIT 5)"
CHANGES = {
    "late trades": COPY_TRADE.format(later="+ interval '1 second'"),
    "trades at the same instants": COPY_TRADE.format(later=""),
    "corrected results": f"UPDATE trading_trade SET result = result * 2 - 1 WHERE id IN {SOME_TRADES}",
    "moved trades": f"UPDATE trading_trade SET closed_at = closed_at + interval '9 hours' WHERE id IN {SOME_TRADES}",
    "late orders": COPY_ORDER,
    "orders filled later": f"UPDATE trading_order SET filled_at = filled_at + interval '7 s' WHERE id IN {SOME_ORDERS}",
    "deleted orders": f"DELETE FROM trading_order WHERE id IN {SOME_ORDERS}",
}


def measure(stand, sizes, advance):
    filled, dice, wrong = stand.at(sizes["trades"]), Random(stand.seed), []
    largest, trades = filled.owners()[0]
    [[strategy]] = filled.rows("SELECT min(id) FROM trading_strategy WHERE user_id = %s", largest)
    names = list(CHANGES)
    with MeasuredServer("platform", filled) as server, filled.database() as connection:
        for number in range(sizes["rounds"]):
            advance(number, sizes["rounds"])
            name = names[number % len(names)]
            connection.execute(CHANGES[name], [largest, dice.randrange(trades - 40)])
            if number % 5 == 0:
                page = pages.body_of(server, f"/api/v1/trades/?user={largest}&status=closed&page_size=50")["results"]
                trade = dice.choice(page)
                body = {"result": f"{dice.randrange(100)}.75"}
                expect(server.staff("supervisor").patch(f"/api/v1/trades/{trade['id']}/", body), 200)
            wrong += [f"after {name}: {what}" for what in differences(server, largest, strategy)]
    said = f"{sizes['rounds']} changes, all equal" if not wrong else f"not equal: {'; '.join(wrong[:3])}"
    return Measured(not wrong, said, {"changes": sizes["rounds"], "wrong": wrong})


def differences(server, user, strategy):
    """What the three analytics tell that the rows do not say, in words."""
    filled = server.stand
    for scope, owner in (("user", user), ("strategy", strategy)):
        told = pages.body_of(server, f"/api/v1/analytics/performance/?{scope}={owner}")
        for name, (said, due) in truth.performance_differences(filled, scope, owner, told).items():
            yield f"{name} of the {scope} is {said}, due {due}"
    for call, errors in (("latency", truth.latency_errors), ("slippage", truth.slippage_errors)):
        told = pages.body_of(server, f"/api/v1/analytics/{call}/?user={user}")
        limit = 0 if told["count"] < EXACT_BELOW else DUE_ERROR
        if (off := max(errors(filled, user, told))) > limit:
            yield f"{call} is off by {off:.2%}"
