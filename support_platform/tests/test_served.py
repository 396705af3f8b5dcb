"""The platform as it is served: the README's support case played as written, and what gunicorn itself refuses."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from support_platform.server import SECURITY_HEADERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own with demo data, on SQLite in a folder of its own; gives the environment to reach it."""
    tmp_path = tmp_path_factory.mktemp("served")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    foreign = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "ENVIRONMENT", "WEB_CONCURRENCY", "SECRET_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    environment |= {"VAR_DIR": str(tmp_path), "PORT": port, "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environment["RATE_LIMIT_LOGIN_ADDRESS"] = "1000/m"  # all tests here come from one address
    environment |= {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--traders", "3", "--trades", "30"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "support_platform.wsgi"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"{environment['PUBLIC_URL']}/health/ready/")
        yield environment
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /api/v1/users/?search=" + "a" * 9000 + " HTTP/1.1", 414),
        ("get /api/v1/users/ HTTP/1.1", 400),
        ("GET /api/v1/users/ HTTP/1.1\r\nX-Long: " + "a" * 20000, 431),
        ("GET /api/v1/users/ HTTP/1.1\r\nContent-Length: ten", 400),
        ("GET /api/v1/users/ HTTP/1.1" + "\r\nX-Many: aaaa" * 101, 431),
        ("GET /api/v1/users/ HTTP/1.1\r\nAuthorization : Bearer aaaa-secret", 400),
    ],
    ids=[
        "long address",
        "method in lower case",
        "long header",
        "bad length",
        "many headers",
        "space in a header's name",
    ],
)
def test_what_the_server_cannot_read_is_a_problem_too(server, request_line, status):
    with socket.create_connection(("127.0.0.1", int(server["PORT"])), timeout=10) as connection:
        connection.sendall(f"{request_line}\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == status
    assert f"X-Request-ID: {json.loads(body)['request_id']}" in head
    assert "aaaa" not in answer
    for header in (*SECURITY_HEADERS, "Content-Security-Policy"):
        assert f"\r\n{header}: " in head
    assert "gunicorn/" not in head


def send(server, method, path, body=b"", **headers):
    """One request over the wire; the status, the headers and the text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", int(server["PORT"]), timeout=10)
    connection.request(
        method,
        path,
        body,
        {name if name.isupper() else name.replace("_", "-"): value for name, value in headers.items()},
    )
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


@pytest.mark.parametrize(
    "charset", ["hex", "rot13", "base64", "undefined", "punycode", "utf-16", "latin-1", "nonsense"]
)
def test_the_charset_of_a_body_has_no_say_over_the_query(server, charset):
    claimed = f"application/json; charset={charset}"

    posted = send(server, "POST", "/api/v1/auth/token/?a=1", b"{}", Content_Type=claimed)
    read = send(server, "GET", "/api/v1/users/?search=a", Content_Type=claimed)
    schema = send(server, "GET", "/api/schema/", Content_Type=claimed)

    assert (posted[0], json.loads(posted[2])["status"]) in ((400, 400), (415, 415))
    assert "a" in posted[2]
    assert (read[0], json.loads(read[2])["status"]) == (401, 401)
    assert schema[0] == 200


def test_a_stranger_sets_neither_the_path_nor_the_scheme(server):
    for name, value in [("SCRIPT_NAME", "/evil"), ("SCRIPT_NAME", "/api"), ("PATH_INFO", "/health/live/")]:
        status, headers, text = send(server, "GET", "/api/v1/users/", **{name: value})
        assert (status, headers["Content-Type"]) == (401, "application/problem+json"), text
    login = {"email": "viewer@demo.example", "password": "support-demo-1"}
    _, _, tokens = send(
        server, "POST", "/api/v1/auth/token/", json.dumps(login).encode(), Content_Type="application/json"
    )
    bearer = f"Bearer {json.loads(tokens)['access']}"
    _, _, page = send(server, "GET", "/api/v1/users/?page_size=1", Authorization=bearer, X_Forwarded_Proto="https")
    assert json.loads(page)["next"].startswith(f"http://127.0.0.1:{server['PORT']}/")
    assert send(server, "GET", "/api/v1/users/1%2f", Authorization=bearer)[0] == 404


def test_every_line_of_the_servers_log_is_an_event_without_secrets(server):
    secret = "aaaa-secret"
    send(server, "GET", f"/api/v1/{secret}/?a={secret}", Authorization=f"Bearer {secret}", Cookie=f"sessionid={secret}")
    send(server, "GET", f"/account/password/{secret}/", Referer=f"https://{secret}.example/")
    with socket.create_connection(("127.0.0.1", int(server["PORT"])), timeout=10) as connection:
        connection.sendall(f"GET /account/password/{secret}/ HTTP/1.1\r\nCookie : {secret}\r\n\r\n".encode())
        connection.recv(65536)

    text = (Path(server["VAR_DIR"]) / "server.log").read_text()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert {"request", "unreadable_request", "log"} <= set(events)
    assert secret not in text


def test_what_is_too_large_is_refused_before_it_is_sent(server):
    for path, announced in [("/api/v1/auth/token/", 300_000), ("/admin/login/", 2_000_000)]:
        with socket.create_connection(("127.0.0.1", int(server["PORT"])), timeout=20) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {announced}\r\n\r\n{{".encode()
            )
            answer = connection.recv(65536).decode()
            assert answer.startswith("HTTP/1.1 413 ")
            assert "\r\nServer: gunicorn\r\n" in answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's case is played with curl; install it")
def test_the_support_case(server):
    text = (ROOT / "README.md").read_text()
    case = re.search(r"## A support case.*?```sh\n(.*?)```", text, re.DOTALL)[1].replace("cookies.tmp", "$VAR_DIR/jar")

    played = subprocess.run(
        ["sh", "-eu", "-c", case], cwd=ROOT, env=server, capture_output=True, text=True, timeout=120, check=False
    )

    assert played.returncode == 0, played.stderr
    told = played.stdout
    assert '"state": "active"' in told
    assert '"status":"paused"' in told
    assert "'before': {'win_rate'" in told
    assert '"reason": "trader called"' in told
    assert '"sent_to":"t***@demo.example"' in told
    assert "<h1>Your password is changed</h1>" in told, told
    assert told.rstrip().endswith("401")
    assert "account/password/W" not in (Path(server["VAR_DIR"]) / "server.log").read_text()
