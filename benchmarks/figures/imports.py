"""
Import of a million trades: rows a second of processor time, against bulk_create and bare COPY, and the memory it takes.

Each runs on a database of its own with all indexes, in turns: `manage.py import_trades` with all its checks, a script
that makes model instances of the same file and hands them to bulk_create, and psql's \\\\copy of rows that are columns
already. Processor time is that of the program and the database. Reached: at least 3 times bulk_create's rows, and at
most 1.2 times the memory that a tenth of the rows takes.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median

from faults.figures import Measured
from faults.servers import StandError
from faults.stand import ROOT

from ..cost import SETTLE, Meter
from ..rounds import spread
from ..servers import peers_python

REACH = ">= 3 x bulk_create, memory <= 1.2 x that of a tenth (beyond: 0.8 of COPY)"
FULL = {"rows": 1_000_000, "rounds": 3}
QUICK = {"rows": 10_000, "rounds": 1}
DUE_TIMES, DUE_MEMORY = 3, 1.2
TRADER = "importer@benchmark.example"
COLUMNS = "strategy,symbol,side,quantity,entry_price,exit_price,strike,fees,result,taken_at,closed_at"
COPIED = (
    "version,user_id,strategy_id,deployment_id,symbol,side,quantity,entry_price,exit_price,strike,fees,result,taken_at,"
    "closed_at,is_corrected,external_id"
)
STRATEGIES = ("Trend", "Reversion", "Income")


@dataclass(frozen=True)
class Run:
    rows: int
    cpu_seconds: float  # of the program and the database
    seconds: float
    peak_mb: float  # of the program
    steal: float

    @property
    def per_cpu_second(self):
        return self.rows / self.cpu_seconds


def measure(stand, sizes, advance):
    ways = {"platform": import_trades, "bulk_create": bulk_create, "copy": copy}
    runs, tenth = {name: [] for name in ways}, []
    for number in range(sizes["rounds"]):
        names = list(ways)[number % 3 :] + list(ways)[: number % 3]
        for place, name in enumerate(names):
            advance(number * 3 + place, sizes["rounds"] * 3)
            runs[name].append(run(stand, ways[name], sizes["rows"]))
        tenth.append(run(stand, import_trades, sizes["rows"] // 10))
    ours = runs["platform"]
    times = {
        name: spread(our.per_cpu_second / their.per_cpu_second for our, their in zip(ours, runs[name], strict=True))
        for name in ("bulk_create", "copy")
    }
    memory = median(one.peak_mb for one in ours) / median(one.peak_mb for one in tenth)
    told = {name: median(one.per_cpu_second for one in found) for name, found in runs.items()}
    said = (
        f"{told['platform']:,.0f} rows per CPU second: {times['bulk_create']['median']:.2f} x bulk_create "
        f"({told['bulk_create']:,.0f}), {times['copy']['median']:.2f} of COPY ({told['copy']:,.0f}); "
        f"{median(one.rows / one.seconds for one in ours):,.0f} rows a second; "
        f"{median(one.peak_mb for one in ours):.0f} MB, {memory:.2f} x that of a tenth"
    )
    reached = times["bulk_create"]["median"] >= DUE_TIMES and memory <= DUE_MEMORY
    kept = {name: [asdict(one) for one in found] for name, found in {**runs, "tenth": tenth}.items()}
    return Measured(reached, said, {"times_of": times, "memory_of_tenth": memory, "runs": kept})


def run(stand, way, rows):
    """One import of `rows` rows into a database of its own."""
    with stand.fresh() as fresh:
        fresh.rows_file = fresh.folder / "trades.csv"
        write(fresh.rows_file, rows, stand.seed)
        arguments, given = way(fresh)
        meter = Meter({"database": stand.parts["database"]})
        began = time.perf_counter()
        program = subprocess.Popen(
            list(map(str, arguments)),
            cwd=ROOT,
            env=fresh.environment,
            stdin=given.open("rb") if given else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(fresh.folder / "errors").open("wb"),
        )
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = status
        seconds = time.perf_counter() - began
        time.sleep(SETTLE)  # the database session ends with the program
        cost = meter.read()
        if status:
            raise StandError(f"{arguments[:3]} failed: {(fresh.folder / 'errors').read_text()[-800:]}")
        [[found]] = fresh.rows("SELECT count(*) FROM trading_trade WHERE external_id LIKE 'trades.csv:%%'")
        if found != rows:
            raise StandError(f"{arguments[:3]} kept {found} of {rows} rows")
    cpu = cost.total + used.ru_utime + used.ru_stime
    return Run(rows, cpu, seconds, used.ru_maxrss / 1024, cost.steal)


def import_trades(fresh):
    command = [sys.executable, "manage.py", "import_trades", fresh.rows_file, "--trader", TRADER, "--broker", "Demo"]
    return command, None


def bulk_create(fresh):
    _plant(fresh)
    return [peers_python(), "-m", "benchmarks.peers.bulk_create", fresh.rows_file, TRADER], None


def copy(fresh):
    program = shutil.which("psql")
    if not program:
        raise StandError("No psql here. Install PostgreSQL's client programs.")
    ready = fresh.folder / "columns.csv"
    with ready.open("w") as out, fresh.rows_file.open() as lines:
        owners = _plant(fresh)
        next(lines)
        for number, line in enumerate(lines, 2):
            strategy, rest = line.rstrip("\n").split(",", 1)
            out.write(f"1,{owners[strategy]},{rest},f,trades.csv:{number}\n")
    statement = f"\\copy trading_trade ({COPIED}) FROM STDIN (FORMAT csv)"
    return [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", fresh.environment["DATABASE_URL"], "-c", statement], ready


def _plant(fresh):
    """The trader with strategies and deployments, which import_trades makes by itself: {strategy: its ids as CSV}"""
    with fresh.database() as connection:
        [user] = connection.execute(
            "INSERT INTO accounts_user (version, password, is_superuser, email, first_name, last_name, is_staff,"
            " is_active, created_at, session_version, reset_nonce, email_nonce, broker_id) VALUES (1, '!', false, %s,"
            " '', '', false, true, now(), 1, '', '', (SELECT id FROM accounts_broker WHERE name = 'Demo'))"
            " RETURNING id",
            [TRADER],
        ).fetchone()
        owners = {}
        for name in STRATEGIES:
            [strategy] = connection.execute(
                "INSERT INTO trading_strategy (version, user_id, name, symbol, timeframe, definition, created_at)"
                " VALUES (1, %s, %s, '', '', '{}', now()) RETURNING id",
                [user, name],
            ).fetchone()
            [deployment] = connection.execute(
                "INSERT INTO trading_deployment (version, user_id, strategy_id, status, mode, symbol, max_open_trades,"
                " order_type, capital, started_at) VALUES (1, %s, %s, 'active', 'live', '', 1, 'market', 10000, now())"
                " RETURNING id",
                [user, strategy],
            ).fetchone()
            owners[name] = f"{user},{strategy},{deployment}"
    return owners


def write(path, rows, seed):
    """A log as brokers write it, in the order of time."""
    dice = Random(seed)
    at = datetime(2020, 1, 1, tzinfo=UTC)
    with path.open("w") as out:
        out.write(f"{COLUMNS}\n")
        for _ in range(rows):
            at += timedelta(seconds=dice.randrange(180))
            closed = at + timedelta(seconds=dice.randrange(36_000))
            price, move = dice.randrange(5_000, 50_000), dice.randrange(-400, 420)
            out.write(
                f"{dice.choice(STRATEGIES)},BTC/USDT,{dice.choice(('long', 'short'))},{dice.randrange(1, 500) / 100},"
                f"{price / 100:.2f},{(price + move) / 100:.2f},,0.35,{move / 100:.2f},"
                f"{at:%Y-%m-%dT%H:%M:%SZ},{closed:%Y-%m-%dT%H:%M:%SZ}\n"
            )
