"""The filling names every column that a row needs; a column added to the platform is missed here, not after minutes."""

import re

import pytest
from django.apps import apps

from benchmarks import fill


def named(statement, table):
    return set(re.split(r",\s*", re.search(rf"INSERT INTO {table} \(([^)]*)\)", statement)[1]))


@pytest.mark.parametrize(
    ("statement", "model"),
    [
        (fill.PEOPLE, "accounts.User"),
        (fill.PEOPLE, "trading.Strategy"),
        (fill.PEOPLE, "trading.Deployment"),
        (fill.TRADES, "trading.Trade"),
        (fill.ORDERS, "trading.Order"),
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
