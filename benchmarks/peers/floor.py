"""
The floor: a WSGI function and psycopg, nothing else, doing what the platform's contract asks.

Signature and expiry of the token, its session, the account's status and session_version, the trader's broker, the
limit: all are checked on every call, in as few steps as there can be.
"""

import os
import threading
import time
from urllib.parse import parse_qs

import jwt
import orjson
import psycopg
import redis

from .floor_writes import correct_trade
from .sql import AS_TEXT, CALLER, COUNT, LIMIT, PAGE_OF

KEY = os.environ["SECRET_KEY"]
DATABASE_URL = os.environ["DATABASE_URL"]
PAGE_AFTER = PAGE_OF.replace("ORDER BY", "AND (taken_at, id) < (%s, %s) ORDER BY", 1)
DETAIL = f"""
SELECT {AS_TEXT} FROM trading_trade trade
WHERE id = %s AND EXISTS (SELECT FROM accounts_user WHERE id = trade.user_id AND NOT is_staff AND broker_id = %s)
"""

_own = threading.local()
_count = redis.Redis.from_url(os.environ["REDIS_URL"]).register_script(COUNT)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/health/live/":
        return _answer(start_response, "200 OK", {"status": "ok"})
    caller = _caller(environ.get("HTTP_AUTHORIZATION", ""))
    if caller is None:
        return _answer(start_response, "401 Unauthorized", {})
    if path == "/trades/":
        return _answer(start_response, "200 OK", _page(caller, parse_qs(environ["QUERY_STRING"])))
    trade = int(path.split("/")[2])
    if environ["REQUEST_METHOD"] == "PATCH":
        body = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        found = correct_trade(_cursor(), caller, trade, body["result"], DETAIL)
    else:
        found = _detail(caller, trade)
    return _answer(start_response, "200 OK" if found else "404 Not Found", found or {})


def _caller(header):
    try:
        claims = jwt.decode(header.removeprefix("Bearer "), KEY, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return None
    values = [claims["session"], claims["user_id"], claims["session_version"]]
    row = _cursor().execute(CALLER, values).fetchone()
    if row is None:
        return None
    if _count([f"floor:{claims['user_id']}:{int(time.time())}"]) > LIMIT:
        return None
    return {"id": claims["user_id"], "broker": row[0]}


def _page(caller, parameters):
    user = int(parameters["user"][0])
    cursor = _cursor()
    if "after" in parameters:
        instant, row_id = parameters["after"][0].split(",")
        cursor.execute(PAGE_AFTER, [user, user, caller["broker"], instant, int(row_id)])
    else:
        cursor.execute(PAGE_OF, [user, user, caller["broker"]])
    rows = _named(cursor, cursor.fetchall())
    more = len(rows) > 100
    last = rows[99] if more else None
    return {"next": last and f"/trades/?user={user}&after={last['taken_at']},{last['id']}", "results": rows[:100]}


def _detail(caller, trade):
    cursor = _cursor()
    row = cursor.execute(DETAIL, [trade, caller["broker"]]).fetchone()
    return row and _named(cursor, [row])[0]


def _named(cursor, rows):
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _cursor():
    """Binary, and prepared after the fifth time, as psycopg does by itself."""
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(DATABASE_URL, autocommit=True)
    return _own.connection.cursor(binary=True)


def _answer(start_response, status, value):
    body = orjson.dumps(value)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
