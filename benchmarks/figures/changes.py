"""
Figures after changes: performance, latency and slippage against the raw rows, while trades and orders change anew.

Two parts. A random history of imports, corrections, reopenings, deletions and SQL straight into the database, from one
seed, on a database of its own with blocks of a few rows (`analytics.tests.long_history`): performance, latency and
slippage are compared with the raw rows every 400 changes; the last fifth is done by two writers at once beside a
reader; at the end every block and kept answer is verified. Then, on a large database: round after round the rows of the
trader with most trades are changed behind the platform's back, in the database: rows inserted late, between old ones
and at instants that others have, results corrected, rows deleted; and by the API, a correction. After each change all
three are asked for and compared with what the database makes of the raw rows.
Reached: count, wins, losses, PnL and drawdown always equal; percentiles exact below 50,000 orders, else within 1
percent.
"""

import json
import subprocess
import sys
from random import Random

from faults.figures import Measured
from faults.load import expect
from faults.servers import StandError
from faults.stand import ROOT

from .. import pages, truth
from ..servers import MeasuredServer

REACH = "always equal to the raw rows"
FULL = {"trades": 500_000, "rounds": 60, "history": 100_000}
QUICK = {"trades": 50_000, "rounds": 8, "history": 1_000}
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
    history = long_history(stand, sizes["history"], advance)
    wrong = [f"in the history: {what}" for what in history["differences"]]
    filled, dice = stand.at(sizes["trades"]), Random(stand.seed)
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
    counts = f"{history['changes']:,} changes of small scopes and {sizes['rounds']} of a large one"
    said = f"{counts}, all equal" if not wrong else f"not equal: {'; '.join(wrong[:3])}"
    return Measured(not wrong, said, {"rounds": sizes["rounds"], "history": history, "wrong": wrong})


def long_history(stand, changes, advance):
    """
    What `analytics.tests.long_history` tells of so many changes.

    :raises StandError: if it fails otherwise than by a difference
    """
    with stand.fresh() as fresh:
        command = [sys.executable, "-m", "analytics.tests.long_history", "--changes", changes, "--seed", stand.seed]
        environment = fresh.environment | {"DJANGO_SETTINGS_MODULE": "support_platform.settings"}
        with subprocess.Popen(
            [*map(str, command)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            said = []
            for line in process.stderr:
                said.append(line)
                done = line.partition(" ")[0]
                if done.isdigit():
                    advance(int(done), changes)
            told = process.stdout.read()
        if not told:
            raise StandError(f"The history ended: {''.join(said)[-600:]}")
    return json.loads(told)


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
