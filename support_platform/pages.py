"""
Faults as pages, for people: in the console, on the trader's pages and on any other address outside ``/api/``.

urls.py names the handlers. Below ``/api/`` the middleware turns what they answer into problems.
"""

import sys

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from .exceptions import TITLES, is_unavailable, log_unavailable, retry_after

DETAILS = {
    400: "The request could not be read. Go back, load the page again and repeat.",
    403: "You may not do this, or the page was open for too long. Go back, load it again and repeat.",
    404: "There is no such page. Look at the address again.",
    500: "Nothing was changed. If it happens again, tell the support and name the request below.",
    503: "A part this page needs is not available. Try again in a minute.",
}


def fault_page(request, status, detail="", *, wait=None):
    """A page that needs neither database nor session nor cache, since those may be what failed. `wait` in seconds."""
    template = "admin/fault.html" if request.path_info.startswith("/admin/") else "fault.html"
    context = {
        "title": TITLES[status],
        "detail": detail or DETAILS.get(status, ""),
        "request_id": request.request_id,
        "home": reverse("admin:index"),
    }
    response = HttpResponse(render_to_string(template, context), status=status)
    response["Cache-Control"] = "no-store"
    if wait is not None:
        response["Retry-After"] = str(max(1, int(wait)))
    return response


def unavailable_page(request, error):
    log_unavailable(error)
    return fault_page(request, 503, wait=retry_after(error))


def bad_request(request, exception):
    return fault_page(request, 400)


def permission_denied(request, exception):
    return fault_page(request, 403)


def page_not_found(request, exception):
    return fault_page(request, 404)


def server_error(request):
    """What no view answered: Django calls this while it handles the exception, wherever that was raised."""
    error = sys.exception()
    if error is not None and is_unavailable(error):
        return unavailable_page(request, error)
    return fault_page(request, 500)
