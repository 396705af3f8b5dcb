"""The load against a server of the standard library, and the answers that it must not count."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import BadAnswer, Load, request


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.lock:
            self.server.paths.append((self.path, self.headers["Authorization"]))
        body = b"x" * 100_000
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.lock, made.paths, made.daemon_threads = threading.Lock(), [], True
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_it_sends_so_many_and_counts_whole_answers(server):
    load = Load(server.server_port, [request("/a", "token"), request("/b", "token")], connections=3)

    count, seconds, waits = load.run(count=7)

    assert count == len(waits) == len(server.paths) == 7
    assert seconds >= max(waits) > 0
    assert sorted(server.paths) == [("/a", "Bearer token")] * 4 + [("/b", "Bearer token")] * 3


def test_it_ends_with_nothing_in_flight(server):
    count, _, _ = Load(server.server_port, [request("/a", "token")], connections=2).run(seconds=0.05)

    assert count == len(server.paths)


@pytest.mark.parametrize(("path", "told"), [("/missing", "404"), ("/endless", "Content-Length")])
def test_an_answer_that_is_not_the_one_measured_ends_the_run(server, path, told):
    with pytest.raises(BadAnswer, match=told):
        Load(server.server_port, [request(path, "token")]).run(count=1)
