"""
The hostile corpus of the console, made from what is registered in it: every list with its filters, every form with its
fields. What is refused is a page that says so, and nothing is kept.
"""

from urllib.parse import urlencode

import pytest
from django import forms
from django.contrib import admin
from django.db import models, transaction

from accounts.models import ApiSession, OutgoingMail, StaffAccount, User
from accounts.tests.browser import link_in, mails_to
from support_platform import audit_chain
from support_platform.console.forms import InstantField, NumberField
from support_platform.console.lists import parameters_of
from support_platform.console.panels import comes_later, panels_of
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, form_fields
from support_platform.tests.test_console_lists import rows_of

from . import values
from .kept import kept

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
ABOUT_TEXT = ("actor", "action", "subject_type")
# A form takes the spaces around a value away before it looks.
TRIMMED = ("space before", "space after", "line break after", "space", "tab")
NO_NUMBER = {
    **{value: value for value in ("NaN", "Infinity", "1e999999", "1e-999999", "0x1", "1.5", "abc", "-1", "0", "[]")},
    "2^63": str(2**63),
    "30 digits": values.DIGITS_30,
    "5,000 digits": "9" * 5000,
    "superscript digit": "\u00b2",
}
# Neither text nor anything else; spaces alone are an empty search.
NO_TEXT = {name: value for name, value in values.NO_TEXT.items() if name not in TRIMMED}
NO_DAY = {
    "no such day": "2026-02-30",
    "year 0": "0000-01-01",
    "slashes": "2026/01/31",
    "two digits": "26-01-31",
    "Arabic digits": "\u0662\u0660\u0662\u0666-01-31",
    "a time without a zone": "2026-01-31T09:30:00",
}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console(superuser, unlimited):
    return Console(superuser.user)


def count(record_property, kind, faults, tried):
    record_property(f"hostile console cases: {kind}", tried)
    assert tried
    assert not faults, f"{len(faults)} faults in {tried} cases:\n" + "\n".join(faults)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_refuses_it(model, console, trader, record_property):
    rows_of(trader)
    before, faults, tried = kept(), [], 0

    for query, told in queries(model, admin.site._registry[model]):
        answer = console.client.get(address(model), QUERY_STRING=query)
        tried += 1
        page = answer.content.decode()
        if answer.status_code not in (400, 404) or "Traceback" in page or "alert(1)<" in page:
            faults.append(f"{told}: {answer.status_code} {page[:200] if answer.status_code != 200 else ''}")

    assert kept() == before
    count(record_property, "lists", faults, tried)


def queries(model, page):
    """(query string, what it is) that the list of a model refuses."""
    for name, value in {"NUL": "%00", "not UTF-8": "%FF", "surrogate": "%ED%A0%80", "overlong": "%C0%80"}.items():
        yield f"q={value}", f"q is {name}"
    for parameter, refused in {
        "q": NO_TEXT,
        "p": values.NO_VALUE | NO_NUMBER,
        "o": values.NO_VALUE | {"word": "abc", "500 columns": ".".join("1" * 500)},
        **{name: _refused_by(name) for item in page.list_filter for name in parameters_of(item)},
    }.items():
        for name, value in refused.items():
            yield urlencode({parameter: value}), f"{parameter} is {name}"
        yield urlencode([(parameter, "1"), (parameter, "1")]), f"{parameter} twice"
    for field in [*model._meta.get_fields(), User._meta.get_field("password")]:
        for lookup in ("", "__exact", "__startswith", "__gt", "__in", "__isnull", "__regex", "__password__startswith"):
            name = f"{field.name}{lookup}"
            if name not in page.list_parameters():
                yield urlencode({name: "1"}), f"lookup {name}"
    for name in ("_facets", "_popup", "_to_field", "_changelist_filters", "e", "all", "pk", "id__in", "nonsense"):
        yield urlencode({name: "1"}), f"parameter {name}"


def _refused_by(parameter):
    if parameter in ABOUT_TEXT:
        return NO_TEXT
    if parameter.endswith(("_after", "_before")):
        return {name: value for name, value in (NO_DAY | values.NO_INSTANT).items() if name != "a date"}
    return {name: value for name, value in (values.NO_VALUE | NO_NUMBER).items() if value.strip()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_has_one_address(model, console, trader, record_property):
    rows_of(trader)
    before, faults, tried = kept(), [], 0

    for name, value in values.PATH_IDS.items():
        for method, page in (("GET", "change/"), ("POST", "change/"), ("GET", "history/"), ("POST", "delete/")):
            answer = console.client.generic(method, f"{address(model)}{value}/{page}")
            tried += 1
            found_nothing = answer.status_code in (400, 403, 404) or (
                answer.status_code == 302 and answer["Location"].startswith("/admin/")
            )
            if not found_nothing or "Traceback" in answer.content.decode():
                faults.append(f"{method} {name} {page}: {answer.status_code}")

    assert kept() == before
    count(record_property, "ids", faults, tried)


DIALOGS = [
    pytest.param(model, name, id=f"{model._meta.label}.{name}")
    for model in MODELS
    for name in admin.site._registry[model].operations
]


@pytest.mark.parametrize(("model", "name"), DIALOGS)
def test_every_dialog_refuses_it(model, name, console, superuser, agent, trader, record_property):
    row = next(row for row in every_row(trader, agent.user, superuser.user) if type(row) is model)
    url = address(model, "operate", name)
    asked = console.client.post(url, {"id": row.pk})
    good = {**form_fields(asked), "reason": "asked by phone"}
    before, faults, tried = kept(), [], 0

    for step in ("preview", "confirm"):
        for field, widget in asked.context["form"].fields.items():
            for told, value in refused_by(field, widget).items():
                answer = console.client.post(url, {**good, field: value, "step": step})
                tried += 1
                is_shown_again = answer.status_code == 200 and answer.context["form"].errors
                if not (is_shown_again or answer.status_code == 400):
                    faults.append(f"{step}: {field} is {told}: {answer.status_code}")

    assert kept() == before
    assert form_fields(console.client.post(url, {"id": row.pk})).keys() <= good.keys()
    count(record_property, "dialogs", faults, tried)


def every_row(trader, staff, person):
    session = ApiSession.objects.filter(user=staff).first()
    return [trader.broker, *rows_of(trader), StaffAccount.objects.get(pk=staff.pk), session, stored_event(person)]


def refused_by(name, field):
    if name == "seen":
        return {"nothing": "", "word": "abc", "NUL": "1:1\x00", "no version": "1", "30 digits": "9" * 30 + ":1"}
    if name == "shown":
        return {"20,001 characters": "x" * 20_001, "NUL": "\x00"}
    if isinstance(field, NumberField):
        refused = values.NO_DECIMAL | {"NUL": "\x00", "emoji": "\U0001f600"}
    elif isinstance(field, InstantField):
        refused = values.NO_INSTANT | values.NO_VALUE
    elif isinstance(field, forms.IntegerField):
        refused = NO_NUMBER
    elif isinstance(field, forms.ChoiceField):
        refused = values.NO_CHOICE | values.NO_VALUE
    elif isinstance(field, forms.BooleanField):
        refused = {}
    elif name == "email":
        refused = values.NO_EMAIL
    elif name == "password":
        refused = {
            "1 character": "x",
            "1,001 characters": "x" * 1001,
            "NUL": "long and good\x00",
            "common": "password1",
        }
    elif name == "phone":
        refused = values.NO_PHONE
    else:
        refused = NO_TEXT | {"NUL": "a\x00b"}
    return {told: value for told, value in refused.items() if value.strip() and told not in TRIMMED}


def test_a_script_stored_in_any_text_is_escaped_on_every_page(console, superuser, trader, agent):
    """Written past every check, into every column that takes text."""
    asked = agent.post(f"users/{trader.pk}/password-reset/")
    agent.patch(f"users/{trader.pk}/", {"email": "new@elsewhere.example"})
    links = [link_in(mails_to(trader.email)[0]), link_in(mails_to("new@elsewhere.example")[-1])]
    rows = [trader.broker, *rows_of(trader), *ApiSession.objects.all(), *OutgoingMail.objects.all()]
    rows += [
        stored_event(superuser.user),
        StaffAccount.objects.get(pk=agent.user.pk),
    ]
    assert asked.status_code == 202
    for row in rows:
        if type(row) is not AuditEvent:
            model = User if isinstance(row, User) else type(row)
            model.objects.filter(pk=row.pk).update(**spoiled(model, row))
    pages = ["/admin/"]
    for row in rows:
        pages += [address(type(row)), address(type(row), "change", row.pk)]
        pages += [] if isinstance(row, ApiSession) else [address(type(row), "history", row.pk)]
        pages += [address(User, "timeline", row.pk)] if type(row) is User else []
        later = [panel for panel in panels_of(row._meta.label_lower) if comes_later(row._meta.label_lower, panel)]
        pages += [address(type(row), panel.name, row.pk) for panel in later]

    shown = {path: console.client.get(path, follow=True) for path in pages}
    for link in links:
        path = link[link.index("/account/") :]
        shown[path] = console.client.get(path, follow=True)

    for path, answer in shown.items():
        html = answer.content.decode()
        assert answer.status_code == 200, (path, answer.status_code, html[:300])
        assert "<script>alert" not in html, path
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        # The trader's own pages run no script at all.
        assert "script-src 'self'" in policy if path.startswith("/admin/") else "script-src" not in policy
    assert sum("&lt;script&gt;" in answer.content.decode() for answer in shown.values()) > len(rows)


@transaction.atomic
def stored_event(row):
    return audit_chain.append(**spoiled(AuditEvent, row))


def spoiled(model, row):
    """{column: the script} of all columns that take any text, and what else a new row needs."""
    found = {"source": "api"} if model is AuditEvent else {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.JSONField):
            found[field.name] = {SCRIPT: [SCRIPT, SCRIPT]}
        elif type(field) in (models.CharField, models.TextField) and not field.choices and not _is_kept(field):
            found[field.name] = f"{SCRIPT}{row.pk}"[: field.max_length]
    return found


def _is_kept(field):
    """Secrets and nonces, which no page shows and without which no link works; and columns too short for the script."""
    return (
        field.name in ("password", "reset_nonce", "email_nonce", "nonce", "refresh_id", "seal") or field.max_length < 30
    )
