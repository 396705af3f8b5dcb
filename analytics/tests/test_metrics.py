"""What latency, slippage and performance have in common."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from analytics import latency, performance, slippage
from analytics.metrics import by_interval, percentile


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [([], 50, None), ([3], 99, 3), ([1, 2, 3, 4], 50, 2.5), ([1, 2, 3, 4], 0, 1), ([10, 20], 95, 19.5)],
)
def test_percentile_interpolates_linearly(values, q, expected):
    assert percentile(values, q) == expected


@pytest.mark.parametrize(
    ("interval", "start"),
    [
        ("minute", datetime(2026, 3, 1, 23, 44, tzinfo=UTC)),
        ("hour", datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("day", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_intervals_are_cut_in_utc(interval, start):
    at = datetime(2026, 3, 2, 5, 14, 59, 999999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert by_interval([at, None], lambda row: row, interval) == [(start, [at])]


@pytest.mark.parametrize("series", [latency.series, slippage.series, performance.series])
def test_series_refuses_an_unknown_interval(series):
    with pytest.raises(ValueError, match="'week' is unknown, use one of: minute, hour, day"):
        series([], "week")


def test_every_figure_is_defined():
    answers = [
        (latency, latency.summary([])),
        (slippage, slippage.summary([])),
        (performance, {**performance.summary([]), "slippage_cost": None}),
    ]
    for module, answer in answers:
        assert set(answer) | {"series"} <= set(module.DEFINITIONS), module.__name__
    stage = latency.summary([])["stages"]["total"]
    assert {*latency.STAGES, *stage} <= set(latency.DEFINITIONS)
