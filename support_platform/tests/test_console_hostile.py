"""Hostile input to the console: a page that says what is wrong, never a crash, and nothing of it executed."""

import pytest
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from accounts.models import ApiSession, StaffAccount, User
from support_platform.console import base
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, text_of, told
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import StrategyFactory, TradeFactory

LISTS = (User, Strategy, Deployment, Trade, Order, Scanner, AuditEvent, StaffAccount, ApiSession)
QUERIES = [
    "id__exact=1e999999",
    "quantity__gt=1e1000000",
    "quantity__gt=NaN",
    "owner__password__startswith=p",
    "user__password__startswith=p",
    "password__startswith=p",
    "user__id__exact=1",
    "id__in=1,2",
    "pk=1",
    "nonsense=1",
    "status=nonsense",
    "status=",
    "period=1e9d",
    "user=0",
    "user=01",
    "user=-1",
    "user=%D9%A1",
    "user=" + "9" * 30,
    "user=1e999999",
    "p=0",
    "p=-1",
    "p=abc",
    "p=1.5",
    "p=" + "9" * 30,
    "p=2",
    "o=999",
    "o=2",
    "o=x",
    "o=-",
    "o=" + "9" * 5000,
    "all=",
    "_facets=True",
    "_popup=1",
    "_to_field=password",
    "e=1",
    "q=a&q=b",
    "q=" + "x" * 101,
    "q=a%0Ab",
    "q=a%E2%80%AEb",
    "q=a%00b",
    "status=a%00b",
    "q=%FF",
]


@pytest.fixture
def console(superuser):
    return Console(superuser.user)


@pytest.mark.parametrize("query", QUERIES)
def test_lists_refuse_it(console, trader, query):
    StrategyFactory(user=trader)

    for model in LISTS:
        answer = console.get(f"{address(model)}?{query}")
        assert answer.status_code == 400, (model, answer)
        if "%00" not in query and "%FF" not in query:
            assert "To the console" in text_of(answer)
    assert console.post(f"{address(Strategy)}?{query}", {"action": "publish"}).status_code in (400, 404)


def test_an_empty_search_is_no_search(console, trader):
    assert console.get(f"{address(Strategy)}?q=").status_code == 200
    assert console.get(f"{address(Strategy)}?q=%20").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "term=a%00b",
        "term=" + "x" * 101,
        "term=a&page=0",
        "term=a&page=" + "9" * 30,
        "term=a&page=9",
        "term=a&owner__password__startswith=p",
        "term=a&term=b",
    ],
)
def test_autocomplete_refuses_it(console, query):
    field = "app_label=trading&model_name=strategy&field_name=user"

    assert console.get(f"/admin/autocomplete/?{field}&{query}").status_code in (400, 404)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "app_label=trading&model_name=strategy&field_name=password",
        "app_label=accounts&model_name=user&field_name=groups",
        "app_label=auth&model_name=permission&field_name=content_type",
        "app_label=x&model_name=y&field_name=z",
    ],
)
def test_autocomplete_of_what_has_no_page_is_refused(console, field):
    assert console.get(f"/admin/autocomplete/?{field}&term=a").status_code == 403


@pytest.mark.parametrize(
    "pk",
    ["9" * 30, "9223372036854775808", "0", "-1", "01", "+1", "1.0", "%201", "1%20", "%D9%A1", "abc", "1_5F", "1/2"],
)
def test_ids_that_are_none_do_not_exist(console, trader, pk):
    for model in (User, Trade, AuditEvent, StaffAccount, ApiSession):
        for page in ("change", "history"):
            answer = console.get(f"{address(model)}{pk}/{page}/")
            assert answer.status_code in (302, 404), (model, page)
        assert console.post(f"{address(model)}{pk}/change/", {"reason": "x"}).status_code in (302, 403)
        assert console.post(f"{address(model)}{pk}/delete/", {"post": "yes"}).status_code == 403
    assert console.get(f"{address(User)}%00/change/").status_code == 400


OLDER = "2026-03-02T12:00:00Z~audit~1"


@pytest.mark.parametrize(
    "query",
    [
        "kind=order",
        "kind=AUDIT",
        "kind=a%00b",
        "kind=audit&kind=mail",
        "nonsense=1",
        "user=1",
        "p=2",
        "q=x",
        "at_after=2026-03-02T12:00:00Z",
        "from=yesterday",
        "from=2026-02-30",
        "from=2026-W09-1",
        "from=20260302",
        "from=2026-3-2",
        "from=0000-01-01",
        "from=10000-01-01",
        "from=%D9%A2026-03-02",
        "from=2026-03-02%00",
        "to=2026-03-02T12:00:00Z",
        "from=2026-03-03&to=2026-03-02",
        "older=1",
        "older=" + "9" * 5000,
        "older=2026-03-02T12:00:00~audit~1",
        "older=2026-03-02T12:00:00Z~order~1",
        "older=2026-03-02T12:00:00Z~audit~0",
        "older=2026-03-02T12:00:00Z~audit~01",
        "older=2026-03-02T12:00:00Z~audit~9223372036854775808",
        "older=2026-03-02T12:00:00Z~audit~1~2",
        "older=0000-03-02T12:00:00Z~audit~1",
        f"older={OLDER}%00",
        f"older={OLDER}&older={OLDER}",
        f"older={OLDER}&newer={OLDER}",
        "newer=%FF",
    ],
)
def test_the_timeline_refuses_it(console, trader, query):
    answer = console.get(f"{address(User, 'timeline', trader.pk)}?{query}")

    assert answer.status_code == 400
    if "%00" not in query and "%FF" not in query:
        assert "To the console" in text_of(answer)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "kind=&from=&to=&older=&newer=",
        f"older={OLDER}",
        f"newer={OLDER}",
        f"kind=mail&from=2026-03-02&to=2026-03-02&older={OLDER}",
        "from=0001-01-01&to=9999-12-31",
        "older=0001-01-01T00:00:00Z~audit~9223372036854775807",
        "newer=9999-12-31T23:59:59.999999Z~trade_taken~1",
    ],
)
def test_the_timeline_takes_any_place_and_any_day(console, trader, query):
    StrategyFactory(user=trader)
    TradeFactory(deployment__user=trader)

    assert console.get(f"{address(User, 'timeline', trader.pk)}?{query}").status_code == 200


def test_the_timeline_is_only_read(console, trader):
    path = address(User, "timeline", trader.pk)

    assert console.post(path).status_code == 405
    assert console.client.delete(path).status_code == 405
    for pk in ("9" * 30, "0", "01", "abc", "1_5F"):
        assert console.get(f"{address(User)}{pk}/timeline/").status_code in (302, 404)
    assert console.get(f"{address(User)}%00/timeline/").status_code == 400


@pytest.mark.parametrize("pk", ["abc", "1.0", "01", "", "1 or 1=1", "9" * 30, "1\x00"])
def test_chosen_ids_that_are_none(console, pk):
    answers = [
        console.choose(Strategy, "publish", [pk]),
        console.choose(Strategy, "export_csv", [pk]),
        console.post(address(Strategy, "operate", "publish"), {"id": pk}),
        console.post(address(Strategy, "operate", "publish"), {"seen": f"{pk}:1", "reason": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4


@pytest.mark.parametrize("step", ["", "x", "CONFIRM", "confirm "])
def test_a_step_that_is_none(console, trader, step):
    strategy = StrategyFactory(user=trader)

    data = {"seen": f"{strategy.pk}:1", "reason": "x", "step": step}

    assert console.post(address(Strategy, "operate", "publish"), data).status_code == 400


@pytest.mark.parametrize("seen", ["", "1", "1:", ":1", "1:x", "1:1,2:1", "1:1  2:1", "1:" + "9" * 11, "x" * 10000])
def test_a_forged_choice(console, seen):
    answer = console.post(address(Strategy, "operate", "publish"), {"seen": seen, "reason": "x"})

    assert answer.status_code == 400


def test_operations_are_named_and_posted(console, trader):
    strategy = StrategyFactory(user=trader)

    assert console.post(address(Strategy, "operate", "save_model"), {"id": strategy.pk}).status_code == 404
    assert console.post(address(Strategy, "operate", "delete_queryset"), {"id": strategy.pk}).status_code == 404
    assert console.get(address(Strategy, "operate", "publish")).status_code == 405
    assert console.choose(Strategy, "delete_selected", [strategy]).status_code == 404
    assert console.choose(Strategy, "", [strategy]).status_code == 302


@pytest.mark.parametrize("extra", [{"_saveasnew": "1"}, {"_to_field": "password"}, {"_popup": "1"}])
def test_djangos_own_variables_open_nothing(console, trader, extra):
    before = User.objects.count()

    fields = {**console.fields(trader), "reason": "x", **extra}
    answers = [console.post(address(trader), fields), console.send(trader, fields)]

    assert answers[0].status_code in (302, 400, 403)
    assert told(answers[1]) == ["Nothing was changed: every value is as it was."]
    assert User.objects.count() == before


def test_a_page_cannot_be_found_by_another_field(console, trader):
    assert console.get(f"{address(User)}{trader.email}/change/?_to_field=email").status_code in (302, 400)


def test_the_shortcut_to_any_object_is_closed(console):
    assert console.get("/admin/r/1/1/").status_code == 404


@pytest.mark.parametrize("fault", [OperationalError, InterfaceError, RedisError])
def test_what_is_away_is_a_503_page(console, monkeypatch, fault):
    def away(*args, **kwargs):
        raise fault("could not connect to server at 10.0.0.1")

    monkeypatch.setattr(base.OperationAdmin, "get_queryset", away)
    monkeypatch.setattr("support_platform.throttling.get_usage", away)

    answers = [console.get(address(Strategy)), Console().post("/admin/login/", {"username": "a", "password": "b"})]

    for answer in answers:
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) >= 1
        assert "10.0.0.1" not in text_of(answer)


def test_refusals_name_the_request_and_no_inside(console):
    answer = console.get(f"{address(Trade)}?owner__password__startswith=<script>")

    assert answer.status_code == 400
    assert answer["X-Request-ID"] in text_of(answer)
    assert "script" not in text_of(answer)


def test_a_value_too_large_for_a_column_in_a_form(console, trader):
    trade = TradeFactory(user=trader, deployment__user=trader)

    answer = console.save(trade, result="9" * 31)

    assert answer.context["form"].errors.keys() == {"result"}
