"""
gunicorn's threaded worker, with an end to what a slow client may take, and a stop that drops nobody.

Stands alone: gunicorn loads it before Django is set up.
"""

import socket
import time
from contextlib import suppress

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

NOTIFY_SECONDS = 0.9
GIVE_WAY_SECONDS, GIVE_WAY_AT_MOST = 0.00025, 8
RECEIVE_SECONDS = 10
ANSWER_SECONDS = 300


class ServerLog(Logger):
    """gunicorn's log, without its line of each request: ours (middleware.py) tells it, and no path."""

    def access(self, resp, req, environ, request_time):
        """Not written, and not put together only to be thrown away."""


class Worker(ThreadWorker):
    """
    A thread waits for a request that comes in drop by drop for ten seconds, and for an answer that is taken drop by
    drop for five minutes. gunicorn itself would let either hold its thread for ever.

    That bounds what one client can do, not what many can: a proxy that buffers requests belongs in front.

    Of several workers, which all hear of a new connection at once, the one with the fewest takes it. gunicorn itself
    leaves it to the quickest, and connections that stay crowd in one process while another has nothing to do.

    A worker that stops answers whoever has connected and closes its door. gunicorn itself would leave the door open
    without going there, and whoever knocked meanwhile would find the connection reset.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.handled_since, self.requests = {}, {}
        self.notified_at = 0.0

    def set_accept_enabled(self, enabled):
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            while self._accept_one(listener):
                pass
            listener.close()

    def accept(self, listener):
        if self.alive and self.cfg.workers > 1:
            time.sleep(GIVE_WAY_SECONDS * min(self.nr_conns, GIVE_WAY_AT_MOST))
        super().accept(listener)

    def _accept_one(self, listener):
        before = self.nr_conns
        self.accept(listener)  # changes nothing when nobody waits there
        return self.nr_conns > before

    def handle(self, conn):
        self.handled_since[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self.handled_since[conn]
            self.requests.pop(conn, None)

    def handle_request(self, req, conn):
        self.requests[conn] = req
        return super().handle_request(req, conn)

    def notify(self):
        """gunicorn calls it at least once a second, and twice for each request: once a second is enough."""
        now = time.monotonic()
        if now - self.notified_at < NOTIFY_SECONDS:
            return
        self.notified_at = now
        super().notify()
        for conn, since in list(self.handled_since.items()):
            if now - since > ANSWER_SECONDS:
                _shut(conn.sock, socket.SHUT_RDWR)
            elif now - since > RECEIVE_SECONDS:
                # Who waits for the rest of a request reads its end. An answer still goes out, and says that it is this
                # connection's last one: a client that kept it would find its next request unanswered.
                if req := self.requests.get(conn):
                    req.force_close()
                _shut(conn.sock, socket.SHUT_RD)


def _shut(connection, how):
    with suppress(OSError):  # it is gone already
        connection.shutdown(how)
