"""A trade's line of a CSV file, and what an import that must fail says."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

COLUMNS = "strategy,symbol,side,quantity,entry_price,exit_price,strike,fees,result,taken_at,closed_at"
GOOD = "trend,EUR/USD,long,2,1.1,1.2,,0.5,12.5,2026-01-05T09:00:00Z,2026-01-05T10:00:00+01:00"
OPEN = "trend,EUR/USD,short,2,1.1,,450,0,,2026-01-05T09:00:00Z,"
TO = ("--trader", "trader@demo.example", "--broker", "Demo")


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
