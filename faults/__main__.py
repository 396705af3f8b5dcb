"""
The command line: python -m faults [NAME ... | all | report].

Without a name it lists the figures. Exit code 0: everything reached; 1: something not; 2: it could not be measured.
"""

import argparse
import json
import signal
import sys
import time
from contextlib import ExitStack

from . import figures, report
from .load import JobFailed, UnexpectedAnswer
from .servers import StandError
from .stand import Stand

TRADERS = {True: 24, False: 300}  # quick or not; deletions use some up


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__.strip().splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures, `all`, or `report`; none lists them")
    parser.add_argument("--quick", action="store_true", help="small sizes, which do not count for the report")
    parser.add_argument("--seed", type=int, default=1, help="of the demo data and of every choice (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--peer", action="store_true", help="measure an ordinary project instead")
    parser.add_argument("--sqlite", action="store_true", help="measure the embedded default instead")
    options = parser.parse_args(arguments)
    if options.peer and options.sqlite:
        parser.error("--peer and --sqlite exclude each other.")
    if options.names == ["report"]:
        report.render()
        return 0
    target = "peer" if options.peer else "sqlite" if options.sqlite else "platform"
    if not options.names:
        return list_figures()
    unknown = [name for name in options.names if name not in (*figures.NAMES, "all")]
    if unknown:
        parser.error(f"no figure {unknown[0]}; there are {', '.join(figures.NAMES)}, `all` and `report`.")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the stand is ended on the way out
    try:
        results = measure(chosen(options.names, target), target, options)
    except StandError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(results, indent=2))
    return 0 if all(result["reached"] for result in results) else 1


def list_figures():
    width = max(map(len, figures.NAMES))
    for name in figures.NAMES:
        print(f"{name.ljust(width)}  {figures.title(figures.load(name))}")
    return 0


def chosen(names, target):
    """
    The figures named, those of `all` without what cannot be measured on the target or is measured only by its name.

    :raises StandError: if one that was named cannot
    """
    if "all" in names:
        found = {name: figures.load(name) for name in figures.NAMES}
        return [
            name
            for name, figure in found.items()
            if target in figure.TARGETS and not getattr(figure, "BY_NAME_ONLY", False)
        ]
    for name in names:
        targets = figures.load(name).TARGETS
        if target not in targets:
            raise StandError(f"{name} can be measured on {', '.join(targets)}, not on {target}.")
    return names


def measure(names, target, options):
    """Measure one after the other, on one stand for all that can share it."""
    results, stands = [], {}
    with ExitStack() as stack:
        for name in names:
            figure = figures.load(name)
            say = Progress(name, shown=sys.stderr.isatty())
            if figure.OWN_SERVICES not in stands:
                say("starting the servers")
                stand = Stand(
                    target, own_services=figure.OWN_SERVICES, traders=TRADERS[options.quick], seed=options.seed
                )
                stands[figure.OWN_SERVICES] = stack.enter_context(stand)
            stand = stands[figure.OWN_SERVICES]
            sizes = figure.QUICK if options.quick else figure.FULL
            began = time.monotonic()
            measured = outcome(figure, stand, sizes, lambda done, total, say=say: say(f"{done}/{total}"))
            result = report.result(
                name, measured, target=target, sizes=sizes, stand=stand, seconds=time.monotonic() - began
            )
            report.keep(result, quick=options.quick)
            results.append(result)
            say.end()
            if not options.json:
                verdict = "reached" if measured.reached else "NOT REACHED"
                print(f"{name}: {verdict}: {measured.said} ({result['seconds']} s)", flush=True)
    return results


def outcome(figure, stand, sizes, advance):
    """What it measured; a figure that was ended by an answer it is not about is not reached."""
    try:
        return figure.measure(stand, sizes, advance)
    except UnexpectedAnswer as error:
        return figures.Measured(False, f"ended by {error}")
    except JobFailed as error:
        return figures.Measured(False, f"ended by {error.cause}")


class Progress:
    """One line on a terminal, written over and over."""

    def __init__(self, name, *, shown):
        self.name, self.shown = name, shown

    def __call__(self, text):
        if self.shown:
            print(f"\r\x1b[K{self.name}  {text}", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("faults: interrupted; its servers are ended.")
