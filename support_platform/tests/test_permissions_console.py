"""
Who may open what in the console, and what they get: one row per page of each model, and behind it a grid of callers
by targets.

It speaks of addresses, answers and what was kept, not of how a page looks. A page without a row fails. Operations on
chosen rows, exports and searches: test_permissions_operations.
"""

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts.models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from support_platform.models import AuditEvent
from support_platform.tests.console import address
from support_platform.tests.people import STRANGERS, grid
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
#   strangers, no role, Viewer, Agent, Supervisor, foreign Agent, foreign Supervisor, free Agent, superuser
ALL = grid("-       door ok   ok   ok   ok    ok   ok   ok   ok")
VIEWERS = grid("-   door 403  ok   ok   ok    ok   ok   ok   ok")
ROOT = grid("-      door 403  403  403  403   403  403  403  ok")
NONE = grid("-      door 403  403  403  403   403  403  403  403")
VIEWED = grid("""
    own        door 403  ok   ok   ok    home home ok   ok
    foreign    door 403  home home home  ok   ok   ok   ok
    nobody     door 403  home home home  home home home home
""")
BY_AGENT = grid("""
    own        door 403  403  ok   ok    home home ok   ok
    foreign    door 403  403  home home  ok   ok   ok   ok
    nobody     door 403  403  home home  home home home home
""")
BY_SUPERVISOR = grid("""
    own        door 403  403  403  ok    403  home 403  ok
    foreign    door 403  403  403  home  403  ok   403  ok
    nobody     door 403  403  403  home  403  home 403  home
""")
BY_NOBODY = dict.fromkeys(("own", "foreign"), NONE[""])
TRAIL = grid("""
    own        door home home home ok    home home home ok
    foreign    door home home home home  home ok   home ok
    self       door ok   ok   ok   ok    ok   ok   ok   ok
    staff      door home home home ok    home home home ok
    free-staff door home home home home  home home home ok
    nobody     door home home home home  home home home home
""")
STAFF_ARE_HIDDEN = dict.fromkeys(("peer", "superuser", "self", "gone"), VIEWED["nobody"])
STAFF_STAY = dict.fromkeys(("peer", "superuser", "self"), BY_AGENT["nobody"])
STAFF_SEEN = grid("""
    peer       door 403  403  403  403   403  403  403  ok
    superuser  door 403  403  403  403   403  403  403  ok
    self       door 403  403  403  403   403  403  403  ok
    trader     door 403  403  403  403   403  403  403  home
    nobody     door 403  403  403  403   403  403  403  home
""")
BY_ROOT = grid("""
    own        door 403  403  403  403   403  403  403  ok
    foreign    door 403  403  403  403   403  403  403  ok
""")

READ_ONLY = {
    "GET changelist": VIEWERS,
    "GET add": NONE,
    "POST add": NONE,
    "GET change": VIEWED,
    "POST change": BY_NOBODY,  # rows change by operations only: test_permissions_operations
    "GET delete": BY_NOBODY,
    "POST delete": BY_NOBODY,
    "GET history": dict.fromkeys(("own", "foreign", "nobody"), ALL[""]),  # on to the trail, which shows what it may
}
SUPERUSERS_ONLY = {
    "GET changelist": ROOT,
    "GET add": NONE,
    "POST add": NONE,
    "GET change": BY_ROOT,
    "POST change": BY_NOBODY,
    "GET delete": BY_NOBODY,
    "POST delete": BY_NOBODY,
    "GET history": {"own": ALL[""]},
}
FIGURES = dict.fromkeys(("GET performance", "GET latency", "GET slippage"), VIEWED)
PAGES = {
    "users": READ_ONLY
    | {
        "GET change": VIEWED | STAFF_ARE_HIDDEN,
        "POST change": dict.fromkeys(("own", "foreign", "nobody", "peer", "superuser", "self"), NONE[""]),
        **dict.fromkeys(("GET timeline", "GET performance", "GET latency", "GET slippage"), VIEWED | STAFF_ARE_HIDDEN),
    },
    "strategies": READ_ONLY | FIGURES,
    "deployments": READ_ONLY | FIGURES,
    "trades": READ_ONLY,
    "orders": READ_ONLY,
    "scanners": READ_ONLY,
    "audit": READ_ONLY | {"GET changelist": ALL, "GET change": TRAIL},
    "staff": SUPERUSERS_ONLY
    | {
        "GET add": ROOT,
        "POST add": ROOT,
        "GET change": STAFF_SEEN,
        "POST change": dict.fromkeys(("peer", "superuser", "self", "trader", "nobody"), NONE[""]),
        "POST delete": dict.fromkeys(("peer", "superuser", "self", "trader"), NONE[""]),
    },
    "brokers": SUPERUSERS_ONLY
    | {
        "GET add": ROOT,
        "POST add": ROOT,
        "POST change": dict.fromkeys(("own", "foreign", "nobody"), NONE[""]),
    },
    "sessions": SUPERUSERS_ONLY,
    "mails": READ_ONLY,
}
# Of the console as a whole: name -> (method, address, what each caller gets).
SITE = {
    "index": ("GET", "/admin/", ALL[""]),
    "login": ("GET", "/admin/login/", "ok home home home home home home home home"),
    "login_code": ("GET", "/admin/login/code/", "door door door door door door door door door"),  # no password yet
    "second_factor": ("GET", "/admin/second_factor/", ALL[""]),
    "own_sessions": ("GET", "/admin/sessions/", ALL[""]),
    "logout": ("POST", "/admin/logout/", "home page page page page page page page page"),
    "password_change": ("GET", "/admin/password_change/", ALL[""]),
    "password_change_done": ("GET", "/admin/password_change/done/", ALL[""]),
    "jsi18n": ("GET", "/admin/jsi18n/", ALL[""]),
    "app_list": ("GET", "/admin/accounts/", "door 404 ok ok ok ok ok ok ok"),
    "autocomplete": (
        "GET",
        "/admin/autocomplete/?app_label=trading&model_name=strategy&field_name=user&term=",
        VIEWERS[""],
    ),
    "search": ("GET", "/admin/search/?s=x", ALL[""]),
    "unknown": ("GET", "/admin/no/such/page/", "door 404 404 404 404 404 404 404 404"),
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
CELLS = [
    pytest.param(name, page, target, line_of(line, target), id=f"{name} {page} {target}")
    for name, pages in PAGES.items()
    for page, targets in pages.items()
    for target, line in targets.items()
]


def test_every_page_of_a_model_has_its_row():
    assert admin.site._registry.keys() == set(MODELS.values())
    for name, model in MODELS.items():
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        views = {(url.name or "").removeprefix(prefix) for url in admin.site._registry[model].get_urls()} - {""}
        assert views == {page.split()[1] for page in PAGES[name]} | {"operate"}  # test_permissions_operations


def test_every_page_of_the_console_has_its_row():
    of_models = [url.name for page in admin.site._registry.values() for url in page.get_urls()]
    names = {getattr(url, "name", None) for url in admin.site.get_urls()}

    assert names - set(of_models) - {None} == SITE.keys() - {"unknown"}


def test_the_table_is_large_enough():
    assert sum(len(cell.values[-1]) for cell in CELLS) >= 600


@pytest.mark.parametrize(("name", "page", "target", "line"), CELLS)
def test_pages(name, page, target, line, world):
    method, view = page.split()
    data = {}
    if page == "POST change":
        data = {"phone": "+4915100000001", "status": "stopped", "version": 1, "reason": "asked by phone"}
    elif page == "POST add":
        data = {**NEW.get(name, {}), "reason": "asked by phone"}
    elif page == "POST delete":
        data = {"post": "yes"}
    seen = {}
    for actor in line:
        args = [world.id_of(target, name, actor)] if target else []
        path = address(MODELS[name], view, *args)
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


@pytest.mark.parametrize("name", SITE)
def test_the_console_as_a_whole(name, world):
    method, path, line = SITE[name]
    line, seen = line_of(line, ""), {}
    for actor in line:
        with world.moment():
            console = world.console(actor)
            seen[actor] = outcome_of(console.post(path) if method == "POST" else console.get(path))

            world.assert_nothing_kept()
    assert seen == line
