"""The server's worker, with an application of its own in place of the platform: slow clients and an orderly stop."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker

from support_platform import worker

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = """
from support_platform import worker

worker.RECEIVE_SECONDS = 2
worker_class = worker.Worker
threads = 2
bind = "127.0.0.1:{port}"
control_socket_disable = True
"""
APPLICATION = """
import os
import time


def application(environ, start_response):
    time.sleep({"/slow": 1.5, "/very-slow": 6}.get(environ["PATH_INFO"], 0))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = b"%d" % (os.getpid() if environ["PATH_INFO"] == "/pid" else len(body))
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def server(tmp_path):
    """(process, port) of a gunicorn with our worker and two threads."""
    with served(tmp_path) as started:
        yield started


@contextmanager
def served(tmp_path, more=""):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "conf.py").write_text(CONFIGURATION.format(port=port) + more)
    (tmp_path / "slow_application.py").write_text(APPLICATION)
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", str(tmp_path / "conf.py"), "slow_application"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                get(port, "/")
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield process, port
    finally:
        process.kill()
        process.wait()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_slow_clients_do_not_keep_the_threads(server):
    _, port = server
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    for number, client in enumerate(clients):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n"
        client.sendall(head + (b"\r\nx" if number % 2 else b""))  # half stop in the body, half in the headers

    try:
        assert get(port, "/") == 200
    finally:
        for client in clients:
            client.close()


def test_a_slow_answer_is_not_cut_short(server):
    _, port = server

    assert get(port, "/very-slow") == 200


def test_an_answer_says_whether_its_connection_stays(server):
    _, port = server
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    said = []
    for path in ("/", "/very-slow"):  # of which the worker looks at the second in time, also on a busy machine
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        said.append(answer.headers["Connection"])
    connection.close()

    assert said == ["keep-alive", "close"]


@pytest.mark.parametrize(
    ("workers", "connections", "is_alive", "waits_ms"),
    [(2, 0, True, 0), (2, 3, True, 0.75), (2, 500, True, 2), (1, 3, True, None), (2, 3, False, None)],
)
def test_who_has_more_connections_lets_another_worker_take_the_next(
    monkeypatch, workers, connections, is_alive, waits_ms
):
    waits, taken = [], []
    monkeypatch.setattr(worker.time, "sleep", waits.append)
    monkeypatch.setattr(ThreadWorker, "accept", lambda worker, listener: taken.append(listener))
    served = worker.Worker.__new__(worker.Worker)
    served.cfg, served.alive, served.nr_conns = SimpleNamespace(workers=workers), is_alive, connections

    served.accept("a listener")

    assert [round(wait * 1000, 3) for wait in waits] == ([] if waits_ms is None else [waits_ms])
    assert taken == ["a listener"]


def test_connections_are_spread_over_the_workers(tmp_path):
    with served(tmp_path, more="workers = 2\n") as (process, port):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for _ in range(300):
            if len(children.read_text().split()) == 2:
                break
            time.sleep(0.1)
        clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(12)]
        answered_by = Counter()
        for client in clients:
            client.request("GET", "/pid")
            answered_by[client.getresponse().read()] += 1
            time.sleep(0.02)
        for client in clients:
            client.close()

    assert len(answered_by) == 2
    assert min(answered_by.values()) >= 3, answered_by


def test_the_server_says_that_it_lives_once_a_second_not_with_each_request(monkeypatch):
    said, now = [], [100.0]
    monkeypatch.setattr(ThreadWorker, "notify", lambda worker: said.append(now[0]))
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    served = worker.Worker.__new__(worker.Worker)
    served.handled_since, served.requests, served.notified_at = {}, {}, 0.0

    for now[0] in (100.0, 100.1, 100.5, 101.0, 101.2, 102.1):
        served.notify()

    assert said == [100.0, 101.0, 102.1]


def test_a_server_that_stops_answers_everyone_who_has_connected(server):
    """Two requests are in flight and four wait for a thread when it is told to stop."""
    process, port = server
    answers = []

    def ask():
        try:
            answers.append(get(port, "/slow"))
        except OSError as error:
            answers.append(type(error).__name__)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)

    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()

    assert answers == [200] * 6
    assert process.wait(timeout=30) == 0
    with pytest.raises(ConnectionRefusedError):
        get(port, "/")


def test_who_connects_while_it_stops_is_refused_not_dropped(server):
    process, port = server
    in_flight = threading.Thread(target=get, args=(port, "/slow"))
    in_flight.start()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)

    try:
        with pytest.raises(ConnectionRefusedError):
            get(port, "/")
    finally:
        in_flight.join()
