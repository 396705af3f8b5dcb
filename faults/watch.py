"""Watchers: the same calls over and over while something is away, and what each was answered and when."""

import http.client
import threading
import time
from dataclasses import dataclass

PROBLEM = "application/problem+json"
INTERVAL = 0.1


@dataclass(frozen=True)
class Seen:
    name: str
    at: float  # time.monotonic() when it was sent
    seconds: float
    answer: object  # a client.Answer, or None: the connection ended without one
    failure: str = ""

    @property
    def is_well(self):
        return self.answer is not None and self.answer.status < 300

    @property
    def until(self):
        return self.at + self.seconds


class Watchers:
    """
    One thread for each of `calls`, {name: function of a client}, that makes its call again and again until `stop`,
    each time on a connection of its own. `seen` is everything that came of it.
    """

    def __init__(self, make_client, calls, interval=INTERVAL):
        self.make_client, self.calls, self.interval = make_client, calls, interval
        self.seen = []
        self._ended = threading.Event()
        self._threads = []

    def __enter__(self):
        self._ended.clear()
        self._threads = [threading.Thread(target=self._watch, args=call, daemon=True) for call in self.calls.items()]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, name, call):
        while not self._ended.is_set():
            client, at, answer, failure = self.make_client(), time.monotonic(), None, ""
            client.headers["Connection"] = "close"
            try:
                answer = call(client)
            except (OSError, http.client.HTTPException) as error:
                failure = type(error).__name__
            finally:
                client.close()
            self.seen.append(Seen(name, at, time.monotonic() - at, answer, failure))
            self._ended.wait(self.interval)

    def between(self, name, start, end):
        """What one call was answered, of those sent from `start` to before `end`."""
        return [seen for seen in list(self.seen) if seen.name == name and start <= seen.at < end]

    def first_well(self, name, start, patience=60):
        """
        Wait for the first 2xx that is answered after `start`.

        :returns: how many seconds after it, None if it did not come
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for seen in list(self.seen):
                if seen.name == name and seen.is_well and seen.until >= start:
                    return max(0.0, round(seen.until - start, 2))
            time.sleep(0.02)
        return None


def unlike_unavailable(answer):
    """Why an answer is not the 503 it should be: problem+json with Retry-After; None if it is."""
    if answer.status != 503:
        return f"status {answer.status}"
    if answer.header("Content-Type") != PROBLEM:
        return f"a 503 of {answer.header('Content-Type')}"
    if not (answer.header("Retry-After") or "").isdigit():
        return "a 503 without Retry-After"
    return None


def slowest(seen):
    return round(max((one.seconds for one in seen), default=0.0), 2)
