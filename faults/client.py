"""A client of one keep-alive connection, which shows every answer as it came."""

import http.client
import json
from dataclasses import dataclass, field
from select import select

from .servers import HOST


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict = field(repr=False)
    body: bytes = b""

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        """A header's value whatever the case of its name, None without it."""
        return self.headers.get(name.lower())


class Client:
    """
    Calls on one server. A connection that the server has closed while it was idle is opened again; a call that was
    sent and got no answer raises, for it may have been done.
    """

    def __init__(self, port, token=None, timeout=60):
        self.port, self.timeout = port, timeout
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.connection = None

    def call(self, method, path, body=None, headers=None):
        """
        One request; `path` is absolute.

        :raises OSError, http.client.HTTPException: if there was no answer
        """
        sent = {**self.headers, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        self.open()
        try:
            self.connection.request(method, path, data, sent)
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.will_close:
            self.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def open(self):
        """Connect now, so that a later call costs only itself."""
        if self.connection is not None and select([self.connection.sock], [], [], 0)[0]:
            self.close()  # nothing is due, so what there is to read is its end
        if self.connection is None:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=self.timeout)
            connection.connect()
            self.connection = connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def patch(self, path, body=None, **kwargs):
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path, body=None, **kwargs):
        return self.call("DELETE", path, body, **kwargs)
