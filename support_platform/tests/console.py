"""How the tests use the console: a browser of a signed-in person, and the console's addresses."""

import re
from html import unescape

from django.test import Client, TestCase
from django.urls import reverse

from support_platform.audit import Actor

COLLEAGUE = Actor(name="colleague@desk.example")


def address(subject, view="changelist", *args):
    """Of a model's list, or of a row's page."""
    if not isinstance(subject, type) and view == "changelist":
        view, args = "change", (subject.pk,)
    return reverse(f"admin:{subject._meta.app_label}_{subject._meta.model_name}_{view}", args=args)


class Console:
    """A person's browser with the console open. What is to happen on commit happens after each request."""

    def __init__(self, user=None):
        self.user = user
        self.client = Client(raise_request_exception=True)
        if user is not None:
            self.client.force_login(user)

    def get(self, path, **query):
        return self.client.get(path, query_params=query or None)

    def post(self, path, data=None, *, follow=False, **query):
        with TestCase.captureOnCommitCallbacks(execute=True):
            return self.client.post(path, data or {}, follow=follow, query_params=query or None)

    def page(self, row):
        return self.get(address(row))

    def fields(self, row):
        """What the form on a row's page would send back unchanged."""
        return form_fields(self.page(row))

    def save(self, row, **values):
        """Open the row's page, change some fields, give a reason, save."""
        return self.post(address(row), {**self.fields(row), "reason": "asked by phone", **values}, follow=True)

    def choose(self, model, name, rows):
        """Choose rows in the list and an action from its menu."""
        chosen = [getattr(row, "pk", row) for row in rows]
        return self.post(address(model), {"action": name, "_selected_action": chosen, "index": "0"})

    def operate(self, model, name, rows, *, reason="asked by phone", **values):
        """The same, and answer the page that asks why."""
        asked = self.choose(model, name, rows)
        if asked.status_code != 200:
            return asked
        data = {"seen": asked.context["form"].initial["seen"], "reason": reason, **values}
        return self.post(address(model, "operate", name), data, follow=True)


def form_fields(response):
    form = response.context["adminform"].form
    return {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}


def text_of(response):
    """The words of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def messages_of(response):
    return [str(message) for message in response.context["messages"]]
