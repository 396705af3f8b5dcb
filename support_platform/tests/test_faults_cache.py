"""
What works while the cache is away: what signed-in staff read, with each process's share of the limit. What may do
harm uncounted does not: logins, resets, writes, here as in the console.
"""

import socket
import threading
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from redis import exceptions as redis
from rest_framework.exceptions import Throttled
from rest_framework.test import APIRequestFactory

from accounts.models import User
from accounts.tests.factories import PASSWORD, SecondFactorFactory, TraderFactory
from support_platform import throttling
from support_platform.exceptions import Unavailable
from support_platform.tests.calls import all_calls, assert_problem
from support_platform.tests.console import Console, address, text_of, told
from support_platform.tests.test_permissions import body_of
from support_platform.tests.test_throttling import figures

CALLS = [pytest.param(call, id=str(call)) for call in all_calls() if not call.path.startswith("auth/")]


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(throttling, "_shared", throttling.Cache())
    monkeypatch.setattr(throttling, "_own", throttling.OwnCounters())


@pytest.fixture
def now(monkeypatch):
    """The time, which tests set: `now.at` in seconds."""
    clock = SimpleNamespace(at=1_800_000_000)
    clock.time = clock.monotonic = lambda: clock.at
    monkeypatch.setattr(throttling, "time", clock)
    monkeypatch.setattr("django_ratelimit.core.time", clock)
    return clock


@pytest.fixture
def limit(settings):
    def set_limit(bucket, *rates):
        settings.RATE_LIMITS = {
            **settings.RATE_LIMITS,
            bucket: dict.fromkeys(settings.RATE_LIMITS[bucket], list(rates)),
        }

    return set_limit


def redis_at(settings, port):
    options = {**settings.CACHES["default"].get("OPTIONS", {}), "socket_connect_timeout": 0.1, "socket_timeout": 0.1}
    options.pop("MAX_ENTRIES", None)
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}/0", "OPTIONS": options}}


@pytest.fixture(params=["refuses", "hangs"])
def down(request, settings):
    """Call it to take the cache away: nobody listens at its port, or whoever listens never answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if request.param == "hangs":
            taken.listen()
        yield lambda: redis_at(settings, taken.getsockname()[1])


@pytest.fixture
def failing(monkeypatch):
    """Make the cache fail with this error; gives the list of times it was asked."""

    def fail_with(error):
        asked = []

        def get_usage(*args, **kwargs):
            asked.append(1)
            raise error

        monkeypatch.setattr(throttling, "get_usage", get_usage)
        return asked

    return fail_with


# --- the API ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call", CALLS)
def test_reads_are_served_and_writes_are_not(superuser, samples, down, call, events, mailoutbox):
    down()
    query = {"user": samples["users"].pk} if call.path.startswith("analytics/") else {}

    if call.method == "GET":
        answer = superuser.get(call.address(samples), **query)
        assert answer.status_code == 200, answer.content
        bucket = "analytics" if query else "read"
        assert figures(answer)[0][0] == bucket
    else:
        answer = superuser.call(call.method, call.address(samples), body_of(call))
        assert_problem(answer, 503, code="unavailable")
        assert int(answer["Retry-After"]) >= 1
    assert events() == []
    assert mailoutbox == []


def test_nobody_logs_in_and_no_password_is_looked_at(agent, down, monkeypatch):
    monkeypatch.setattr("accounts.views.authenticate", lambda *args, **kwargs: pytest.fail("looked at the password"))
    down()

    assert_problem(agent.post("auth/token/", {"email": agent.user.email, "password": PASSWORD}), 503)


def test_a_stranger_is_told_what_is_always_told(anonymous, down):
    down()

    assert_problem(anonymous.get("users/"), 401)
    assert_problem(anonymous.post("auth/token/refresh/", {"refresh": "x"}), 401)


@pytest.mark.parametrize(("workers", "share"), [(1, 7), (2, 4), (4, 2), (7, 1), (16, 1)])
def test_each_process_serves_its_share_rounded_up(viewer, down, limit, settings, now, workers, share):
    limit("read", "7/m")
    settings.WORKERS = workers
    down()

    answers = [viewer.get("users/") for _ in range(share + 2)]

    assert [answer.status_code for answer in answers] == [200] * share + [429] * 2
    assert figures(answers[0]) == (("read", share, 60), ("read", share - 1, figures(answers[0])[1][2]))
    assert answers[-1]["Retry-After"] == str(figures(answers[-1])[1][2])
    now.at += int(answers[-1]["Retry-After"])
    assert viewer.get("users/").status_code == 200


def test_of_many_at_once_exactly_the_share_is_accepted(down, limit, settings):
    limit("read", "100/m")
    settings.WORKERS = 4
    down()
    together, outcomes = threading.Barrier(64), []

    def call():
        request = APIRequestFactory().get("/")
        together.wait()
        try:
            throttling.count(request, "read", "staff user", 1)
            outcomes.append("accepted")
        except Throttled:
            outcomes.append("refused")

    threads = [threading.Thread(target=call) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (outcomes.count("accepted"), outcomes.count("refused")) == (25, 39)


def test_staff_are_counted_apart_and_windows_end(viewer, agent, down, limit, now):
    limit("read", "1/m")
    down()

    assert [api.get("limits/").status_code for api in (viewer, agent, viewer)] == [200, 200, 429]
    now.at += 60
    assert viewer.get("limits/").status_code == 200
    assert len(throttling._own._counts) == 1  # what is over is not kept


def test_limits_tells_what_is_open_and_what_is_not_known(viewer, down):
    down()

    rows = viewer.get("limits/").json()["limits"]

    assert [(row["bucket"], row["remaining"]) for row in rows] == [
        ("read", 599),
        ("write", None),
        ("analytics", 120),
        ("login", None),
        ("login", None),
        ("login", None),
        ("second_factor", None),
        ("second_factor", None),
        ("reset", None),
        ("reset", None),
    ]


# --- how it fails -----------------------------------------------------------------------------------------
ERRORS = {
    "refused": redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379"),
    "timeout": redis.TimeoutError("Timeout reading from 10.0.0.1:6379"),
    "loading": redis.BusyLoadingError("LOADING Redis is loading the dataset in memory"),
    "wrong password": redis.AuthenticationError("WRONGPASS"),
    "read-only": redis.ReadOnlyError("READONLY You can't write against a read only replica."),
    "out of memory": redis.OutOfMemoryError("OOM command not allowed when used memory > 'maxmemory'."),
    "busy": redis.ResponseError("BUSY Redis is busy running a script."),
    "cannot save": redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    "wrong type": redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    "no integer": redis.ResponseError("value is not an integer or out of range"),
    "no route": OSError("no route to host"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_however_it_fails_the_same_holds(agent, trader, failing, error, caplog):
    failing(error)

    read, written = agent.get("limits/"), agent.patch(f"users/{trader.pk}/", {"phone": None})

    assert read.status_code == 200
    assert_problem(written, 503)
    assert b"10.0.0.1" not in written.content
    assert "10.0.0.1" not in caplog.text


@pytest.mark.parametrize("junk", ["junk", 1.5, None, b"\x00", [1]], ids=repr)
def test_a_counter_that_holds_something_else_is_not_believed(agent, trader, monkeypatch, junk):
    monkeypatch.setattr("django_ratelimit.core._make_cache_key", lambda *args: "counter")
    cache.set("counter", junk)

    assert agent.get("limits/").status_code == 200
    assert_problem(agent.patch(f"users/{trader.pk}/", {"phone": None}), 503)


@pytest.mark.parametrize("kind", ["refused", "timeout", "loading"])
def test_while_it_is_away_one_request_a_second_asks_it(viewer, failing, now, kind):
    asked = failing(ERRORS[kind])

    counts = []
    for seconds in (0, 0.5, 0.4, 0.2, 0.5, 0.6):
        now.at += seconds
        assert viewer.get("users/").status_code == 200
        counts.append(len(asked))

    assert counts == [1, 1, 1, 2, 2, 3]


def test_of_several_requests_one_tries_whether_it_is_back(failing, now):
    asked = failing(ERRORS["timeout"])
    with pytest.raises(Unavailable):
        throttling.count(APIRequestFactory().get("/"), "write", "staff user", 1)
    now.at += 1.1

    allowed = [throttling._shared._may_be_asked() for _ in range(8)]

    assert asked == [1]
    assert allowed == [True] + [False] * 7


def test_one_broken_counter_leaves_the_others_alone(agent, viewer, trader, failing, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(throttling, "get_usage", lambda *args, **kwargs: (_ for _ in ()).throw(ERRORS["no integer"]))
        assert_problem(agent.patch(f"users/{trader.pk}/", {"phone": None}), 503)

    assert agent.patch(f"users/{trader.pk}/", {"phone": None}).status_code == 200


def test_a_cache_that_comes_back_is_used_again(agent, trader, limit, now, monkeypatch):
    limit("write", "2/m")
    change = {"phone": "+4915112345678"}
    assert agent.patch(f"users/{trader.pk}/", change).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(throttling, "get_usage", lambda *args, **kwargs: (_ for _ in ()).throw(ERRORS["refused"]))
        assert_problem(agent.patch(f"users/{trader.pk}/", change), 503)
    now.at += 1

    answers = [agent.patch(f"users/{trader.pk}/", change) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]  # what was counted before still counts


# --- the console ------------------------------------------------------------------------------------------
@pytest.fixture
def console(agent):
    return Console(agent.user)


def test_the_console_is_read_without_the_cache(console, agent, trader, down):
    down()

    assert console.get("/admin/").status_code == 200
    assert console.get(address(User)).status_code == 200
    assert console.page(trader).status_code == 200
    assert console.choose(User, "export_csv", [trader]).status_code == 200
    assert console.choose(User, "deactivate", [trader]).status_code == 200
    assert console.post("/admin/logout/").status_code == 200


def test_the_console_changes_nothing_without_the_cache(console, trader, events, monkeypatch, down):
    values = {**console.fields(trader), "reason": "asked", "phone": "+4915112345678"}
    chosen = {"seen": f"{trader.pk}:{trader.version}", "reason": "asked", "deployments": "leave"}
    guess = {"old_password": PASSWORD, "new_password1": "another 77", "new_password2": "another 77"}
    down()

    answers = [
        *(
            console.post(address(User, "operate", name), {**values, **chosen, "step": step})
            for name in ("change_contact", "activate", "deactivate", "reset_password", "cancel_email_change")
            for step in ("preview", "confirm")
        ),
        console.post(address(trader), values),
        console.post(address(trader, "delete", trader.pk)),
        console.post("/admin/password_change/", guess),
        Console().post("/admin/login/", {"username": "a@desk.example", "password": "x"}),
    ]

    for answer in answers:
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) >= 1
        assert answer["X-Request-ID"] in text_of(answer)
    assert events() == []
    trader.refresh_from_db()
    assert (trader.version, trader.is_active) == (1, True)


def test_without_the_cache_no_code_is_looked_at(agent, phone, down):
    factor = SecondFactorFactory(user=agent.user)
    console = Console()
    console.post("/admin/login/", {"username": agent.user.email, "password": PASSWORD})
    down()

    answer = console.post("/admin/login/code/", {"code": phone.code()})

    assert answer.status_code == 503
    factor.refresh_from_db()
    assert factor.last_step == -1
    assert console.get("/admin/").status_code == 302


def test_console_and_api_count_the_same_writes(console, agent, trader, limit):
    limit("write", "5/m")

    saved = console.save(trader, phone="+4915112345678")
    agent.patch(f"users/{trader.pk}/", {"phone": None})
    others = TraderFactory.create_batch(3, broker=trader.broker)
    bulk = console.operate(User, "deactivate", others, deployments="leave")
    refused = console.post(address(trader), {"reason": "x"})

    assert told(saved) == ["Done."]
    assert bulk.context["done"] == 3  # one count for all of them, and one for the preview before
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert refused["RateLimit"].startswith('"write";r=0;')
    assert f"in {refused['Retry-After']} seconds" in text_of(refused)
    assert_problem(agent.patch(f"users/{trader.pk}/", {"phone": None}), 429)


def test_ones_own_password_counts_as_a_write(console, limit):
    limit("write", "1/m")
    guess = {"old_password": "wrong", "new_password1": "another 77", "new_password2": "another 77"}

    assert [console.post("/admin/password_change/", guess).status_code for _ in range(2)] == [200, 429]


def test_choosing_and_exporting_count_as_reads(console, trader, limit):
    limit("read", "3/m")

    answers = [
        console.choose(User, "deactivate", [trader]),
        console.post(address(User, "operate", "deactivate"), {"id": trader.pk}),
        console.choose(User, "export_csv", [trader]),
        console.choose(User, "export_csv", [trader]),
        console.post(address(User, "operate", "deactivate"), {"id": trader.pk}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0]["RateLimit"].startswith('"read";r=2;')


def test_looking_and_choosing_are_no_writes(console, trader, limit):
    limit("write", "2/m")

    for _ in range(2):
        console.page(trader)
        console.choose(User, "deactivate", [trader])
        console.choose(User, "export_csv", [trader])

    assert told(console.save(trader, phone="+4915112345678")) == ["Done."]


# --- how long to wait -------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("tries", [3, 4, 5, 6])
def test_the_wait_covers_every_counter_of_a_login(anonymous, settings, now, tries):
    """Refused for its e-mail when its address has just used up its own limit, or the other way round."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["4/h"], "e-mail": ["2/m"]}}
    login = {"email": "nobody@desk.example", "password": "x"}
    answers = [anonymous.post("auth/token/", login) for _ in range(tries)]

    wait = int(answers[-1]["Retry-After"])

    assert (wait > 61) is (tries >= 4)
    now.at += wait
    assert anonymous.post("auth/token/", login).status_code == 401


@pytest.mark.django_db
def test_the_wait_of_an_address_covers_the_e_mail_too(anonymous, settings, now):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["2/m"], "e-mail": ["2/h"]}}
    login = {"email": "nobody@desk.example", "password": "x"}
    wait = int([anonymous.post("auth/token/", login) for _ in range(3)][-1]["Retry-After"])

    now.at += wait

    assert wait > 61
    assert anonymous.post("auth/token/", login).status_code == 401
