"""The request id on every log line. Stands alone: logging is configured before anything else can be imported."""

import logging
from contextvars import ContextVar

request_id_in_log = ContextVar("request_id_in_log", default="-")


class RequestIdFilter(logging.Filter):
    def filter(self, record):
        record.request_id = request_id_in_log.get()
        return True
