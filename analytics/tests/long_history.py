"""
A long random history, and the figures after it against the raw rows.

    python -m analytics.tests.long_history --changes 100000 --seed 1

does it on an empty, migrated database, with blocks of a few rows, so that few rows make many blocks. The last fifth is
done by two writers at once, while a reader asks and compares. At the end every block and answer is verified.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from decimal import Decimal
from threading import Event, Thread

import django

if __name__ == "__main__":
    django.setup()

from django.db import DatabaseError, connections

from accounts.models import Broker, User
from analytics import keeping, rollup_check
from analytics.models import Rollup
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from trading.import_operations import RowsRefused
from trading.models import Deployment, Strategy

from .comparison import SMALL, differences, one_moment
from .history import START, History


def say(text, where=sys.stdout):
    where.write(f"{text}\n")
    where.flush()


class Differs(Exception):
    """A figure is not what the rows say."""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m analytics.tests.long_history", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=400, help="compare after so many changes (default: 400)")
    options = parser.parse_args(arguments)

    for module, values in SMALL.items():
        for name, value in values.items():
            setattr(module, name, value)
    logging.disable(logging.INFO)
    began = time.monotonic()
    try:
        outcome = run(options.changes, options.seed, options.every)
    except Differs as error:
        say(json.dumps({"changes": 0, "differences": [str(error)]}))
        return 1
    say(json.dumps(outcome | {"seconds": round(time.monotonic() - began)}, indent=1))
    return 1 if outcome["differences"] else 0


def run(changes, seed, every):
    deployments = people()
    scopes = scopes_of(deployments)
    alone, together = changes - changes // 5, changes // 5
    history = History(deployments, seed, "alone")
    compared = due = 0
    while (number := history.kinds.total()) < alone:
        history.step()
        if number >= due:
            compared, due = compared + compare(history, scopes, f"after change {number}"), due + every
            keep()
            if number % 5000 < every:
                say(f"{number} changes, {compared} comparisons, all equal", sys.stderr)
    # Longer transactions on so few rows would mostly wait for each other to be found in a deadlock.
    writers = [History(deployments, seed + number, f"writer {number}", statements=2) for number in (1, 2)]
    asked = write_and_ask(writers, together, scopes, seed)
    for scope in scopes:
        for span in (history.span(), history.span()):
            expect_equal(scope, span, "at the end")
            compared += 3
    kinds = sum((one.kinds for one in (history, *writers)), Counter())
    return {"changes": kinds.total(), "by_kind": dict(kinds), "compared": compared, **asked, **verified()}


def keep():
    """As the thread of a server does; else the notes of scopes that nobody asks for would only grow."""
    for rollup in keeping.due():
        keeping.bring_up_to_date(rollup)


def people():
    """Two traders of a new database, one with two strategies and three deployments."""

    broker = Broker.objects.create(name="History", domain="history.example")
    made = []
    for number, places in enumerate(([0, 0, 1], [0])):
        user = User.objects.create_user(f"trader-{number}@history.example", None, broker=broker)
        strategies = [Strategy.objects.create(user=user, name=f"Strategy {place}") for place in range(max(places) + 1)]
        for place in places:
            values = {"strategy": strategies[place], "started_at": START, "capital": Decimal(100) if not made else None}
            made.append(Deployment.objects.create(user=user, mode="live", status="active", **values))
    return made


def scopes_of(deployments):
    found = [{name: getattr(row, f"{name}_id")} for row in deployments for name in ("user", "strategy")]
    found += [{"deployment": row.pk} for row in deployments]
    return [dict(pair) for pair in sorted({tuple(scope.items()) for scope in found})]


def compare(history, scopes, when):
    """One scope and span by the dice. How many answers were compared."""
    interval = history.random.choice([None, None, None, "day", "hour", "minute"])
    expect_equal(history.random.choice(scopes), history.span(), when, interval)
    return 3


def expect_equal(scope, span, when, interval=None):
    if found := list(differences(scope, span, interval)):
        raise Differs(f"{when}, {scope}, {span}: {'; '.join(found[:3])}")


def write_and_ask(writers, changes, scopes, seed):
    """
    Two writers at once, while a reader asks, which makes blocks, and compares at one moment.

    :returns: how often the reader compared, and how many changes were refused for what the other had done
    """

    # What one cannot do since the other was quicker: a row is gone or closed already, a deadlock of the two.
    refused = (DatabaseError, InvalidChange, OperationRefused, OutOfReach, RowsRefused)
    ended, errors, over = Counter(), [], Event()

    def write(history):
        try:
            while history.kinds.total() < changes // len(writers):
                try:
                    history.step()
                except refused:
                    ended["refused"] += 1
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    def read():
        dice = History([], seed + 9)
        try:
            while not over.is_set():
                scope, span = dice.random.choice(scopes), dice.span()
                for _ in differences(scope, span):  # as others ask: the two answers are of different moments
                    pass
                with one_moment():
                    expect_equal(scope, span, f"beside the writers, comparison {ended['comparisons']}")
                ended["comparisons"] += 3
                keep()
                over.wait(0.5)  # the writers are to get on
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=write, args=[history]) for history in writers]
    reader = Thread(target=read)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    reader.join()
    if errors:
        raise errors[0]
    return {"compared_beside_writers": ended["comparisons"], "refused_beside_each_other": ended["refused"]}


def verified():
    """What `rebuild_rollups --verify` finds, after blocks were made of all that had moved."""

    told = Counter()
    found = []
    for rollup in Rollup.objects.order_by("id"):
        keeping.make(rollup)
        for difference in rollup_check.compare(rollup):
            told["blocks"] += 1
            if difference:
                found.append(f"{rollup}: {difference}")
    return {"rollups": Rollup.objects.count(), "blocks_verified": told["blocks"], "differences": found}


if __name__ == "__main__":
    sys.exit(main())
