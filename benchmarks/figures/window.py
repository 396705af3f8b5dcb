"""
The window of 15 minutes: whether a new order shows at once, and what the call costs in the database.

An order of the trader with most orders is written straight into its table, and latency is asked for the last 15 minutes
as soon as that is committed, time and again. Reached: each new order is counted by the very next call, and a call costs
the database at most 5 ms.
"""

from faults.figures import Measured

from .. import pages
from ..cost import Meter
from ..load import Load, request
from ..servers import MeasuredServer

REACH = "a new order visible at once, <= 5 ms in the database"
FULL = {"trades": 5_000_000, "orders": 200, "repeats": 200}
QUICK = {"trades": 50_000, "orders": 20, "repeats": 50}
DUE_MS = 5
ORDER = """
INSERT INTO trading_order (version, user_id, strategy_id, deployment_id, external_id, symbol, side, order_type,
    quantity, expected_price, filled_price, filled_quantity, signal_at, sent_at, acknowledged_at, filled_at)
SELECT 1, user_id, strategy_id, id, 'window-' || gen_random_uuid(), 'AAPL', 'buy', 'market', 1, 100, 100.1, 1,
    now(), now() + interval '1 ms', now() + interval '20 ms', now() + interval '50 ms'
FROM trading_deployment WHERE user_id = %s LIMIT 1
"""


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    largest, _ = filled.owners()[0]
    path = f"/api/v1/analytics/latency/?user={largest}&window=15m"
    with MeasuredServer("platform", filled) as server, filled.database() as connection:
        seen, visible = pages.body_of(server, path)["count"], 0
        for number in range(sizes["orders"]):
            advance(number, sizes["orders"])
            connection.execute(ORDER, [largest])
            # Older orders may leave the window meanwhile, so the newest record tells, not the count.
            told = pages.body_of(server, f"{path}&limit=1")
            visible += told["records"][0]["order"] == newest(connection, largest)
        load = Load(server.port, [request(path, filled.token("viewer"))], connections=1)
        load.run(count=20)
        meter = Meter(server.parts, fine=True)
        load.run(count=sizes["repeats"])
        cost = meter.read()
    spent = {part: seconds / sizes["repeats"] * 1000 for part, seconds in cost.seconds.items()}
    said = (
        f"{visible} of {sizes['orders']} orders visible at once; {spent['database']:.2f} ms in the database, "
        f"{sum(spent.values()):.1f} ms in all"
    )
    reached = visible == sizes["orders"] and spent["database"] <= DUE_MS
    return Measured(reached, said, {"by_part_ms": spent, "visible": visible, "in_window_before": seen})


def newest(connection, user):
    return connection.execute(
        "SELECT id FROM trading_order WHERE user_id = %s ORDER BY placed_at DESC, id DESC LIMIT 1", [user]
    ).fetchone()[0]
