"""
More requests at once than a limit allows, window after window: exactly the limit is accepted.

Every bucket in turn: reads, writes and analytics of one staff member, logins from one address, logins with one
e-mail, resets of one trader. The server runs behind a proxy (TRUSTED_PROXY_HOPS=1), so that logins can come from many
addresses; the windows are shortened to seconds. The next burst on a bucket comes as soon as the longest Retry-After
of the last one is over. Reached: in every window as many are accepted as the limit says, and the waiting was enough.

A burst that may have outlasted its window, by the RateLimit headers, tells nothing and is repeated; where that goes
on, all is measured again with windows twice as long. The ordinary project has a throttle of reads by user; its
window slides, so each burst there is another user's.
"""

import itertools
import re
import time
from dataclasses import dataclass, field

from ..load import at_once, expect
from ..servers import StandError
from . import Measured

REACH = "20 windows x 128 at once x 4 server processes: accepted = limit, each bucket"
FULL = {
    "windows": 20,
    "at_once": 128,
    "threads": 8,
    "workers": 4,
    "window_seconds": 10,
    "limits": {"READ": 50, "WRITE": 64, "ANALYTICS": 50, "LOGIN_ADDRESS": 10, "LOGIN_EMAIL": 5, "RESET": 3},
}
QUICK = {
    "windows": 2,
    "at_once": 24,
    "threads": 6,
    "workers": 4,
    "window_seconds": 8,
    "limits": {"READ": 9, "WRITE": 12, "ANALYTICS": 9, "LOGIN_ADDRESS": 3, "LOGIN_EMAIL": 2, "RESET": 3},
}
TARGETS = ("platform", "peer")
OWN_SERVICES = False
REPEATS = 3
LONGEST_WINDOW = 80  # seconds


class WindowTooShort(Exception):
    """Bursts take longer here than a window."""


@dataclass
class Bucket:
    """`limit` for the requests that `calls` gives: (token, method, path, body, headers), one after the other."""

    name: str
    variable: str
    limit: int
    calls: object
    ready_at: float = 0
    accepted: list = field(default_factory=list)
    repeated: int = 0


def measure(stand, sizes, advance):
    if stand.target == "peer":
        return measure_peer(stand, sizes, advance)
    seconds = sizes["window_seconds"]
    while True:
        try:
            return measure_platform(stand, {**sizes, "window_seconds": seconds}, advance)
        except WindowTooShort:
            seconds *= 2
            if seconds > LONGEST_WINDOW:
                text = f"Bursts take longer than {LONGEST_WINDOW} s here; measure limits on a calmer machine."
                raise StandError(text) from None


def measure_platform(stand, sizes, advance):
    limits = sizes["limits"]
    rates = {f"RATE_LIMIT_{name}": f"{limit}/{sizes['window_seconds']}s" for name, limit in limits.items()}
    with stand.serve(workers=sizes["workers"], environment={**rates, "TRUSTED_PROXY_HOPS": "1"}) as server:
        buckets = platform_buckets(stand, server, limits)
        for window in range(sizes["windows"]):
            for place, bucket in enumerate(buckets):
                advance(window * len(buckets) + place, sizes["windows"] * len(buckets))
                fill_a_window(server, bucket, sizes)
    wrong = sum(count != bucket.limit for bucket in buckets for count in bucket.accepted)
    numbers = {bucket.name: {"limit": bucket.limit, "accepted": bucket.accepted} for bucket in buckets}
    numbers["repeated_bursts"] = sum(bucket.repeated for bucket in buckets)
    numbers["window_seconds"] = sizes["window_seconds"]
    total = sizes["windows"] * len(buckets)
    said = f"{total - wrong} of {total} windows of {len(buckets)} buckets at exactly the limit"
    return Measured(not wrong, said, numbers)


def platform_buckets(stand, server, limits):
    """
    Each bucket has callers of its own, so that none meets the limit of another; resets are writes too, and shared
    by two callers.
    """
    viewer, agent, supervisor = (stand.token(role) for role in ("viewer", "agent", "supervisor"))
    superuser = stand.token("superuser")
    trader, other = server.ids("users", status="active")[:2]
    numbers = itertools.count(1)

    def login(number, *, one_address):
        address = "192.0.2.1" if one_address else f"198.51.{number // 250 % 250}.{number % 250}"
        email = f"nobody{number}@demo.example" if one_address else "nobody@demo.example"
        body = {"email": email, "password": "not this one"}
        return None, "POST", "/api/v1/auth/token/", body, {"X-Forwarded-For": address}

    def reset(number):
        token = supervisor if number % 2 else superuser
        return token, "POST", f"/api/v1/users/{trader}/password-reset/", None, {}

    def write(number):
        return agent, "PATCH", f"/api/v1/users/{other}/", {"phone": f"+49151{number:08d}"}, {}

    calls = {
        "READ": lambda number: (viewer, "GET", "/api/v1/deployments/?page_size=1", None, {}),
        "WRITE": write,
        "ANALYTICS": lambda number: (viewer, "GET", f"/api/v1/analytics/performance/?user={other}&limit=0", None, {}),
        "LOGIN_ADDRESS": lambda number: login(number, one_address=True),
        "LOGIN_EMAIL": lambda number: login(number, one_address=False),
        "RESET": reset,
    }
    return [Bucket(name.lower(), name, limits[name], map(call, numbers)) for name, call in calls.items()]


def fill_a_window(server, bucket, sizes):
    """One burst that is sure to have met a single window."""
    for _ in range(REPEATS):
        time.sleep(max(0, bucket.ready_at - time.monotonic()))
        answers = burst(server, list(itertools.islice(bucket.calls, sizes["at_once"])), sizes["threads"])
        refused = [(got, answer) for _, got, answer in answers if answer.status == 429]
        if refused:
            bucket.ready_at = max(got + int(answer.header("Retry-After")) for got, answer in refused)
        if met_one_window(bucket, answers, sizes["window_seconds"]):
            bucket.accepted.append(len(answers) - len(refused))
            return
        bucket.repeated += 1
        bucket.ready_at = max(bucket.ready_at, time.monotonic() + sizes["window_seconds"])
    raise WindowTooShort


def met_one_window(bucket, answers, seconds):
    """
    Whether no two of these requests can have been counted in different windows.

    Each answer says in how many seconds its window ends, rounded up and one more (t); it was counted between sending
    and receiving, so the end lies between sent + t - 2 and got + t. Ends of different windows are `seconds` apart.
    """
    earliest, latest = [], []
    for sent, got, answer in answers:
        policy = re.fullmatch(r'"[a-z]+";q=([0-9]+);w=[0-9]+', answer.header("RateLimit-Policy"))
        left = re.fullmatch(r'"[a-z]+";r=[0-9]+;t=([0-9]+)', answer.header("RateLimit"))
        if int(policy[1]) == bucket.limit:  # else it tells of another counter that was tighter
            earliest.append(sent + int(left[1]) - 2)
            latest.append(got + int(left[1]))
    return max(latest) - min(earliest) < seconds


def burst(server, calls, threads):
    """:returns: for each call (when it was sent, when its answer came, the answer)"""

    def job(token, method, path, body, headers):
        def run(gate):
            client = server.client(token)
            client.open()
            gate()
            sent = time.monotonic()
            answer = expect(client.call(method, path, body, headers), 200, 202, 401, 429)
            return sent, time.monotonic(), answer

        return run

    return at_once([job(*call) for call in calls], threads=threads)


def measure_peer(stand, sizes, advance):
    limit, accepted = sizes["limits"]["READ"], []
    with stand.serve(workers=sizes["workers"], environment={"RATE_LIMIT_READ": f"{limit}/m"}) as server:
        for window in range(sizes["windows"]):
            advance(window, sizes["windows"])
            call = (stand.token(f"trader{window + 1}@demo.example"), "GET", "/api/v1/deployments/", None, {})
            answers = burst(server, [call] * sizes["at_once"], sizes["threads"])
            accepted.append(sum(answer.status == 200 for _, _, answer in answers))
    right = accepted.count(limit)
    said = f"{right} of {len(accepted)} windows at exactly the limit of {limit}; up to {max(accepted)} accepted"
    return Measured(right == len(accepted), said, {"read": {"limit": limit, "accepted": accepted}})
