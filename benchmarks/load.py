"""Load: requests on a few keep-alive connections, each sending its next one as soon as the last is answered."""

import selectors
import socket
import time
from itertools import cycle

from faults.servers import HOST

PATIENCE = 60  # seconds until an answer must come


class BadAnswer(Exception):
    """An answer that is not the one measured; the text is its beginning."""


def request(path, token, method="GET", body=b""):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {token}", "Accept: */*"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.missing = None  # bytes of the answer yet to come, None before its head is whole

    def send(self, message):
        self.received.clear()
        self.missing = None
        self.socket.sendall(message)

    def receive(self):
        """
        Take what has come.

        :returns: whether the answer is whole
        :raises BadAnswer: if it is not a 2xx with its length
        """
        data = self.socket.recv(1 << 18)
        if not data:
            raise BadAnswer("the connection was closed")
        self.received += data
        if self.missing is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.missing = end + 4 + self._length(bytes(self.received[:end])) - len(self.received)
        else:
            self.missing -= len(data)
        return self.missing <= 0

    def _length(self, head):
        status, *lines = head.split(b"\r\n")
        if not status.startswith(b"HTTP/1.1 2"):
            raise BadAnswer(bytes(self.received[:600]).decode(errors="replace"))
        for line in lines:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return int(value)
        raise BadAnswer("an answer without Content-Length")

    def close(self):
        self.socket.close()


class Load:
    """
    The same requests, in their order and over and over, on `connections` connections of one server.

    It is driven by the process that measures, so that nothing is in flight when a slice begins or ends.
    """

    def __init__(self, port, requests, connections=8):
        self.port, self.requests, self.size = port, requests, connections
        self._next = cycle(requests).__next__

    def run(self, *, seconds=None, count=None):
        """
        Send until `seconds` are over, or `count` requests, and wait for all answers.

        :returns: (how many were answered, in how many seconds, each one's seconds)
        """
        connections = [Connection(self.port) for _ in range(self.size)]
        try:
            return self._run(connections, seconds, count)
        finally:
            for connection in connections:
                connection.close()

    def _run(self, connections, seconds, count):
        waits = []
        began = time.perf_counter()
        deadline = began + (seconds if seconds is not None else 3600)
        left = count if count is not None else float("inf")
        with selectors.DefaultSelector() as selector:
            sent = {}
            for connection in connections[: int(min(left, len(connections)))]:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                sent[connection] = time.perf_counter()
                connection.send(self._next())
                left -= 1
            while sent:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise BadAnswer(f"no answer within {PATIENCE} s")
                for key, _ in ready:
                    connection = key.data
                    if not connection.receive():
                        continue
                    now = time.perf_counter()
                    waits.append(now - sent.pop(connection))
                    if now < deadline and left > 0:
                        sent[connection] = now
                        connection.send(self._next())
                        left -= 1
        return len(waits), time.perf_counter() - began, waits
