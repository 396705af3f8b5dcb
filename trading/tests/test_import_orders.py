"""Command: import_orders."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db.models import F

from accounts.tests.factories import TraderFactory
from support_platform.tests.commands import fail, run, tell
from trading.imports import BATCH
from trading.models import Deployment, Order, Strategy
from trading.tests.csv_rows import refused
from trading.tests.factories import DeploymentFactory, TradeFactory

NAMES = "order_id,symbol,side,quantity,expected_price,filled_price,signal_at,sent_at,acknowledged_at,filled_at"
GOOD = (
    "A-1,EUR/USD,buy,2,1.1,1.1001,2026-01-05T09:00:00Z,2026-01-05T09:00:00.020Z,2026-01-05T09:00:00.120Z,"
    "2026-01-05T09:00:00.150Z"
)
UNKNOWN = "A-2,EUR/USD,sell,,,,,,,"
TO = ("--trader", "trader@demo.example", "--broker", "Demo")


@pytest.fixture
def orders(file):
    def write(*lines, more="", **kwargs):
        return file(*lines, header=NAMES + more, **{"name": "orders.csv", **kwargs})

    return write


@pytest.fixture
def owner(broker):
    return TraderFactory(broker=broker, email="trader@demo.example")


def cell(name, value, line=GOOD):
    cells = dict(zip(NAMES.split(","), line.split(","), strict=True))
    assert name in cells
    return ",".join((cells | {name: value}).values())


def errors(*args):
    document, _ = refused(*args, command="import_orders")
    assert not Order.objects.exists()
    return [(error["line"], error["field"], error["error"]) for error in document["errors"]]


def test_imports_what_is_known(db, orders, events):
    outcome = run("import_orders", orders(GOOD, UNKNOWN), *TO)

    assert (outcome["read"], outcome["imported"]) == (2, 2)
    assert (outcome["strategies_created"], outcome["deployments_created"]) == (0, 0)
    first, second = Order.objects.order_by("id")
    assert (first.external_id, first.quantity, first.filled_quantity) == ("A-1", 2, 2)
    assert (first.expected_price, first.filled_price) == (Decimal("1.1"), Decimal("1.1001"))
    assert first.acknowledged_at == datetime(2026, 1, 5, 9, 0, 0, 120000, tzinfo=UTC)
    assert first.strategy is first.deployment is first.trade is None
    assert (second.quantity, second.filled_quantity, second.placed_at, second.order_type) == (None, None, None, "")
    event = events()[-1]
    assert (event.action, event.user, event.changes["imported"]) == ("orders.imported", first.user_id, [None, 2])
    assert event.changes["source"] == [None, "orders.csv"]


def test_the_real_log(db, real_data):
    path = real_data / "binance-latency-tokyo" / "orders.csv"
    args = (path, "--trader", "options@example.com", "--broker", "Demo")

    first, again = run("import_orders", *args), run("import_orders", *args)

    assert (first["read"], first["imported"]) == (2007, 2007)
    assert (again["imported"], again["already_there"]) == (0, 2007)
    assert Order.objects.filter(acknowledged_at__isnull=False).count() == 2006
    assert Order.objects.filter(filled_at__lt=F("acknowledged_at")).count() == 60


def test_says_where_to_see_it(db, orders):
    told = tell("import_orders", orders(GOOD), *TO)

    assert "/api/v1/analytics/latency/?user_email=trader%40demo.example" in told


def test_optional_columns(owner, orders):
    line = GOOD + ",1.09995,1.5,limit,"

    run("import_orders", orders(line, UNKNOWN + ",,,,", more=",arrival_price,filled_quantity,order_type,trade"), *TO)

    first, second = Order.objects.order_by("id")
    assert (first.arrival_price, first.filled_quantity, first.order_type) == (
        Decimal("1.09995"),
        Decimal("1.5"),
        "limit",
    )
    assert (second.arrival_price, second.filled_quantity, second.order_type) == (None, None, "")


@pytest.mark.parametrize(
    ("line", "filled_quantity"),
    [(GOOD, 2), (cell("filled_at", ""), 2), (cell("filled_price", ""), 2), (cell("quantity", ""), None)],
)
def test_the_filled_quantity_defaults_to_all(db, orders, line, filled_quantity):
    run("import_orders", orders(line), *TO)

    assert Order.objects.get().filled_quantity == filled_quantity


def test_a_log_may_say_that_nothing_was_filled(owner, orders):
    line = cell("filled_at", "", cell("filled_price", "")) + ",0"

    run("import_orders", orders(line, more=",filled_quantity"), *TO)

    assert Order.objects.get().filled_quantity == 0


def test_an_order_that_was_not_filled_has_none(db, orders):
    run("import_orders", orders(cell("filled_at", "", cell("filled_price", ""))), *TO)

    assert Order.objects.get().filled_quantity is None


def test_stamps_may_be_in_any_order(db, orders):
    run("import_orders", orders(cell("acknowledged_at", "2026-01-05T08:59:59Z")), *TO)

    assert Order.objects.get().acknowledged_at < Order.objects.get().sent_at


def test_a_strategy_is_found_or_made(owner, orders):
    run("import_orders", orders(GOOD), *TO, "--strategy", "arb")
    made = Deployment.objects.get()
    deployment = DeploymentFactory(user=owner, strategy__name="trend")

    run("import_orders", orders(cell("order_id", "A-3")), *TO, "--strategy", "trend")

    first, second = Order.objects.order_by("id")
    assert (first.strategy.name, first.deployment) == ("arb", made)
    assert made.capital is None
    assert made.started_at == first.placed_at
    assert (second.strategy, second.deployment) == (deployment.strategy, deployment)
    assert Strategy.objects.count() == 2


def test_an_order_of_a_trade_takes_its_strategy_and_deployment(owner, orders):
    trade = TradeFactory(deployment__user=owner, external_id="T-1")

    outcome = run(
        "import_orders",
        orders(GOOD + ",T-1", cell("order_id", "A-3") + ",", more=",trade"),
        *TO,
        "--strategy",
        "arb",
    )

    first, second = Order.objects.order_by("id")
    assert (first.trade, first.strategy, first.deployment) == (trade, trade.strategy, trade.deployment)
    assert (second.trade, second.strategy.name) == (None, "arb")
    assert outcome["deployments_created"] == 1


def test_an_unknown_trade_and_another_traders_are_bad_rows(owner, orders):
    TradeFactory(external_id="T-2")

    found = errors(orders(GOOD + ",T-1", cell("order_id", "A-3") + ",T-2", more=",trade"), *TO)

    assert found == [
        (n, "trade", f"The trader has no trade with the external_id {name}. Import trades first.")
        for n, name in ((2, "T-1"), (3, "T-2"))
    ]


@pytest.mark.parametrize(
    ("line", "field", "text"),
    [
        (cell("order_id", ""), "order_id", "Must not be empty."),
        (cell("order_id", "x" * 201), "order_id", "May have 200 characters"),
        (cell("symbol", ""), "symbol", "Must not be empty."),
        (cell("side", "long"), "side", "Must be one of: buy, sell."),
        (cell("quantity", "0"), "quantity", "Must be greater than 0."),
        (cell("expected_price", "NaN"), "expected_price", "Give a number"),
        (cell("sent_at", "2026-01-05 09:00"), "sent_at", "Give an instant with its offset"),
        (cell("filled_at", "2999-01-05T09:00:00Z"), "filled_at", "Must not be in the future"),
        (GOOD + ",1", "line", "Has 11 cells; the header has 10."),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(db, orders, line, field, text):
    [(number, name, error)] = errors(orders(UNKNOWN, line), *TO)

    assert (number, name) == (3, field)
    assert error.startswith(text)


def test_an_order_id_stands_once_in_a_file(db, orders):
    others = [cell("order_id", f"B-{n}") for n in range(BATCH)]

    found = errors(orders(GOOD, GOOD, *others, GOOD), *TO)

    assert found == [
        (3, "order_id", "A-1 stands in line 2 already."),
        (BATCH + 4, "order_id", "A-1 stands in an earlier line already."),
    ]


def test_other_values_under_the_same_id_are_a_conflict(db, orders):
    run("import_orders", orders(GOOD, UNKNOWN), *TO)

    document, _ = refused(
        orders(cell("filled_price", "1.2"), cell("side", "buy", UNKNOWN)), *TO, command="import_orders"
    )

    assert [(error["line"], error["field"], error["error"]) for error in document["errors"]] == [
        (2, "order_id", "A-1 is there already with other values: filled_price 1.1001 there, 1.2 here."),
        (3, "order_id", "A-2 is there already with other values: side sell there, buy here."),
    ]


def test_skip_bad(db, orders):
    path = orders(GOOD, cell("side", "long", UNKNOWN))

    outcome = run("import_orders", path, *TO, "--skip-bad")

    assert (outcome["imported"], outcome["rejected"]) == (1, 1)
    rejected = path.with_name("orders.rejected.csv").read_text().splitlines()
    assert rejected[1] == 'A-2,EUR/USD,long,,,,,,,,"side: Must be one of: buy, sell. Given: long"'


def test_a_strategy_name_is_text(db, orders):
    assert fail("import_orders", orders(GOOD), *TO, "--strategy", " ") == "--strategy: Must not be blank."
