"""The platform on a port of its own, in threads of the tests' process: on the test's database, with its settings."""

import socket
from contextlib import suppress
from threading import Thread

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        """The platform has its own log."""


class Server(ThreadedWSGIServer):
    """
    Each connection of a browser has a thread, and each thread its own connection to the database, as in production.

    `close` waits for all of them, so that none is at work when the database is emptied.
    """

    daemon_threads = False
    block_on_close = True

    def __init__(self, application):
        super().__init__(("127.0.0.1", 0), QuietHandler)
        self.set_app(application)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.open = set()
        self.loop = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="browser-tests", daemon=True)
        self.loop.start()

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request):
        self.open.discard(request)
        super().close_request(request)

    def close(self):
        self.shutdown()
        for connection in list(self.open):
            with suppress(OSError):  # it has just ended
                connection.shutdown(socket.SHUT_RD)
        self.server_close()
