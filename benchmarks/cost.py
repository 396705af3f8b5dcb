"""What work cost: the processor time of process trees, and what the machine lost meanwhile. Linux, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
SETTLE = 0.3  # seconds until a process that has ended is counted with its parent; before that it is nowhere


@dataclass(frozen=True)
class Cost:
    """Between two readings: processor seconds by part, and shares of all the machine's processor time."""

    seconds: dict  # part -> processor seconds
    steal: float  # taken by the host
    others: float  # used by processes that are neither measured nor we

    @property
    def total(self):
        return sum(self.seconds.values())


class Meter:
    """
    Reads the cost since it was made, or since `restart`.

    `parts` maps a name to the root of a process tree, such as {"server": 12, "database": 34}; a tree counts with all
    that it started, ended or not. The kernel counts that in steps of 10 ms; `fine` reads nanoseconds instead,
    without the threads that have ended: for single calls on servers whose threads stay.
    """

    def __init__(self, parts, *, fine=False):
        self.parts, self.fine = parts, fine
        self.restart()

    def restart(self):
        self._before = self._now()

    def read(self):
        now = self._now()
        seconds = {name: since(self._before["parts"][name], now["parts"][name]) for name in self.parts}
        passed = (now["all"] - self._before["all"]) or 1e-9
        busy = now["busy"] - self._before["busy"] - sum(seconds.values()) - (now["own"] - self._before["own"])
        return Cost(seconds, (now["steal"] - self._before["steal"]) / passed, max(0.0, busy / passed))

    def _now(self):
        times = processes()
        busy, steal, everything = machine_seconds()
        own = os.times()
        return {
            "parts": {name: self._tree(root, times) for name, root in self.parts.items()},
            "own": own.user + own.system,
            "busy": busy,
            "steal": steal,
            "all": everything,
        }

    def _tree(self, root, times):
        """{what is counted alone: its processor seconds}"""
        if not self.fine:
            return {root: tree_seconds(root, times)}
        return {thread: seconds for pid in tree(root, times) for thread, seconds in thread_seconds(pid).items()}


def since(before, now):
    """What came on top; who was not there before began with nothing."""
    return sum(seconds - before.get(name, 0.0) for name, seconds in now.items())


def processes(proc=PROC):
    """{pid: (its parent, its processor seconds with those of its ended children)}"""
    found = {}
    for path in proc.glob("[0-9]*/stat"):
        try:
            # The name stands in brackets and may hold anything, brackets too.
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / TICKS
    return found


def tree(root, times):
    """The process ids of a process and all its descendants."""
    children = {}
    for pid, (parent, _) in times.items():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def tree_seconds(root, times):
    return sum(times[pid][1] for pid in tree(root, times) if pid in times)


def thread_seconds(pid, proc=PROC):
    """{thread id: the seconds it has run}"""
    found = {}
    for path in proc.glob(f"{pid}/task/[0-9]*/schedstat"):
        try:
            found[int(path.parent.name)] = int(path.read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def machine_seconds(proc=PROC):
    """(busy, stolen, all) processor seconds since the machine started, over all processors."""
    user, nice, system, idle, waiting, irq, softirq, steal = map(
        int, (proc / "stat").read_text().splitlines()[0].split()[1:9]
    )
    busy = user + nice + system + irq + softirq
    return busy / TICKS, steal / TICKS, (busy + idle + waiting + steal) / TICKS


def resident_bytes(pid, proc=PROC):
    """(resident, resident and its own alone) memory of a process."""
    values = {}
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    return values["Rss"], values["Private_Clean"] + values["Private_Dirty"]
