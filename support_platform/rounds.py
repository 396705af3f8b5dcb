"""What a server does beside its requests, in a thread of its own."""

import random
import threading

from django.db import connections


class Rounds(threading.Thread):
    """
    Goes its round at once, whenever it is woken, and every `pause` seconds.

    It outlives any error and holds no database connection while it waits.
    """

    def __init__(self, name, pause):
        super().__init__(name=name, daemon=True)
        self.pause = pause
        self.woken = threading.Event()
        self.is_ending = False

    def go_round(self):
        raise NotImplementedError

    def failed(self, error):
        """Tell it to the log. Mostly a database is away; the next round tries again."""
        raise NotImplementedError

    def run(self):
        while not self.is_ending:
            self.woken.clear()
            try:
                self.go_round()
            except Exception as error:
                self.failed(error)
            finally:
                connections.close_all()
            if not self.is_ending:
                self.woken.wait(self.pause * jitter())

    def stop(self, patience=2):
        """End it; what it has in hand has `patience` seconds to finish."""
        self.is_ending = True
        self.woken.set()
        self.join(patience)


def jitter():
    """A factor that keeps those who did something together from doing it together again."""
    return random.uniform(0.9, 1.1)  # noqa: S311  no secret
