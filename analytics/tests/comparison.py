"""The figures of a scope against those of its raw rows, and the small blocks to try that with."""

from contextlib import contextmanager

from django.db import connection, transaction

from analytics import blocks, latency_blocks, readings, reports, rollups, slippage_blocks
from analytics.queries import json_ready

NAMES = ("performance", "latency", "slippage")
# Blocks of a few rows, for scopes of a few.
SMALL = {
    blocks: {"BLOCK": 8},
    latency_blocks: {"BLOCK": 8},
    slippage_blocks: {"BLOCK": 8},
    rollups: {"PART": 24, "WAITING": 3},
    readings: {"GROUP": 3, "MANY_ORDERS": 20, "MANY_TRADES": 20},
}


def differences(scope, span, interval=None, names=NAMES):
    """The figures that do not equal those of the raw rows, or percentiles more than one per cent off, by name."""
    for name in names:
        found = getattr(reports, f"{name}_report")(scope, span, interval, 5)
        due = getattr(reports, f"{name}_of_rows")(scope, span, interval, 5)
        yield from (f"{name}.{path}" for path in _differing(_plain(found), _plain(due), _is_near(found, due)))


def _plain(figures):
    figures = dict(json_ready(figures))
    figures.pop("method")
    figures.pop("definitions")
    return figures


def _is_near(found, due):
    """Whether two percentiles may be the same; exact ones must be."""
    if found["method"] == due["method"]:
        return lambda path, mine, true: False
    # Between two of a few numbers of any size, one per cent is of these and not of what lies between.
    between = abs(due.get("worst_bps") or 0) / 50

    def is_near(path, mine, true):
        if path.rpartition(".")[2].split("_")[0] not in ("p5", "p50", "p90", "p95", "p99") or "series" in path:
            return False
        skewed = due["stages"][path.split(".")[1]]["clock_skew"] if "stages" in due else 0
        return abs(mine - true) <= max(0.01 * abs(true), between, 1 if skewed else 0)

    return is_near


def _differing(mine, true, is_near, path=""):
    if isinstance(true, dict) and mine.keys() == true.keys():
        for name in true:
            yield from _differing(mine[name], true[name], is_near, f"{path}.{name}".strip("."))
    elif mine != true and (None in (mine, true) or isinstance(true, list) or not is_near(path, mine, true)):
        yield f"{path} {str(mine)[:60]} != {str(true)[:60]}"


@contextmanager
def one_moment():
    """A transaction that sees the database at one moment; within it answers write nothing."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
