"""What writes rows itself names every column they need: a column added to the platform is missed here, not in a run."""

import re

import pytest
from django.apps import apps

from benchmarks import fill
from benchmarks.figures import changes, window
from benchmarks.peers import floor_writes


def named(statement, table):
    found = re.search(rf"INSERT INTO {table} \(([^)]*)\)", statement)[1]
    return {column.strip('"') for column in re.split(r",\s*", found)}


@pytest.mark.parametrize(
    ("statement", "model"),
    [
        (fill.PEOPLE, "accounts.User"),
        (fill.PEOPLE, "trading.Strategy"),
        (fill.PEOPLE, "trading.Deployment"),
        (fill.TRADES, "trading.Trade"),
        (fill.ORDERS, "trading.Order"),
        (changes.COPY_TRADE, "trading.Trade"),
        (changes.COPY_ORDER, "trading.Order"),
        (window.ORDER, "trading.Order"),
        (floor_writes.EVENT, "support_platform.AuditEvent"),
    ],
)
def test_every_column_that_must_be_given_is_given(statement, model):
    meta = apps.get_model(model)._meta
    columns = {field.column: field for field in meta.concrete_fields}

    given = named(statement, meta.db_table)

    assert given <= columns.keys()
    needed = {
        name
        for name, field in columns.items()
        if not (field.null or field.primary_key or field.generated or field.has_db_default())
    }
    assert needed <= given


def test_chunks_cover_everything_once():
    assert fill.chunks(1, 10, size=4) == [(1, 4), (5, 8), (9, 10)]
    assert fill.chunks(1, 4, size=4) == [(1, 4)]
