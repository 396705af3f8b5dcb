"""How tests run a management command: as a call with --json, or as a process of its own."""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError


def run(name, *args):
    """The command's outcome: its JSON document."""
    out = StringIO()
    call_command(name, *map(str, args), "--json", stdout=out)
    return json.loads(out.getvalue())


def tell(name, *args):
    """What the command tells people, without a terminal."""
    out = StringIO()
    call_command(name, *map(str, args), stdout=out)
    return out.getvalue()


def fail(name, *args):
    """The one line of a command that must fail."""
    with pytest.raises(CommandError) as refused:
        call_command(name, *map(str, args), stdout=StringIO())
    return str(refused.value)


def process(var_dir, *args, **environment):
    """The finished process of `manage.py ARGS`, with a SQLite database of its own in `var_dir`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "STAFF_PASSWORD")}
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, args)],
        cwd=settings.BASE_DIR,
        env=kept | {"VAR_DIR": str(var_dir)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
