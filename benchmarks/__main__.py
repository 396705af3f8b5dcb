"""
The command line: python -m benchmarks [NAME ... | all | report].

Without a name it lists the figures. Exit code 0: everything reached; 1: something not; 2: it could not be measured.
"""

import argparse
import json
import signal
import sys
import time

from faults.__main__ import Progress
from faults.figures import Measured, title
from faults.load import UnexpectedAnswer
from faults.servers import StandError

from . import figures, report
from .load import BadAnswer
from .rows import DifferentRows
from .servers import peers_python
from .stand import Stand


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.strip().splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures, `all`, or `report`; none lists them")
    parser.add_argument("--quick", action="store_true", help="small sizes, which do not count for the report")
    parser.add_argument("--trades", type=int, help="another size of the tables, for one of --quick")
    parser.add_argument("--seed", type=int, default=1, help="of the rows (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args(arguments)
    if options.trades and not options.quick:
        parser.error("--trades goes with --quick: full results are of the full size.")
    if options.names == ["report"]:
        report.render()
        return 0
    if not options.names:
        return list_figures()
    unknown = [name for name in options.names if name not in (*figures.NAMES, "all")]
    if unknown:
        parser.error(f"no figure {unknown[0]}; there are {', '.join(figures.NAMES)}, `all` and `report`.")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the stand is ended on the way out
    try:
        results = measure(figures.NAMES if "all" in options.names else options.names, options)
    except StandError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(results, indent=2))
    return 0 if all(result["reached"] for result in results) else 1


def list_figures():
    width = max(map(len, figures.NAMES))
    for name in figures.NAMES:
        print(f"{name.ljust(width)}  {title(figures.load(name))}")
    return 0


def measure(names, options):
    """Measure one after the other, on one stand."""
    peers_python()
    results = []
    say = Progress("stand", shown=sys.stderr.isatty())
    with Stand(seed=options.seed, say=lambda text: say(text)) as stand:
        for name in names:
            figure = figures.load(name)
            say = Progress(name, shown=sys.stderr.isatty())
            sizes = dict(figure.QUICK if options.quick else figure.FULL)
            if options.trades and "trades" in sizes:
                sizes["trades"] = options.trades
            began = time.monotonic()
            measured = outcome(figure, stand, sizes, lambda done, total, say=say: say(f"{done}/{total}"))
            result = report.result(
                name, measured, sizes=sizes, stand=stand, seconds=time.monotonic() - began, quick=options.quick
            )
            report.keep(result)
            results.append(result)
            say.end()
            if not options.json:
                verdict = "reached" if measured.reached else "NOT REACHED"
                print(f"{name}: {verdict}: {measured.said} ({result['seconds']} s)", flush=True)
                print("".join(f"{line}\n" for line in report.contestants(result)), end="", flush=True)
    return results


def outcome(figure, stand, sizes, advance):
    """What it measured; a figure that was ended by an answer it is not about is not reached."""
    try:
        return figure.measure(stand, sizes, advance)
    except (BadAnswer, DifferentRows, UnexpectedAnswer, ConnectionError, TimeoutError) as error:
        return Measured(False, f"ended by {type(error).__name__}: {error}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("benchmarks: interrupted; its servers are ended.")
