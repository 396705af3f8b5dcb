"""Command: import_trades."""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Broker, User
from accounts.tests.factories import TraderFactory
from support_platform.decimals import format_decimal
from support_platform.instants import format_instant
from support_platform.tests.commands import fail, process, run, tell
from trading.models import Deployment, Strategy, Trade
from trading.tests.factories import DeploymentFactory, StrategyFactory

COLUMNS = "strategy,symbol,side,quantity,entry_price,exit_price,strike,fees,result,taken_at,closed_at"
GOOD = "trend,EUR/USD,long,2,1.1,1.2,,0.5,12.5,2026-01-05T09:00:00Z,2026-01-05T10:00:00+01:00"
OPEN = "trend,EUR/USD,short,2,1.1,,450,0,,2026-01-05T09:00:00Z,"
TO = ("--trader", "trader@demo.example", "--broker", "Demo")


@pytest.fixture
def file(tmp_path):
    """Writes a CSV file of these lines below the header, and gives its path."""

    def write(*lines, header=COLUMNS, name="trades.csv", encoding="utf-8", end="\n"):
        path = tmp_path / name
        path.write_bytes(end.join([header, *lines, ""]).encode(encoding))
        return path

    return write


def cell(name, value, line=GOOD):
    """The line with one cell replaced."""
    cells = dict(zip(COLUMNS.split(","), line.split(","), strict=True))
    assert name in cells
    return ",".join((cells | {name: value}).values())


def refused(*args, command="import_trades"):
    """The document and the one line of an import that must fail."""
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command(command, *map(str, args), "--json", stdout=out)
    return json.loads(out.getvalue()), str(error.value)


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
    lines = [cell("result", str(n)) for n in range(2500)]
    run("import_trades", file(*lines[:1500]), *TO)

    outcome = run("import_trades", file(*lines), *TO)

    assert (outcome["imported"], outcome["already_there"]) == (1000, 1500)
    assert sum(Trade.objects.values_list("result", flat=True)) == sum(range(2500))


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


# --- numbers -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "kept", "rounded"),
    [
        ("0.30000000000000004", "0.3", 1),
        ("1e-05", "0.00001", 0),
        ("5.0E-7", "0.0000005", 0),
        ("1.5e3", "1500", 0),
        ("+.5", "0.5", 0),
        ("12.", "12", 0),
        ("007", "7", 0),
        ("-0.0", "0", 0),
        ("0.1000000000000000", "0.1", 0),
        ("0.0000000000005", "0", 1),
        ("0.0000000000015", "0.000000000002", 1),
        ("0.0000000000025", "0.000000000002", 1),
        ("-1e-400", "0", 1),
    ],
)
def test_numbers_as_logs_have_them(db, file, written, kept, rounded):
    outcome = run("import_trades", file(cell("result", written)), *TO)

    assert Trade.objects.get().result == Decimal(kept)
    assert outcome["rounded"] == rounded


@pytest.mark.parametrize("written", ["29123.450000000001", "73150.81196000532", "1234567.123456789"])
def test_floats_as_programs_print_them_are_kept_to_12_places(db, file, written):
    outcome = run("import_trades", file(cell("result", written)), *TO)

    assert (Trade.objects.get().result, outcome["rounded"]) == (Decimal(written), 0)


def test_empty_fees_count_as_none(db, file):
    run("import_trades", file(cell("fees", "")), *TO)

    assert Trade.objects.get().fees == 0


@pytest.mark.parametrize(
    "written",
    ["NaN", "inf", "-Infinity", "1,5", " 1", "1 ", "1e", "0x10", "1_000", "١", "1e1000", "1e400", "1" * 101, "--1"],
)
def test_what_is_no_number_is_a_bad_row(db, file, written):
    document, _ = refused(file(cell("result", f'"{written}"')), *TO)

    [error] = document["errors"]
    assert (error["line"], error["field"]) == (2, "result")
    assert not Trade.objects.exists()


def test_thirty_digits_are_kept_and_more_are_not(db, file):
    run("import_trades", file(cell("result", "123456789012345678.123456789012")), *TO)

    assert Trade.objects.get().result == Decimal("123456789012345678.123456789012")
    document, _ = refused(file(cell("result", "1" * 19)), *TO)
    assert "May have 18 digits before the point." in document["errors"][0]["error"]


# --- bad rows ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "field", "text"),
    [
        (cell("strategy", ""), "strategy", "Must not be empty."),
        (cell("strategy", " "), "strategy", "Must not be blank."),
        (cell("strategy", "x" * 201), "strategy", "May have 200 characters; this has 201."),
        (cell("strategy", "a\u202eb"), "strategy", "Must not hold control"),
        (cell("symbol", "a\x00b"), "symbol", "Must not hold control"),
        (cell("symbol", "x" * 65), "symbol", "May have 64 characters"),
        (cell("side", "buy"), "side", "Must be one of: long, short. Given: buy"),
        (cell("side", "Long"), "side", "Must be one of"),
        (cell("quantity", "0"), "quantity", "Must be greater than 0."),
        (cell("quantity", "-1"), "quantity", "Must be greater than 0."),
        (cell("quantity", "1e-13"), "quantity", "Must be greater than 0."),
        (cell("quantity", ""), "quantity", "Must not be empty."),
        (cell("entry_price", ""), "entry_price", "Must not be empty."),
        (cell("strike", "0"), "strike", "Must be greater than 0."),
        (cell("result", ""), "result", "A closed trade has a result."),
        (cell("closed_at", ""), "closed_at", "A trade with a result is closed; say when."),
        (cell("taken_at", ""), "taken_at", "Must not be empty."),
        (cell("taken_at", "2026-01-05T09:00:01Z"), "closed_at", "Is before taken_at, 2026-01-05T09:00:01Z."),
        (cell("taken_at", "2026-01-05T09:00:00"), "taken_at", "Give an instant with its offset"),
        (cell("taken_at", "2026-02-30T09:00:00Z"), "taken_at", "Give an instant with its offset"),
        (cell("closed_at", "2999-01-05T09:00:00Z"), "closed_at", "Must not be in the future; it is "),
        (GOOD + ",1", "line", "Has 12 cells; the header has 11."),
        (GOOD.rpartition(",")[0], "line", "Has 10 cells; the header has 11."),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(db, file, events, line, field, text):
    document, message = refused(path := file(GOOD, line), *TO)

    [error] = document["errors"]
    assert (error["line"], error["field"]) == (3, field)
    assert error["error"].startswith(text)
    assert (document["read"], document["rejected"], document["imported"]) == (2, 1, 0)
    assert message == (
        f"{path}: 1 of 2 rows are bad; nothing was imported. Correct them, or import the others with --skip-bad."
    )
    assert not Trade.objects.exists()
    assert not Broker.objects.exists()
    assert events() == []


def test_every_fault_of_every_row_is_told(db, file):
    bad = cell("side", "up", cell("quantity", "many"))
    out = StringIO()

    with pytest.raises(CommandError, match="30 of 31 rows are bad"):
        call_command("import_trades", str(file(GOOD, *[bad] * 30)), *TO, stdout=out)

    told = out.getvalue()
    assert "line 3, side: Must be one of: long, short. Given: up\n" in told
    assert "line 3, quantity: Give a number such as 12.5 or 1e-05. Given: many\n" in told
    assert told.count("\nline ") == 49
    assert "and 10 more (--json names all)" in told
    assert len(refused(file(GOOD, *[bad] * 30), *TO)[0]["errors"]) == 60


def test_skip_bad_imports_the_others_and_writes_these_down(db, file, events):
    path = file(GOOD, cell("side", "up"), OPEN, GOOD.rpartition(",")[0], cell("symbol", '"a, ""b"""'))

    outcome = run("import_trades", path, *TO, "--skip-bad")

    assert (outcome["read"], outcome["imported"], outcome["rejected"]) == (5, 3, 2)
    assert outcome["rejected_file"] == str(path.with_name("trades.rejected.csv"))
    with open(outcome["rejected_file"], newline="") as rejected:
        header, *rows = csv.reader(rejected)
    assert header == [*COLUMNS.split(","), "error"]
    assert rows == [
        [*cell("side", "up").split(","), "side: Must be one of: long, short. Given: up"],
        [*GOOD.split(",")[:-1], "", "line: Has 10 cells; the header has 11."],
    ]
    assert events(action="trades.imported")[0].changes["rejected"] == [None, 2]
    assert Trade.objects.filter(symbol='a, "b"', external_id="trades.csv:6").exists()


def test_rejected_rows_are_safe_to_open_and_mended_can_come_back(db, file):
    path = file(cell("side", "up", cell("strategy", "=1+1", cell("result", "-5.29"))), GOOD)
    rejected = Path(run("import_trades", path, *TO, "--skip-bad")["rejected_file"])
    text = rejected.read_text()
    assert "\n'=1+1," in text
    assert ",-5.29," in text

    again = run("import_trades", rejected, *TO, "--skip-bad")
    assert (again["imported"], again["rejected"]) == (0, 1)
    rejected.write_text(text.replace(",up,", ",long,"))
    outcome = run("import_trades", rejected, *TO)

    assert outcome["imported"] == 1
    assert Trade.objects.filter(
        strategy__name="=1+1", result=Decimal("-5.29"), external_id="trades.rejected.csv:2"
    ).exists()


def test_skip_bad_where_every_row_is_bad_keeps_nothing(db, file, events):
    outcome = run("import_trades", file(cell("side", "up")), *TO, "--skip-bad")

    assert (outcome["imported"], outcome["rejected"]) == (0, 1)
    assert not Broker.objects.exists()
    assert events() == []


def test_rejected_rows_that_cannot_be_written_down_stop_the_import(db, file):
    path = file(GOOD, cell("side", "up"))
    path.with_name("trades.rejected.csv").mkdir()

    assert fail("import_trades", path, *TO, "--skip-bad").endswith("trades.rejected.csv: Is a directory.")
    assert not Trade.objects.exists()


def test_without_bad_rows_nothing_is_written_down(db, file):
    path = file(GOOD)

    assert run("import_trades", path, *TO, "--skip-bad")["rejected_file"] is None
    assert not path.with_name("trades.rejected.csv").exists()


# --- external_id -------------------------------------------------------------------------------------------
def test_the_source_names_rows_and_the_file_may(db, file):
    header = COLUMNS + ",external_id,stop_loss,target"

    run("import_trades", file(GOOD + ",T-1,1.05,1.3", GOOD + ",,,", header=header), *TO, "--source", "desk")

    first, second = Trade.objects.order_by("id")
    assert (first.external_id, first.stop_loss, first.target) == ("T-1", Decimal("1.05"), Decimal("1.3"))
    assert (second.external_id, second.stop_loss) == ("desk:3", None)


def test_an_external_id_stands_once_in_a_file(db, file):
    header = COLUMNS + ",external_id"
    others = [GOOD + f",T-{n}" for n in range(2, 1300)]

    document, _ = refused(file(GOOD + ",T-1", GOOD + ",T-1", *others, GOOD + ",T-1", header=header), *TO)

    assert [(error["line"], error["field"], error["error"]) for error in document["errors"]] == [
        (3, "external_id", "T-1 stands in line 2 already."),
        (1302, "external_id", "T-1 stands in an earlier line already."),
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


# --- the file ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r")])
def test_bom_line_ends_order_of_columns_and_empty_lines(db, file, encoding, end):
    header, line = (",".join(reversed(text.split(","))) for text in (COLUMNS, cell("strategy", "Größe")))

    run("import_trades", file(line, "", line, "", header=header, encoding=encoding, end=end), *TO)

    assert list(Trade.objects.values_list("external_id", "strategy__name").order_by("id")) == [
        ("trades.csv:2", "Größe"),
        ("trades.csv:4", "Größe"),
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the file is empty."),
        (b"\n\n", "the file is empty."),
        (COLUMNS.encode(), "a header and no rows."),
        (f"{COLUMNS},colour\n{GOOD},red\n".encode(), "unknown columns: colour."),
        (f"{COLUMNS},side\n{GOOD},long\n".encode(), "twice: side."),
        (COLUMNS.replace(",", ";").encode(), "missing columns: strategy, symbol, side"),
        (b"strategy,symbol,side,quantity\n", "missing columns: entry_price, exit_price, strike, fees, result"),
        (f"{COLUMNS}\n{GOOD}\n".encode("utf-16"), "not UTF-8 text, at or after line 1. Save it as UTF-8."),
        (f"{COLUMNS}\n{GOOD}\n{cell('symbol', 'Größe')}\n".encode("latin-1"), "not UTF-8 text"),
        (f'{COLUMNS}\n{GOOD}\n"{GOOD}\n'.encode(), "line 3 is not CSV: unexpected end of data."),
    ],
)
def test_a_file_that_is_none(db, tmp_path, content, line):
    path = tmp_path / "trades.csv"
    path.write_bytes(content)

    message = fail("import_trades", path, *TO)

    assert message.startswith(f"{path}: ")
    assert line in message
    assert not Broker.objects.exists()


def test_no_file_and_a_directory(db, tmp_path):
    assert fail("import_trades", tmp_path / "none.csv", *TO).endswith("none.csv: No such file or directory.")
    assert fail("import_trades", tmp_path, *TO).endswith(": Is a directory.")


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
