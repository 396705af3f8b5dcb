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

    def ask(self, row, name=None):
        """Press a button on a row's page; without a name the one that changes its values."""
        return self.post(edit_address(row, name), {"id": row.pk})

    def fields(self, row):
        """What the dialog that changes a row's values would send back unchanged."""
        return form_fields(self.ask(row))

    def save(self, row, *, steps=("preview", "confirm"), **values):
        """Open that dialog, change some fields, give a reason, look at the preview, confirm."""
        return self.send(row, {**self.fields(row), "reason": "asked by phone", **values}, steps=steps)

    def send(self, row, data, *, steps=("preview", "confirm")):
        """Answer that dialog: preview, confirm."""
        for step in steps:
            answer = self.post(edit_address(row), {**data, "step": step}, follow=True)
        return answer

    def choose(self, model, name, rows):
        """Choose rows in the list and an action from its menu."""
        chosen = [getattr(row, "pk", row) for row in rows]
        return self.post(address(model), {"action": name, "_selected_action": chosen, "index": "0"})

    def operate(self, model, name, rows, *, reason="asked by phone", steps=("preview", "confirm"), **values):
        """The same, and answer the page that asks why, look at the preview, confirm."""
        asked = self.choose(model, name, rows)
        if asked.status_code != 200:
            return asked
        data = {"seen": asked.context["form"].initial["seen"], "reason": reason, **values}
        for step in steps:
            answer = self.post(address(model, "operate", name), {**data, "step": step}, follow=True)
        return answer


# The operation that changes the values of a row, by its model.
EDITS = {
    "user": "change_contact",
    "deployment": "change",
    "trade": "correct",
    "staffaccount": "change",
    "broker": "change",
}


def edit_address(row, name=None):
    return address(type(row), "operate", name or EDITS[row._meta.model_name])


def form_fields(response):
    form = response.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}


def told(response):
    """What a page says became of a change: the receipt's outcome, or why nothing was done, or the site's messages."""
    if response.context is None:
        return []
    if "outcomes" in response.context:
        return [outcome.text for outcome, _ in response.context["outcomes"]]
    form = response.context.get("form")
    errors = [str(error) for errors in form.errors.values() for error in errors] if form is not None else []
    return errors or messages_of(response)


def text_of(response):
    """The words of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def messages_of(response):
    return [str(message) for message in response.context["messages"]]
