"""API: get latency."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.serializers import LatencySerializer
from trading.tests.factories import OrderFactory, TradeFactory

from .shape import assert_shape

PATH = "analytics/latency/"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
STAGES = {
    "acknowledgement": "sent_to_acknowledged_ms",
    "fill": "acknowledged_to_filled_ms",
    "execution": "sent_to_filled_ms",
}
EMPTY = ("min", "mean", "p50", "p90", "p95", "p99", "max")


def place(user, *stamps, **values):
    """An order whose signal, sending, acknowledgement and fill are so many milliseconds after START."""
    names = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
    instants = [None if ms is None else START + timedelta(milliseconds=ms) for ms in stamps]
    return OrderFactory(user=user, **dict(zip(names, instants, strict=True)), **values)


def test_tells_the_latency_of_real_orders(viewer, trader, tokyo):
    answer = viewer.get(PATH, user_email=trader.email, interval="day").json()

    assert (answer["scope"], answer["count"], answer["excluded"]) == ({"user": trader.pk}, tokyo["rows"], {})
    assert (answer["unit"], answer["method"]) == ("ms", "linear")
    for stage, key in STAGES.items():
        figures, expected = answer["stages"][stage], tokyo["latency"][key]
        for name in ("count", "min", "max", "mean", "p50", "p90", "p95", "p99"):
            assert figures[name] == expected[name], (stage, name)
        assert figures["clock_skew"] == expected["negative"]
        assert figures["missing"] == tokyo["rows"] - expected["count"]
        assert sum(bucket["count"] for bucket in figures["histogram"]) == expected["count"]
    for stage in ("decision", "total"):
        figures = answer["stages"][stage]
        assert (figures["count"], figures["missing"]) == (0, tokyo["rows"])
        assert {figures[name] for name in EMPTY} == {None}
    assert {
        row["start"][:10]: {
            "count": row["count"],
            "sent_to_acknowledged_p50_ms": row["acknowledgement"]["p50"],
            "sent_to_acknowledged_p95_ms": row["acknowledgement"]["p95"],
        }
        for row in answer["series"]
    } == tokyo["by_utc_day_sent"]
    assert_shape(answer, LatencySerializer())


def test_a_span_selects_real_orders(viewer, trader, tokyo):
    day = viewer.get(PATH, user=trader.pk, since="2023-09-20T00:00:00Z", until="2023-09-21T00:00:00Z").json()

    expected = tokyo["by_utc_day_sent"]["2023-09-20"]
    assert (day["count"], day["excluded"]) == (expected["count"], {"no_instant": 1})
    assert day["stages"]["acknowledgement"]["p50"] == expected["sent_to_acknowledged_p50_ms"]
    assert day["stages"]["acknowledgement"]["p95"] == expected["sent_to_acknowledged_p95_ms"]


def test_a_record_tells_every_stage(viewer, trader):
    trade = TradeFactory(deployment__user=trader, deployment__strategy__user=trader)
    order = place(trader, None, 0, 120, 150, trade=trade)

    answer = viewer.get(PATH, user=trader.pk).json()

    assert answer["records"] == [
        {
            "order": order.pk,
            "trade": trade.pk,
            "latency_ms": 150.0,
            "decision_ms": None,
            "acknowledgement_ms": 120.0,
            "fill_ms": 30.0,
            "execution_ms": 150.0,
            "total_ms": None,
            "timestamp": "2026-03-02T10:00:00Z",
        }
    ]
    assert_shape(answer, LatencySerializer())


def test_records_are_newest_first_and_those_without_an_instant_last(viewer, trader):
    nowhere = place(trader, None, None, None, None)
    early, late, tied = place(trader, 0, 1, 2, 3), place(trader, None, 10, None, None), place(trader, 10, 12, 13, 14)

    records = viewer.get(PATH, user=trader.pk).json()["records"]

    assert [record["order"] for record in records] == [tied.pk, late.pk, early.pk, nowhere.pk]
    assert records[-1]["latency_ms"] is None


def test_gaps_are_exact_to_the_microsecond_and_never_clipped(viewer, trader):
    place(trader, 0, 0.001, 30.5, 10.25)

    stages = viewer.get(PATH, user=trader.pk).json()["stages"]

    assert [stages[stage]["mean"] for stage in ("decision", "acknowledgement", "fill", "execution", "total")] == [
        0.001,
        30.499,
        -20.25,
        10.249,
        10.25,
    ]
    assert (stages["fill"]["clock_skew"], stages["fill"]["min"]) == (1, -20.25)


def test_an_order_without_any_instant_counts_only_without_a_span(viewer, trader):
    place(trader, None, None, None, None)
    place(trader, 0, 1, 2, 3)

    everything = viewer.get(PATH, user=trader.pk).json()
    limited = viewer.get(PATH, user=trader.pk, since="2026-03-01T00:00:00Z").json()

    assert (everything["count"], everything["excluded"]) == (2, {})
    assert everything["stages"]["total"]["missing"] == 1
    assert (limited["count"], limited["excluded"]) == (1, {"no_instant": 1})
    assert limited["stages"]["total"]["missing"] == 0


def test_a_trader_without_orders(viewer, trader):
    answer = viewer.get(PATH, user=trader.pk, interval="day").json()

    assert (answer["count"], answer["series"], answer["records"], answer["excluded"]) == (0, [], [], {})
    for figures in answer["stages"].values():
        assert (figures["count"], figures["missing"], figures["clock_skew"]) == (0, 0, 0)
        assert {figures[name] for name in EMPTY} == {None}
    assert_shape(answer, LatencySerializer())


@pytest.mark.parametrize("selected_by", ["signal_at", "sent_at", "acknowledged_at", "filled_at"])
def test_a_span_selects_by_the_first_known_instant(viewer, trader, selected_by):
    OrderFactory(user=trader, **{"sent_at": None, selected_by: START})

    def count(**span):
        return viewer.get(PATH, user=trader.pk, **span).json()["count"]

    assert count(since="2026-03-02T10:00:00Z") == 1
    assert count(until="2026-03-02T10:00:00Z") == 0
