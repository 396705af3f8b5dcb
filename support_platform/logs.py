"""
Log lines: events with stable names and facts, as lines for people or as JSON for programs (LOG_FORMAT).

Stands alone: logging is configured before anything else can be imported, by Django's settings and by gunicorn's.
What libraries would quote of a request is taken out. docs/operations.md lists the events.
"""

import json
import logging
import re
import time
import traceback
from contextvars import ContextVar
from functools import cache

request_id_in_log = ContextVar("request_id_in_log", default="-")

OWN = ("support_platform", "accounts", "trading", "analytics")
# Their words can quote the values of a statement.
QUOTING_ERRORS = ("IntegrityError", "DataError", "UniqueViolation", "VariableDoesNotExist")

# What no line of ours shows is not looked up for each of them (Python's logging HOWTO, "Optimization").
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False

_events = logging.getLogger("support_platform.events")


def event(name, *, level=logging.INFO, exc_info=None, **facts):
    """
    Log that something happened. A fact may be an id, a number, a code, a route or a client's address; never text a
    caller gave, an e-mail address or anything that opens a door.
    """
    _events.log(level, _worded(name, facts), exc_info=exc_info, extra={"event": name, "facts": facts})


def _worded(name, facts):
    told = [f"{key}={value}" for key, value in facts.items() if value is not None]
    return " ".join([name, *told])


def route_of(request):
    """The route of a request as urls.py has it, such as /api/v1/users/<pk>/: what was asked, without its values."""
    match = getattr(request, "resolver_match", None)
    return None if match is None else _in_words(match.route)


@cache
def _in_words(route):
    return "/" + re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", route).replace("^", "").replace("$", "")


class RequestFilter(logging.Filter):
    """Puts the request id on a line, and takes off the address that Django and gunicorn would quote."""

    def filter(self, record):
        record.request_id = request_id_in_log.get()
        request = getattr(record, "request", None)
        if record.name == "gunicorn.error" and " request " in str(record.msg):
            self._rename(record, "internal_error" if record.exc_info else "unreadable_request")
        elif record.name == "django.request":
            if not record.exc_info:
                return False  # an answer of ours, which has its own event
            self._rename(record, "internal_error", route=route_of(request), status=record.status_code)
        elif request is not None:
            self._rename(record, "request_refused", route=route_of(request), by=record.name)
        return True

    @staticmethod
    def _rename(record, name, **facts):
        record.msg, record.args, record.event, record.facts = _worded(name, facts), (), name, facts


class _Formatter(logging.Formatter):
    def formatTime(self, record, datefmt=None):  # noqa: N802  the library's name
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{whole}.{int(record.msecs):03d}Z"

    def formatException(self, exc_info):  # noqa: N802  the library's name
        """Where it happened and what it says, the cause first; no local variables, no words of those that quote."""
        parts, error = [], exc_info[1]
        while error is not None:
            kind = type(error)
            words = "" if kind.__name__ in QUOTING_ERRORS else f": {error}"
            place = "".join(traceback.format_tb(error.__traceback__))
            parts.append(f"{place}{kind.__module__}.{kind.__qualname__}{words}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nwhich led to\n".join(reversed(parts))


class LineFormatter(_Formatter):
    """For people: one line, the facts behind the event."""

    def __init__(self):
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")


class JSONFormatter(_Formatter):
    """For programs: one JSON object a line. What is not an event of ours is the event "log" with its `message`."""

    def format(self, record):
        name = getattr(record, "event", None)
        told = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": name or "log",
            "request_id": getattr(record, "request_id", "-"),
            "logger": record.name,
            **({} if name else {"message": record.getMessage()}),
            **{fact: value for fact, value in getattr(record, "facts", {}).items() if value is not None},
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def configuration(form, level):
    """
    `logging.config`'s dictionary: `form` is "line" or "json".

    `level` is for our own lines. Libraries stay at INFO at least: below it Django quotes SQL with its values and the
    variables of a template, and gunicorn every address.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "support_platform.logs.RequestFilter"}},
        "formatters": {
            "line": {"()": "support_platform.logs.LineFormatter"},
            "json": {"()": "support_platform.logs.JSONFormatter"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "filters": ["request"], "formatter": form}},
        "root": {"handlers": ["stderr"], "level": max(logging.INFO, logging.getLevelName(level))},
        "loggers": {
            **{name: {"level": level} for name in OWN},
            # Refused requests are answers, not incidents; our own request line already tells them.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # Its own lines of each request show its path, and with it a mailed link; ours does not.
            "django.server": {"level": "CRITICAL"},
            "gunicorn.error": {"level": "INFO", "propagate": True},
        },
    }
