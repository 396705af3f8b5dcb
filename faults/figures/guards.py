"""
Each guard of the platform taken away in turn: the suite fails each time.

`faults/guards/` lists them: rights, scopes, locks, transactions, limits, sessions, links, the door. Each is removed
from a copy of the tree, where the tests that its line names are run on SQLite. Reached: all of them pass on the
untouched copy, and with any one guard gone at least one fails. The quick size takes a few of them by chance.
"""

import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from random import Random

from .. import suites
from ..guards import ROOT, all_guards
from . import Measured

REACH = "all noticed"
FULL = {"guards": None, "copies": 2}
QUICK = {"guards": 4, "copies": 2}
TARGETS = ("platform",)
OWN_SERVICES = False
BY_NAME_ONLY = True  # it runs the suite again and again
SECONDS = 900  # for the tests of one guard


def measure(stand, sizes, advance):
    guards = all_guards()
    if sizes["guards"]:
        guards = Random(stand.seed).sample(guards, sizes["guards"])  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        copies = Queue()
        for number in range(sizes["copies"]):
            copies.put(copy_of_the_tree(Path(folder) / str(number)))
        require_well(copies, sorted({path for guard in guards for path in guard.tests}))
        unnoticed, done = [], 0

        def removed(guard):
            copy = copies.get()
            try:
                return is_noticed(guard, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(sizes["copies"]) as pool:
            for guard, noticed in zip(guards, pool.map(removed, guards), strict=True):
                done += 1
                advance(done, len(guards))
                if not noticed:
                    unnoticed.append(guard.name)
    said = f"{len(guards) - len(unnoticed)} of {len(guards)} noticed"
    return Measured(not unnoticed, said, {"guards": len(guards), "unnoticed": unnoticed})


def copy_of_the_tree(folder):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def require_well(copies, tests):
    """
    :raises RuntimeError: if the tests fail with every guard in its place: then a failure says nothing
    """
    copy = copies.get()
    outcome = suites.run("-x", *tests, tree=copy, seconds=SECONDS)
    copies.put(copy)
    if outcome.code != suites.PASSED:
        raise RuntimeError(f"With all guards in place the tests fail:\n{outcome.printed[-2000:]}")


def is_noticed(guard, copy):
    path = copy / guard.path
    source = path.read_text()
    path.write_text(guard.removed_from(source))
    try:
        outcome = suites.run("-x", *guard.tests, tree=copy, seconds=SECONDS)
    finally:
        path.write_text(source)
    if outcome.code not in (suites.PASSED, suites.FAILED):
        raise RuntimeError(f"Without {guard.name!r} the tests could not run:\n{outcome.printed[-2000:]}")
    return outcome.code == suites.FAILED
