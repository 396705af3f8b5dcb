"""
Who may open what in the console, and what they get: one row per page of each model, one per operation.

It speaks of addresses, answers and what was kept, not of how a page looks. A page or operation without a row fails.
"""

import csv

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts.models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from support_platform.models import AuditEvent
from support_platform.tests.console import address
from support_platform.tests.people import NOBODY, STRANGERS
from trading.models import Deployment, Order, Scanner, Strategy, Trade

MODELS = {
    "users": User,
    "strategies": Strategy,
    "deployments": Deployment,
    "trades": Trade,
    "orders": Order,
    "scanners": Scanner,
    "audit": AuditEvent,
    "staff": StaffAccount,
    "brokers": Broker,
    "sessions": ApiSession,
    "mails": OutgoingMail,
}
CALLERS = (
    *("no role", "Viewer", "Agent", "Supervisor"),
    *("foreign Agent", "foreign Supervisor", "free Agent", "superuser"),
)
# What each caller gets. door: the login page; home, list: sent there, as for a row that does not exist; page: a page
# instead of the change, such as the form again; ok: what was asked for. The first column stands for people.STRANGERS:
#        strangers, no role, Viewer, Agent, Supervisor, foreign Agent, foreign Supervisor, free Agent, superuser
ALL = "      door ok   ok   ok   ok   ok   ok   ok   ok"
VIEWERS = "  door 403  ok   ok   ok   ok   ok   ok   ok"
NONE = "     door 403  403  403  403  403  403  403  403"
ROOT = "     door 403  403  403  403  403  403  403  ok"
ROOT_HOME = "door 403  403  403  403  403  403  403  home"
HIDDEN = "   door 403  home home home home home home home"
VIEWED = {
    "own": " door 403  ok   ok   ok   home home ok   ok",
    "foreign": "door 403 home home home ok  ok   ok   ok",
    "nobody": HIDDEN,
}
BY_AGENT = {
    "own": " door 403  403  ok   ok   home home ok   ok",
    "foreign": "door 403 403 home home ok   ok   ok   ok",
    "nobody": "door 403 403  home home home home home home",
}
BY_SUPERVISOR = {
    "own": " door 403  403  403  ok   403  home 403  ok",
    "foreign": "door 403 403 403  home 403  ok   403  ok",
    "nobody": "door 403 403  403  home 403  home 403  home",
}
BY_NOBODY = dict.fromkeys(("own", "foreign"), NONE)
TRAIL = {
    "own": " door home home home ok   home home home ok",
    "foreign": "door home home home home home ok home ok",
    "self": "door ok   ok   ok   ok   ok   ok   ok   ok",
    "staff": "door home home home ok   home home home ok",
    "free staff": "door home home home home home home home ok",
    "nobody": "door home home home home home home home home",
}
STAFF_ARE_HIDDEN = dict.fromkeys(("peer", "superuser", "self", "gone"), HIDDEN)
STAFF_STAY = dict.fromkeys(("peer", "superuser", "self", "gone"), BY_AGENT["nobody"])
BY_ROOT = {"peer": ROOT, "superuser": ROOT, "trader": ROOT_HOME, "nobody": ROOT_HOME}

READ_ONLY = {
    "GET changelist": {"": VIEWERS},
    "GET add": {"": NONE},
    "POST add": {"": NONE},
    "GET change": VIEWED,
    "POST change": BY_NOBODY,
    "GET delete": BY_NOBODY,
    "POST delete": BY_NOBODY,
    "GET history": {"own": ALL, "foreign": ALL, "nobody": ALL},  # on to the trail, which shows what it may
}
SUPERUSERS_ONLY = {
    "GET changelist": {"": ROOT},
    "GET add": {"": NONE},
    "POST add": {"": NONE},
    "GET change": {"own": ROOT, "foreign": ROOT},
    "POST change": BY_NOBODY,
    "GET delete": BY_NOBODY,
    "POST delete": BY_NOBODY,
    "GET history": {"own": ALL},
}
PAGES = {
    "users": READ_ONLY | {"GET change": VIEWED | STAFF_ARE_HIDDEN, "POST change": BY_AGENT | STAFF_STAY},
    "strategies": READ_ONLY,
    "deployments": READ_ONLY | {"POST change": BY_AGENT},
    "trades": READ_ONLY | {"POST change": BY_SUPERVISOR},
    "orders": READ_ONLY,
    "scanners": READ_ONLY,
    "audit": READ_ONLY | {"GET changelist": {"": ALL}, "GET change": TRAIL},
    "staff": SUPERUSERS_ONLY
    | {
        "GET add": {"": ROOT},
        "POST add": {"": ROOT},
        "GET change": BY_ROOT | {"self": ROOT},
        "POST change": BY_ROOT | {"self": ROOT.replace("ok", "page")},  # nobody deactivates or demotes themselves
        "POST delete": dict.fromkeys(("peer", "superuser", "self", "trader"), NONE),
    },
    "brokers": SUPERUSERS_ONLY
    | {
        "GET add": {"": ROOT},
        "POST add": {"": ROOT},
        "POST change": {"own": ROOT, "foreign": ROOT, "nobody": ROOT_HOME},
    },
    "sessions": SUPERUSERS_ONLY,
    "mails": SUPERUSERS_ONLY,
}  # fmt: skip
OPERATIONS = {
    "users/reset_password": BY_AGENT | STAFF_STAY,
    "users/deactivate": BY_AGENT | STAFF_STAY,
    "users/activate": BY_AGENT | STAFF_STAY,
    "users/cancel_email_change": BY_AGENT | STAFF_STAY,
    "strategies/publish": BY_AGENT,
    "strategies/unpublish": BY_AGENT,
    "strategies/delete": BY_SUPERVISOR,
    "strategies/restore": BY_SUPERVISOR,
    "deployments/pause": BY_AGENT,
    "deployments/resume": BY_AGENT,
    "deployments/stop": BY_AGENT,
    "scanners/delete": BY_AGENT,
    "scanners/restore": BY_AGENT,
    "sessions/revoke": {"own": ROOT, "foreign": ROOT},
}
# Of the console as a whole: name -> (method, address, what each caller gets).
SITE = {
    "index": ("GET", "/admin/", ALL),
    "login": ("GET", "/admin/login/", "ok home home home home home home home home"),
    "logout": ("POST", "/admin/logout/", "home page page page page page page page page"),
    "password_change": ("GET", "/admin/password_change/", ALL),
    "password_change_done": ("GET", "/admin/password_change/done/", ALL),
    "jsi18n": ("GET", "/admin/jsi18n/", ALL),
    "app_list": ("GET", "/admin/accounts/", "door 404 ok ok ok ok ok ok ok"),
    "autocomplete": (
        "GET",
        "/admin/autocomplete/?app_label=trading&model_name=strategy&field_name=user&term=",
        VIEWERS,
    ),
    "unknown": ("GET", "/admin/no/such/page/", "door 404 404 404 404 404 404 404 404"),
}
CHANGES = {
    "users": {"phone": "+4915100000001"},
    "deployments": {"status": "stopped"},
    "trades": {"result": "99"},
    "brokers": {"name": "Another"},
    # Everything that makes an account another's: and its own is_active, is_superuser and role stay out of the form.
    "staff": {"email": "evil@desk.example", "password": "another long password", "is_active": "", "is_superuser": ""},
}
NEW = {
    "staff": {"email": "new@desk.example", "role": "Viewer", "password": "another long password"},
    "brokers": {"name": "Another"},
}


def line_of(text, target):
    """A line of a grid as {actor: what it gets}. To strangers all rows are alike: there one stands for all of them."""
    of_strangers, *of_staff = text.split()
    strangers = STRANGERS if target == "" else STRANGERS[:1]
    return dict.fromkeys(strangers, of_strangers) | dict(zip(CALLERS, of_staff, strict=True))


def outcome_of(answer):
    if answer.status_code == 302:
        where = answer["Location"].partition("?")[0]
        if where == reverse("admin:login"):
            return "door"
        return "home" if where == "/admin/" else "list" if where in LISTS else "ok"
    if answer.status_code == 200:
        return "page" if answer.wsgi_request.method == "POST" else "ok"
    return str(answer.status_code)


LISTS = {address(model) for model in MODELS.values()} - {address(AuditEvent)}
CELLS = {
    "page": [
        pytest.param(name, page, target, line_of(line, target), id=f"{name} {page} {target}")
        for name, pages in PAGES.items()
        for page, grid in pages.items()
        for target, line in grid.items()
    ],
    "operation": [
        pytest.param(path, target, line_of(line.replace("home", "list"), target), id=f"{path} {target}")
        for path, grid in OPERATIONS.items()
        for target, line in grid.items()
    ],
    "site": [pytest.param(*row[:2], line_of(row[2], ""), id=name) for name, row in SITE.items()],
}


# --- the tables name everything -----------------------------------------------------------------------
def test_every_page_and_operation_has_its_row():
    registered = admin.site._registry
    assert registered.keys() == set(MODELS.values())
    for name, model in MODELS.items():
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        views = {(url.name or "").removeprefix(prefix) for url in registered[model].get_urls()} - {""}
        assert views == {page.split()[1] for page in PAGES[name]} | {"operate"}
        operations = {path.split("/")[1] for path in OPERATIONS if path.startswith(f"{name}/")}
        assert operations == registered[model].operations.keys()


def test_every_page_of_the_console_has_its_row():
    of_models = [url.name for page in admin.site._registry.values() for url in page.get_urls()]
    names = {getattr(url, "name", None) for url in admin.site.get_urls()}

    assert names - set(of_models) - {None} == SITE.keys() - {"unknown"}


def test_the_table_is_large_enough():
    assert sum(len(cell.values[-1]) for cells in CELLS.values() for cell in cells) >= 600


# --- pages --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "page", "target", "line"), CELLS["page"])
def test_pages(name, page, target, line, world):
    method, view = page.split()
    data = {}
    if page == "POST change":
        data = {**form_of(name, target, world), **CHANGES.get(name, {}), "reason": "asked by phone"}
    elif page == "POST add":
        data = {**NEW.get(name, {}), "reason": "asked by phone"}
    elif page == "POST delete":
        data = {"post": "yes"}
    seen = {}
    for actor in line:
        args = [world.id_of(target, name, actor)] if target else []
        path = address(MODELS[name], view, *args)
        if page == "POST change" and target == "self":
            data = {**form_of(name, target, world, actor), **data}
        with world.moment():
            console = world.console(actor)
            answer = console.post(path, data) if method == "POST" else console.get(path)

            seen[actor] = outcome_of(answer)
            if method == "POST" and seen[actor] == "ok":
                changes, refused = world.told()
                assert ([event.actor_id for event in changes], refused) == ([world.people[actor].pk], []), actor
            else:
                is_attempt = method == "POST" and seen[actor] not in ("door", "page")
                world.assert_nothing_kept(attempts=1 if is_attempt else 0)
    assert seen == line


def form_of(name, target, world, actor="superuser"):
    """What the page's form would send, for a superuser, who sees all of it."""
    page = world.console("superuser").get(address(MODELS[name], "change", world.id_of(target, name, actor)))
    if page.status_code != 200 or not page.context["adminform"].form.fields:
        return {"version": 1}
    form = page.context["adminform"].form
    return {field: form[field].value() for field in form.fields if form[field].value() not in (None, False)}


@pytest.mark.parametrize(("method", "path", "line"), CELLS["site"])
def test_the_console_as_a_whole(method, path, line, world):
    seen = {}
    for actor in line:
        with world.moment():
            console = world.console(actor)
            seen[actor] = outcome_of(console.post(path) if method == "POST" else console.get(path))

            world.assert_nothing_kept()
    assert seen == line


# --- operations ---------------------------------------------------------------------------------------
def sent(path, rows):
    """What the page that asks why sends back."""
    seen = " ".join(f"{pk}:{version}" for pk, version in rows)
    return {"seen": seen, "reason": "asked by phone", "deployments": "leave"}


def versioned(path, target, world, actor):
    name, _, operation = path.partition("/")
    pk = world.id_of(target, path, actor)
    row = MODELS[name].objects.filter(pk=pk).first()
    return pk, getattr(row, "version", 0 if name == "sessions" else 1)


@pytest.mark.parametrize(("path", "target", "line"), CELLS["operation"])
def test_operations(path, target, line, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)
    seen = {}
    for actor in line:
        data = sent(path, [versioned(path, target, world, actor)])
        with world.moment():
            answer = world.console(actor).post(url, data)

            seen[actor] = outcome_of(answer)
            if seen[actor] == "ok":
                changes, refused = world.told()
                assert ([event.actor_id for event in changes], refused) == ([world.people[actor].pk], []), actor
            else:
                world.assert_nothing_kept(attempts=0 if seen[actor] == "door" else 1)
    assert seen == line


@pytest.mark.parametrize(
    ("path", "target", "line"), [c for c in CELLS["operation"] if c.values[1] in ("own", "foreign")]
)
def test_an_operation_is_offered_to_whom_it_is_allowed(path, target, line, world):
    """From the list's menu, and from the row's page: both ask why on a page first, and keep nothing yet."""
    line = {actor: "page" if line[actor] == "ok" else line[actor] for actor in CALLERS}
    name, _, operation = path.partition("/")
    pk = versioned(path, target, world, "superuser")[0]
    asked = {
        address(MODELS[name]): {"action": operation, "_selected_action": [pk], "index": "0"},
        address(MODELS[name], "operate", operation): {"id": pk},
    }
    for url, data in asked.items():
        seen = {}
        for actor in line:
            with world.moment():
                answer = world.console(actor).post(url, data)

                seen[actor] = outcome_of(answer)
                attempts = 1 if seen[actor] in ("403", "list") else 0
                if seen[actor] == "403" and url in LISTS and world.told()[1] == []:
                    attempts = 0  # refused the list itself
                world.assert_nothing_kept(attempts=attempts)
        assert seen == line


@pytest.mark.parametrize("path", OPERATIONS)
def test_of_several_rows_those_in_reach_are_changed_and_the_others_are_refused(path, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)
    targets = [target for target in OPERATIONS[path] if target != "self"]
    lines = {target: line_of(OPERATIONS[path][target], "") for target in targets}
    rows = [versioned(path, target, world, "superuser") for target in targets]
    for actor in CALLERS:
        with world.moment():
            answer = world.console(actor).post(url, sent(path, rows))

            changes, refused = world.told()
            allowed = [target for target in targets if lines[target][actor] == "ok"]
            assert len(changes) == len(allowed), actor
            assert len(refused) == len(targets) - len(allowed), actor
            assert (answer.status_code == 403) == (lines["own"][actor] == lines["foreign"][actor] == "403")
            if not changes:
                world.assert_nothing_kept(attempts=len(targets))


@pytest.mark.parametrize("path", OPERATIONS)
def test_an_operation_takes_a_post(path, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)

    assert outcome_of(world.console("anonymous").get(url)) == "door"
    assert outcome_of(world.console("superuser").get(url)) == "405"
    world.assert_nothing_kept()


# --- exports, autocomplete ----------------------------------------------------------------------------
def permitted(world, actor, rows):
    broker = world.people[actor].broker
    return {str(row.pk) for row in rows if broker in (None, getattr(row, "user", row).broker)}


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in ("audit", "staff", "brokers", "sessions", "mails")]
)
def test_an_export_holds_exactly_the_rows_in_reach(name, world):
    model = MODELS[name]
    rows = model.objects.filter(is_staff=False) if name == "users" else model.objects.all()
    for actor in CALLERS:
        for across, chosen in (("1", [NOBODY]), ("0", [row.pk for row in rows])):
            data = {"action": "export_csv", "select_across": across, "_selected_action": chosen, "index": "0"}
            with world.moment():
                answer = world.console(actor).post(address(model), data)

                if actor == "no role":
                    assert answer.status_code == 403
                    world.assert_nothing_kept()
                    continue
                lines = csv.DictReader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines())
                assert {line["id"] for line in lines} == permitted(world, actor, rows), actor
                assert [event.actor_id for event in world.told()[0]] == [world.people[actor].pk]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("app_label=trading&model_name=strategy&field_name=user", "users"),
        ("app_label=trading&model_name=deployment&field_name=strategy", "strategies"),
        ("app_label=trading&model_name=trade&field_name=deployment", "deployments"),
        ("app_label=trading&model_name=order&field_name=trade", "trades"),
        ("app_label=accounts&model_name=user&field_name=broker", None),
    ],
)
def test_autocomplete_finds_exactly_the_rows_in_reach(field, name, world):
    for actor in CALLERS:
        answer = world.console(actor).get(f"/admin/autocomplete/?{field}&term=")

        if actor == "no role" or (name is None and actor != "superuser"):
            assert answer.status_code == 403, actor
        elif name:
            rows = MODELS[name].objects.all() if name != "users" else User.objects.filter(is_staff=False)
            assert {row["id"] for row in answer.json()["results"]} == permitted(world, actor, rows), actor
    world.assert_nothing_kept()


def test_a_filter_by_a_foreign_row_is_answered_as_one_by_no_row(world):
    for name, parameter, target in (
        ("strategies", "user", "users"),
        ("deployments", "user", "users"),
        ("deployments", "strategy", "strategies"),
        ("trades", "user", "users"),
        ("trades", "strategy", "strategies"),
        ("trades", "deployment", "deployments"),
        ("orders", "trade", "trades"),
        ("scanners", "user", "users"),
    ):
        for actor in ("Viewer", "Supervisor"):
            console, url = world.console(actor), address(MODELS[name])
            answers = [console.get(f"{url}?{parameter}={world.id_of(where, target, actor)}") for where in WHERE]
            assert [answer.status_code for answer in answers] == [200, 404, 404], (actor, name, parameter)


WHERE = ("own", "foreign", "nobody")
