"""The server's entry: gunicorn support_platform.wsgi."""

import gc
import os
from importlib import import_module

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_platform.settings")


class Request(WSGIRequest):
    """A request is UTF-8, whatever charset it claims: Django would decode even the query string by that claim."""

    def _set_content_type_params(self, meta):
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    request_class = Request


gc.disable()  # what is loaded stays for good: looking for garbage in it took a sixth of the start
django.setup(set_prefix=False)
import_module(settings.ROOT_URLCONF)  # now, not with the first request: the views and all that stands behind them
application = Handler()
# Workers are forked from here (gunicorn.conf.py): none ever looks through what is loaded, nor touches it.
gc.freeze()
gc.enable()
