"""Many rows at once: what arrives is what was given, in few statements, and the table still has the last word."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from trading.bulk_insert import Among, RowRefused, bulk_insert
from trading.models import Order, Trade
from trading.tests.factories import DeploymentFactory, TradeFactory

AT = datetime(2026, 1, 5, 9, 0, 0, 120_000, tzinfo=UTC)


def insert(model, rows):
    """Rows as dicts; what only some of them name is in the others its default."""
    names = {name: None for row in rows for name in row}
    defaults = {name: model._meta.get_field(name).get_default() for name in names.keys() - {"colour"}}
    bulk_insert(model, {name: [(defaults | row).get(name) for row in rows] for name in names})


@pytest.fixture
def row(db):
    deployment = DeploymentFactory()

    def make(name, **values):
        owned = {"user_id": deployment.user_id, "strategy_id": deployment.strategy_id, "deployment_id": deployment.pk}
        plain = {"symbol": "EUR/USD", "side": "long", "quantity": Decimal(2), "entry_price": Decimal(1), "taken_at": AT}
        return owned | plain | {"external_id": name} | values

    return make


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symbol", "\\N"),
        ("symbol", "a\\tb\\"),
        ("symbol", '100%s, "it\'s"; {}'),
        ("symbol", "Größe 指数"),
        ("quantity", Decimal("123456789012345678.123456789012")),
        ("entry_price", Decimal("-0.000000000001")),
        ("result", Decimal("1E+3")),
        ("strike", None),
        ("closed_at", AT.replace(microsecond=999_999, year=9999)),
    ],
)
def test_what_arrives_is_what_was_given(row, name, value):
    closed = {"closed_at": AT, "result": Decimal(0)}
    insert(Trade, [row("first", **closed | {name: value})])

    trade = Trade.objects.get()
    assert getattr(trade, name) == value
    # As the field itself would have written it: what compares in the database compares the same.
    Trade.objects.create(**row("second", **closed | {name: value}))
    assert Trade.objects.filter(**{name: value}).count() == 2


def test_what_is_not_named_has_its_default(row):
    bulk_insert(Trade, {name: [value] for name, value in row("first", fees=Decimal(3)).items()})
    bulk_insert(Trade, {name: [value] for name, value in row("second", target=Decimal(9)).items()})

    first, second = Trade.objects.order_by("id")
    assert (first.fees, first.target, first.version, first.is_corrected) == (3, None, 1, False)
    assert (second.fees, second.target) == (0, 9)


def test_one_value_may_be_that_of_each_row(row):
    first = row("first")
    names, texts = ["a", "b", "c"], ["1", "2.50", "-0.000000000001"]
    bulk_insert(Trade, first | {"external_id": names, "symbol": "a\\b", "entry_price": texts, "taken_at": AT})

    trades = Trade.objects.order_by("id")
    assert [trade.external_id for trade in trades] == names
    assert {(trade.symbol, trade.user_id, trade.taken_at) for trade in trades} == {("a\\b", first["user_id"], AT)}
    assert [trade.entry_price for trade in trades] == list(map(Decimal, texts))


def test_a_number_as_text_is_kept_as_the_number(row):
    insert(Trade, [row("first", entry_price="007.10", fees="-0.0")])
    Trade.objects.create(**row("second", entry_price=Decimal("7.1"), fees=Decimal(0)))

    assert Trade.objects.filter(entry_price=Decimal("7.1"), fees=0).count() == 2


def test_what_the_database_fills_in_it_fills_in(row):
    user = row("x")["user_id"]
    order = {"user_id": user, "external_id": "A-1", "symbol": "X", "side": "buy", "filled_at": AT}

    insert(Order, [order])

    assert (Order.objects.get().placed_at, Order.objects.get().order_type) == (AT, "")


def test_a_name_that_is_no_column_is_not_passed_over(row):
    with pytest.raises(TypeError, match="no columns colour"):
        insert(Trade, [row("first"), row("second", colour="red")])


def test_an_instant_as_text_is_kept_as_the_instant(row):
    insert(Trade, [row("first", taken_at="2026-01-05T09:00:00.12Z"), row("second", taken_at="2026-01-05T09:00:00Z")])

    first, second = Trade.objects.order_by("id")
    assert (first.taken_at, second.taken_at) == (AT, AT.replace(microsecond=0))
    assert Trade.objects.filter(taken_at=AT).get() == first


def test_no_rows_are_fine(db):
    bulk_insert(Trade, {"external_id": []})

    assert not Trade.objects.exists()


def test_more_rows_take_no_more_statements(row):
    def statements(*names):
        with CaptureQueriesContext(connection) as captured:
            insert(Trade, [row(name) for name in names])
        return len(captured)

    assert statements("first") == statements(*(f"T-{n}" for n in range(300)))
    assert Trade.objects.count() == 301


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "up"},
        {"quantity": Decimal(-1)},
        {"result": Decimal(1)},
        {"symbol": None},
        {"external_id": "T-0"},
        {"external_id": "there"},
    ],
)
def test_the_table_refuses_by_position(row, wrong):
    Trade.objects.create(**row("there"))

    with pytest.raises(RowRefused) as refused:
        insert(Trade, [row(f"T-{n}") for n in range(7)] + [row("T-7", **wrong)] + [row("T-8")])

    assert refused.value.position == 7
    assert "\n" not in str(refused.value)


def test_a_trigger_for_each_statement_sees_all_rows_of_one(row):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has triggers for each row only")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE seen (n integer)")
        cursor.execute(
            "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO seen SELECT count(*) FROM fresh; RETURN NULL; END'"
        )
        cursor.execute(
            "CREATE TRIGGER see AFTER INSERT ON trading_trade REFERENCING NEW TABLE AS fresh "
            "FOR EACH STATEMENT EXECUTE FUNCTION see()"
        )
        insert(Trade, [row(f"T-{n}") for n in range(1500)])
        cursor.execute("SELECT n FROM seen")
        assert cursor.fetchall() == [(1500,)]


def test_among_is_in(db):
    names = {TradeFactory(external_id=name).external_id for name in ("a", "b{,}", 'c"\\')}
    TradeFactory(external_id="other")
    TradeFactory(external_id=None)

    found = Trade.objects.filter(Among(F("external_id"), [*names, "unknown"]))

    assert set(found.values_list("external_id", flat=True)) == names
    assert not Trade.objects.filter(Among(F("external_id"), [])).exists()
