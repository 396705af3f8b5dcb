"""Command: import_trades."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Broker, User
from accounts.tests.factories import TraderFactory
from support_platform.decimals import format_decimal
from support_platform.instants import format_instant
from support_platform.tests.commands import fail, process, run, tell
from trading.imports import BATCH
from trading.models import Deployment, Strategy, Trade
from trading.tests.csv_rows import COLUMNS, GOOD, OPEN, TO, cell, refused
from trading.tests.factories import DeploymentFactory, StrategyFactory


def test_makes_all_that_is_missing_in_one_event(db, file, events):
    path = file(GOOD, OPEN, cell("strategy", "range"))

    outcome = run("import_trades", path, *TO, "--reason", "moved house")

    assert outcome == {
        "file": str(path),
        "trader": "trader@demo.example",
        "broker": "Demo",
        "read": 3,
        "imported": 3,
        "already_there": 0,
        "rejected": 0,
        "rounded": 0,
        "strategies_created": 2,
        "deployments_created": 2,
        "rejected_file": None,
        "errors": [],
    }
    first, second, third = Trade.objects.order_by("id")
    trader = User.objects.get(email="trader@demo.example", broker__name="Demo")
    assert (first.user, first.strategy.name, first.external_id) == (trader, "trend", "trades.csv:2")
    assert (first.result, first.strike, first.side) == (Decimal("12.5"), None, "long")
    assert first.taken_at == first.closed_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert (second.closed_at, second.result, second.exit_price, second.strike) == (None, None, None, Decimal(450))
    assert first.deployment == second.deployment != third.deployment
    assert (first.deployment.mode, first.deployment.status) == ("live", "active")
    assert first.deployment.started_at == first.taken_at
    assert [event.action for event in events()] == ["broker.created", "user.created", "trades.imported"]
    event = events()[-1]
    assert (event.user, event.subject_type, event.reason, event.source) == (trader.pk, "user", "moved house", "command")
    assert event.changes == {
        "source": [None, "trades.csv"],
        "imported": [None, 3],
        "already_there": [None, 0],
        "rejected": [None, 0],
        "rounded": [None, 0],
        "strategies_created": [None, 2],
        "deployments_created": [None, 2],
    }


def test_the_real_log_arrives_to_the_cent(db, real_data, events):
    path = real_data / "tastyworks-options" / "trades.csv"
    args = (path, "--trader", "options@example.com", "--broker", "Demo", "--capital", "10000")

    first, again = run("import_trades", *args), run("import_trades", *args)

    assert (first["read"], first["imported"], first["strategies_created"]) == (484, 484, 6)
    assert (again["read"], again["imported"], again["already_there"]) == (484, 0, 484)
    assert sum(Trade.objects.closed().values_list("result", flat=True)) == Decimal("-880.030001")
    assert Trade.objects.open().count() == 2
    assert sum(Deployment.objects.values_list("capital", flat=True)) == 10000
    with path.open() as source:
        lines = [tuple(row.values()) for row in csv.DictReader(source)]
    kept = [
        (
            trade.strategy.name,
            trade.symbol,
            trade.side,
            *(
                format_decimal(value) or ""
                for value in (
                    trade.quantity,
                    trade.entry_price,
                    trade.exit_price,
                    trade.strike,
                    trade.fees,
                    trade.result,
                )
            ),
            format_instant(trade.taken_at),
            format_instant(trade.closed_at) or "",
        )
        for trade in Trade.objects.select_related("strategy").order_by("id")
    ]
    assert kept == lines
    assert sum(lines.count(line) > 1 for line in lines) > 40
    assert len(events(action="trades.imported")) == 1


def test_repeating_adds_nothing_and_says_so(db, file, events):
    path = file(GOOD, OPEN)
    run("import_trades", path, *TO)
    Strategy.objects.update(deleted_at=timezone.now())
    seen = len(events())

    told = tell("import_trades", path, *TO)

    assert "Nothing was added" in told
    assert (Trade.objects.count(), Strategy.objects.count(), Deployment.objects.count()) == (2, 1, 1)
    assert len(events()) == seen


def test_identical_rows_are_real_and_kept(db, file):
    assert run("import_trades", file(GOOD, GOOD, GOOD), *TO)["imported"] == 3
    assert sorted(Trade.objects.values_list("external_id", flat=True)) == [f"trades.csv:{n}" for n in (2, 3, 4)]


def test_more_rows_than_a_batch_and_a_later_part(db, file):
    lines = [cell("result", str(n)) for n in range(BATCH + 200)]
    run("import_trades", file(*lines[:100]), *TO)

    outcome = run("import_trades", file(*lines), *TO)

    assert (outcome["imported"], outcome["already_there"]) == (BATCH + 100, 100)
    assert sum(Trade.objects.values_list("result", flat=True)) == sum(range(BATCH + 200))


def test_uses_the_strategy_and_the_deployment_that_are_there(broker, file):
    trader = TraderFactory(broker=broker, email="trader@demo.example")
    StrategyFactory(user=trader, name="trend", deleted_at=timezone.now())
    deployment = DeploymentFactory(user=trader, strategy__name="trend")
    StrategyFactory(name="range")

    outcome = run("import_trades", file(GOOD, cell("strategy", "range")), *TO, "--capital", "77.77")

    assert (outcome["strategies_created"], outcome["deployments_created"]) == (1, 1)
    first, second = Trade.objects.order_by("id")
    assert first.deployment == deployment
    assert first.deployment.capital == 10000
    assert second.strategy.user == trader
    assert second.deployment.capital == Decimal("77.77")


def test_another_traders_deployment_of_the_strategy_is_not_used(broker, file):
    trader = TraderFactory(broker=broker, email="trader@demo.example")
    others = DeploymentFactory(strategy=StrategyFactory(user=trader, name="trend"))

    assert run("import_trades", file(GOOD), *TO)["deployments_created"] == 1

    trade = Trade.objects.get()
    assert (trade.strategy, trade.deployment.user) == (others.strategy, trader)


def test_paper_trades_get_a_deployment_of_their_own(broker, file):
    trader = TraderFactory(broker=broker, email="trader@demo.example")
    live = DeploymentFactory(user=trader, strategy__name="trend")

    run("import_trades", file(GOOD), *TO, "--mode", "paper")

    trade = Trade.objects.get()
    assert trade.strategy == live.strategy
    assert trade.deployment.mode == "paper"


def test_an_inactive_trader_gets_nothing_running(broker, file):
    TraderFactory(broker=broker, email="trader@demo.example", is_active=False)

    run("import_trades", file(GOOD), *TO)

    assert Deployment.objects.get().status == "paused"


@pytest.mark.parametrize(
    ("capital", "shares"),
    [
        ("10000", ["3333.34", "3333.33", "3333.33"]),
        ("0.05", ["0.03", "0.01", "0.01"]),
        ("100.001", ["33.341", "33.33", "33.33"]),
    ],
)
def test_the_shares_of_the_capital_sum_to_it(db, file, capital, shares):
    run("import_trades", file(*(cell("strategy", name) for name in "abc")), *TO, "--capital", capital)

    kept = list(Deployment.objects.order_by("id").values_list("capital", flat=True))
    assert kept == [Decimal(share) for share in shares]
    assert sum(kept) == Decimal(capital)


@pytest.mark.parametrize("capital", ["0", "-1", "x", "NaN", "1e3", "", "0." + "0" * 12 + "1", "1" * 19])
def test_a_capital_that_is_none(db, file, capital):
    assert fail("import_trades", file(GOOD), *TO, f"--capital={capital}").startswith("--capital: ")
    assert not Broker.objects.exists()


def test_a_capital_too_small_to_share(db, file):
    line = fail("import_trades", file(GOOD, cell("strategy", "range")), *TO, "--capital", "0.01")

    assert line == "capital: Is too small to be shared over 2 deployments."
    assert not Trade.objects.exists()


# --- external_id -------------------------------------------------------------------------------------------
def test_the_source_names_rows_and_the_file_may(db, file):
    header = COLUMNS + ",external_id,stop_loss,target"

    run("import_trades", file(GOOD + ",T-1,1.05,1.3", GOOD + ",,,", header=header), *TO, "--source", "desk")

    first, second = Trade.objects.order_by("id")
    assert (first.external_id, first.stop_loss, first.target) == ("T-1", Decimal("1.05"), Decimal("1.3"))
    assert (second.external_id, second.stop_loss) == ("desk:3", None)


def test_an_external_id_stands_once_in_a_file(db, file):
    header = COLUMNS + ",external_id"
    others = [GOOD + f",T-{n}" for n in range(2, BATCH)]

    document, _ = refused(file(GOOD + ",T-1", GOOD + ",T-1", *others, GOOD + ",T-1", header=header), *TO)

    assert [(error["line"], error["field"], error["error"]) for error in document["errors"]] == [
        (3, "external_id", "T-1 stands in line 2 already."),
        (BATCH + 2, "external_id", "T-1 stands in an earlier line already."),
    ]


def test_other_values_under_the_same_id_are_a_conflict(db, file, events):
    run("import_trades", file(GOOD, OPEN), *TO)
    seen = len(events())

    document, _ = refused(file(cell("result", "13", cell("strategy", "range")), OPEN), *TO)

    [error] = document["errors"]
    assert (error["line"], error["field"]) == (2, "external_id")
    assert error["error"] == (
        "trades.csv:2 is there already with other values: strategy trend there, range here; result 12.5 there, 13 here."
    )
    assert Trade.objects.get(external_id="trades.csv:2").result == Decimal("12.5")
    assert Strategy.objects.count() == 1
    assert len(events()) == seen


def test_what_support_corrected_is_no_conflict(db, file):
    run("import_trades", path := file(GOOD), *TO)
    Trade.objects.update(result=Decimal(99), is_corrected=True)

    assert run("import_trades", path, *TO)["already_there"] == 1
    assert Trade.objects.get().result == 99


def test_ids_are_the_traders_own(db, file):
    run("import_trades", file(GOOD), *TO)

    outcome = run("import_trades", file(GOOD), "--trader", "second@demo.example", "--broker", "demo")

    assert (outcome["imported"], outcome["broker"]) == (1, "Demo")
    assert Broker.objects.count() == 1


# --- the trader --------------------------------------------------------------------------------------------
def test_another_accounts_address_is_refused(agent, foreign_trader, broker, file, events):
    for user, recorded in ((agent.user, agent.user.pk), (foreign_trader, None)):
        line = fail("import_trades", file(GOOD), "--trader", user.email, "--broker", "Demo")
        assert line == f"{user.email} is another account's address, not that of a trader of Demo."
        assert (events()[-1].action, events()[-1].subject_id) == ("user.attempt_refused", recorded)
    assert not Trade.objects.exists()


def test_in_the_name_of_staff(agent, supervisor, superuser, broker, other_broker, file):
    path = file(GOOD)

    assert fail("import_trades", path, *TO, "--by", agent.user.email).endswith("it takes the role Supervisor.")
    for name in ("Other", "Unknown"):
        line = fail("import_trades", path, *TO[:2], "--broker", name, "--by", supervisor.user.email)
        assert line == f"--broker: there is no broker {name} within the reach of {supervisor.user.email}."
    assert run("import_trades", path, *TO, "--by", supervisor.user.email)["imported"] == 1
    args = ("--trader", "new@fresh.example", "--broker", "Fresh", "--by", superuser.user.email)
    assert run("import_trades", path, *args)["imported"] == 1


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--trader", "nobody", "--broker", "Demo"], "--trader: nobody is not an e-mail address."),
        (["--trader", "a@demo.example", "--broker", ""], "--broker: Must not be blank."),
        (["--trader", "a@demo.example", "--broker", "x" * 101], "--broker: May have 100 characters"),
        ([*TO, "--source", "x" * 181], "--source: May have 180 characters"),
        ([*TO, "--mode", "demo"], "invalid choice: 'demo'"),
        (["--trader", "a@demo.example"], "the following arguments are required: --broker"),
    ],
)
def test_bad_options(db, file, args, line):
    assert line in fail("import_trades", file(GOOD), *args)


# --- as a process ------------------------------------------------------------------------------------------
def test_as_a_process(tmp_path, file):
    assert process(tmp_path, "migrate", "-v0").returncode == 0
    good, bad = file(GOOD, name="good.csv"), file(cell("side", "up"), name="bad.csv")

    done, failed = process(tmp_path, "import_trades", good, *TO), process(tmp_path, "import_trades", bad, *TO)

    assert (done.returncode, done.stderr) == (0, "")
    assert "imported                      1\n" in done.stdout
    assert "GET http://127.0.0.1:8000/api/v1/analytics/performance/?user_email=trader%40demo.example" in done.stdout
    assert failed.returncode == 1
    assert failed.stdout.startswith("line 2, side: Must be one of: long, short. Given: up\n")
    assert failed.stderr == (
        f"error: {bad}: 1 of 1 rows are bad; nothing was imported. "
        "Correct them, or import the others with --skip-bad.\n"
    )


def test_the_future_is_what_comes_after_now(db, file):
    now = timezone.now()
    soon, past = (format_instant(now + timedelta(minutes=shift)) for shift in (10, -10))

    assert run("import_trades", file(cell("closed_at", past, cell("taken_at", past))), *TO)["imported"] == 1
    document, _ = refused(file(cell("closed_at", soon), name="b.csv"), *TO)
    assert document["errors"][0]["field"] == "closed_at"
