"""What gunicorn answers by itself, when it cannot read a request at all: a problem, like every other error."""

import json
import uuid

from gunicorn import util

from .exceptions import CONTENT_TYPE, problem
from .middleware import API_CONTENT_SECURITY_POLICY, HEADERS

SECURITY_HEADERS = {
    **HEADERS,
    "Cache-Control": "no-store",
    "Content-Security-Policy": API_CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def answer_with_problems():
    """
    Have this worker write problems where gunicorn would write its HTML.

    gunicorn offers no setting for it, so its one writing function is replaced.
    """
    util.write_error = write_problem


def write_problem(sock, status_int, reason, mesg):
    """gunicorn's `write_error`. `mesg` quotes the request, and is left out for that."""
    request_id = uuid.uuid4().hex
    detail = (
        f"The server could not read this request ({reason}). Send well-formed HTTP/1.1, a shorter address or header."
    )
    code = reason.lower().replace(" ", "_")
    body = json.dumps(problem(status_int, request_id=request_id, code=code, title=reason, detail=detail)).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items()) + "\r\n"
    util.write_nonblock(sock, head.encode() + body)
