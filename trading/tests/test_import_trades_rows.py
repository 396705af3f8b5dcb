"""Command: import_trades, row by row: numbers as logs have them, bad rows, and files that are none."""

import csv
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Broker
from support_platform.audit import Actor
from support_platform.tests.commands import fail, run
from trading import import_operations, imports
from trading.bulk_insert import bulk_insert
from trading.models import Trade
from trading.tests.csv_rows import COLUMNS, GOOD, OPEN, TO, cell, refused

OF_HALF = cell("taken_at", "2026-01-05T09:00:00.5Z")


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
        (
            cell("closed_at", "2026-01-05T09:00:00.49Z", OF_HALF),
            "closed_at",
            "Is before taken_at, 2026-01-05T09:00:00.5",
        ),
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


def test_one_instant_may_be_written_in_two_ways(db, file):
    run("import_trades", file(cell("closed_at", "2026-01-05T09:00:00.500Z", OF_HALF)), *TO)
    run("import_trades", file(cell("closed_at", "2026-01-05T10:00:00.5+01:00", OF_HALF), name="b.csv"), *TO)

    for trade in Trade.objects.select_related("deployment"):
        assert trade.taken_at == trade.closed_at == trade.deployment.started_at


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


# --- what the table refuses ------------------------------------------------------------------------------
@pytest.mark.parametrize("more", [(), ("--skip-bad",)])
def test_a_row_that_only_the_table_refuses_is_named(db, file, events, monkeypatch, more):
    monkeypatch.setattr(imports, "_faults_of_trades", lambda values: {})
    path = file(cell("side", "up"), GOOD, "", cell("result", ""), OPEN)

    document, message = refused(path, *TO, *more)

    told = {error["line"]: (error["field"], error["error"]) for error in document["errors"]}
    assert list(told) == [2, 5]
    assert told[5][0] == "line"
    assert told[5][1].startswith("The database refuses it: ")
    assert "trade_result_with_closed_at" in told[5][1]
    assert (document["read"], document["imported"], document["deployments_created"]) == (4, 0, 0)
    assert "2 of 4 rows are bad; nothing was imported. Correct them" in message
    assert ("--skip-bad" in message) == (not more)
    assert not Broker.objects.exists()
    assert events() == []


# --- batches ---------------------------------------------------------------------------------------------
def test_what_is_wrong_with_the_file_after_some_batches_keeps_nothing(db, file, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 2)

    assert "line 9 is not CSV" in fail("import_trades", file(*[GOOD] * 7, '"'), *TO)
    assert not Broker.objects.exists()


def test_no_more_than_one_batch_is_read_ahead(db, file, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 10)
    csv_file = imports.trades_file(file(*[GOOD] * 95), "x")
    asked, inserted, ahead = 0, 0, []

    def batches():
        nonlocal asked
        for batch in csv_file.batches(timezone.now()):
            asked += len(batch.lines)
            yield batch

    def insert(model, columns):
        nonlocal inserted
        ahead.append(asked - inserted)
        bulk_insert(model, columns)
        inserted += len(columns["external_id"])

    monkeypatch.setattr(import_operations, "bulk_insert", insert)
    by = Actor("command", request_id="", source="command")

    import_operations.import_trades(batches(), by=by, email="a@b.example", broker="B", source="x", capital=Decimal(1))

    assert Trade.objects.count() == 95
    assert len(ahead) == 10
    assert max(ahead) <= 20


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
