"""Latency against the figures of a real order log, and cases small enough to check by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics import latency

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
STAGE_KEYS = {
    "acknowledgement": "sent_to_acknowledged_ms",
    "fill": "acknowledged_to_filled_ms",
    "execution": "sent_to_filled_ms",
}


@pytest.fixture(scope="session")
def logged_orders(read_log):
    rows, expected = read_log("binance-latency-tokyo", "orders.csv")
    stamps = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
    orders = [
        latency.OrderTimes(
            row["order_id"],
            None,
            *(datetime.fromisoformat(row[stamp]) if row[stamp] else None for stamp in stamps),
        )
        for row in rows
    ]
    return orders, [row["side"] for row in rows], expected["files"]["orders.csv"]


def order_times(signal=None, sent=None, acknowledged=None, filled=None, order=1):
    """Stamps in milliseconds after START."""
    stamps = (signal, sent, acknowledged, filled)
    return latency.OrderTimes(order, 9, *(None if ms is None else START + timedelta(milliseconds=ms) for ms in stamps))


def assert_stage(figures, expected):
    for name in ("count", "min", "max", "mean", "p50", "p90", "p95", "p99"):
        assert figures[name] == pytest.approx(expected[name], abs=1e-6), name
    assert figures["clock_skew"] == expected["negative"]


@pytest.mark.parametrize("stage", STAGE_KEYS)
def test_latency_of_real_orders(logged_orders, stage):
    orders, sides, expected = logged_orders

    everyone = latency.summary(orders)

    assert everyone["count"] == expected["rows"]
    assert_stage(everyone["stages"][stage], expected["latency"][STAGE_KEYS[stage]])
    for side in ("buy", "sell"):
        one_side = latency.summary(order for order, its in zip(orders, sides, strict=True) if its == side)
        assert_stage(one_side["stages"][stage], expected["by_side"][side][STAGE_KEYS[stage]])


def test_latency_of_real_market_and_limit_orders(logged_orders):
    orders, _, expected = logged_orders

    market = latency.summary(order for order in orders if order.filled_at)["stages"]
    limit = latency.summary(order for order in orders if order.sent_at and not order.filled_at)["stages"]

    for stage, key in STAGE_KEYS.items():
        assert_stage(market[stage], expected["latency_market_orders_only"][key])
    acknowledged = expected["latency_limit_orders_only"]["sent_to_acknowledged_ms"]
    assert_stage(limit["acknowledgement"], acknowledged)


def test_latency_of_real_orders_by_day(logged_orders, shuffled):
    orders, _, expected = logged_orders

    rows = latency.series(shuffled(orders), "day")

    assert {
        row["start"].date().isoformat(): {
            "count": row["count"],
            "sent_to_acknowledged_p50_ms": row["acknowledgement"]["p50"],
            "sent_to_acknowledged_p95_ms": row["acknowledgement"]["p95"],
        }
        for row in rows
    } == expected["by_utc_day_sent"]


def test_latency_does_not_depend_on_row_order(logged_orders, shuffled):
    orders, _, _ = logged_orders
    assert latency.summary(shuffled(orders)) == latency.summary(orders)


def test_latency_counts_missing_stamps_and_keeps_negative_gaps():
    orders = [order_times(sent=0, acknowledged=30, filled=10), order_times(sent=0), order_times()]

    stages = latency.summary(orders)["stages"]

    fill = stages["fill"]
    assert (fill["count"], fill["missing"], fill["clock_skew"], fill["min"], fill["max"]) == (
        1,
        2,
        1,
        -20,
        -20,
    )
    assert fill["histogram"][0] == {"le": 10, "count": 1}
    assert stages["execution"]["mean"] == 10


def test_latency_of_an_empty_stage_has_null_figures():
    stage = latency.summary([])["stages"]["total"]

    assert (stage["count"], stage["missing"], stage["clock_skew"]) == (0, 0, 0)
    assert {stage[name] for name in ("min", "mean", "p50", "p90", "p95", "p99", "max")} == {None}
    assert sum(bucket["count"] for bucket in stage["histogram"]) == 0


def test_latency_histogram_counts_each_gap_once():
    gaps = (0, 10, 10.001, 25, 9999, 10000, 10000.001)

    stage = latency.summary(order_times(sent=0, acknowledged=gap) for gap in gaps)["stages"]["acknowledgement"]

    counts = {bucket["le"]: bucket["count"] for bucket in stage["histogram"] if bucket["count"]}
    assert counts == {10: 2, 25: 2, 10000: 2, None: 1}
    assert stage["max"] == 10000.001


def test_latency_record_tells_every_stage():
    assert latency.record(order_times(sent=0, acknowledged=120, filled=150, order=5)) == {
        "order": 5,
        "trade": 9,
        "latency_ms": 150.0,
        "decision_ms": None,
        "acknowledgement_ms": 120.0,
        "fill_ms": 30.0,
        "execution_ms": 150.0,
        "total_ms": None,
        "timestamp": START,
    }


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (order_times(0, 10, 20, 40), 40.0),
        (order_times(None, 10, 20, 40), 30.0),
        (order_times(0, 10, 25), 15.0),
        (order_times(0, 10), 10.0),
        (order_times(0), None),
        (order_times(), None),
    ],
)
def test_latency_record_takes_the_longest_known_stage(order, expected):
    assert latency.record(order)["latency_ms"] == expected


def test_latency_series_leaves_out_orders_without_an_instant():
    orders = [order_times(), order_times(sent=60_000, acknowledged=60_007), order_times(signal=0)]

    rows = latency.series(orders, "minute")

    assert [(row["start"], row["count"]) for row in rows] == [(START, 1), (START + timedelta(minutes=1), 1)]
    assert rows[0]["acknowledgement"] == {"count": 0, "p50": None, "p95": None, "p99": None}
    assert rows[1]["acknowledgement"] == {"count": 1, "p50": 7.0, "p95": 7.0, "p99": 7.0}
