"""What the console finds: rows of every kind by what people know of them, in reach only, without reading a table."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import OutgoingMail, StaffAccount, User
from accounts.tests.factories import StaffFactory, TraderFactory
from support_platform import audit_chain
from support_platform.console import search
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, text_of
from trading import reach
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory


@pytest.fixture
def ada(broker):
    return TraderFactory(
        broker=broker, email="ada.stone@demo.example", first_name="Ada", last_name="Stone", phone="+4915112345678"
    )


@pytest.fixture
def rows(ada):
    """One row of each kind of Ada's."""
    strategy = StrategyFactory(user=ada, name="Dawn breakout", symbol="XAU/USD")
    deployment = DeploymentFactory(user=ada, strategy=strategy, symbol="XAU/USD")
    trade = TradeFactory(deployment=deployment, symbol="XAU/USD", external_id="T-77")
    order = OrderFactory(user=ada, strategy=strategy, external_id="O-77", symbol="XAU/USD", trade=trade)
    scanner = ScannerFactory(user=ada, name="Volume spike", symbol="XAU/USD")
    mail = OutgoingMail.objects.create(kind="password_changed", user=ada, to=ada.email)
    event = audit_chain.append(
        actor="desk@demo.example",
        action="user.seen",
        subject_type="user",
        source="api",
        user=ada.pk,
        broker=ada.broker_id,
        request_id="call-4711",
    )
    found = {"strategy": strategy, "deployment": deployment, "trade": trade, "order": order, "scanner": scanner}
    return {**found, "user": ada, "mail": mail, "event": event}


def found(person, term):
    return Console(getattr(person, "user", person)).get("/admin/search/", s=term).context["found"]


def addresses(person, term):
    return [link for _, _, link, _ in found(person, term)]


def listed(person, model, term, **query):
    page = Console(person.user).get(address(model), q=term, **query)
    assert page.status_code == 200
    return [row.pk for row in page.context["cl"].result_list]


# --- by what -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "term",
    [
        "ada.stone@demo.example",
        "ADA.Stone@Demo.Example",
        "ada.st",
        "Ada",
        "stone",
        "ada sto",
        "Stone A",
        "Stone, Ada",
        "  ada   stone ",
        "+4915112345678",
        "+49 151 1234-56",
        "0049 (151) 12345678",
        "4915112345678",
        "0151 12345678",
    ],
)
def test_a_trader_is_found(viewer, ada, term):
    TraderFactory(broker=ada.broker, first_name="Bob", last_name="Baker", phone="+4915212345678")

    assert addresses(viewer, term)[:1] == [address(ada)]
    assert listed(viewer, User, term) == [ada.pk]


@pytest.mark.parametrize(
    ("kind", "term"),
    [
        ("strategy", "dawn"),
        ("strategy", "Dawn Breakout"),
        ("strategy", "xau"),
        ("deployment", "XAU/"),
        ("trade", "T-77"),
        ("order", "O-77"),
        ("scanner", "volume SPIKE"),
        ("scanner", "xau/usd"),
        ("event", "call-4711"),
    ],
)
def test_a_row_is_found(supervisor, rows, kind, term):
    row = rows[kind]

    assert address(row) in addresses(supervisor, term)
    assert listed(supervisor, type(row), term) == [row.pk]


@pytest.mark.parametrize("kind", ["user", "strategy", "deployment", "trade", "order", "scanner", "event"])
@pytest.mark.parametrize("sign", ["", "#"])
def test_a_row_is_found_by_its_id(supervisor, rows, kind, sign):
    row = rows[kind]

    assert address(row) in addresses(supervisor, f"{sign}{row.pk}")
    assert row.pk in listed(supervisor, type(row), f"{sign}{row.pk}")


@pytest.mark.parametrize(("kind", "term"), [("deployment", "dawn"), ("trade", "xau"), ("order", "XAU/USD")])
def test_a_list_also_finds_by_what_takes_longer(supervisor, rows, kind, term):
    row = rows[kind]

    assert listed(supervisor, type(row), term) == [row.pk]
    assert listed(supervisor, type(row), term, user=rows["user"].pk) == [row.pk]
    assert listed(supervisor, type(row), "other") == []


@pytest.mark.parametrize("model", [Strategy, Deployment, Trade, Order, Scanner, OutgoingMail])
@pytest.mark.parametrize("term", ["ada.stone@demo.example", "ada.stone@"])
def test_a_list_finds_the_rows_of_a_trader_by_the_address(supervisor, rows, model, term):
    other = TraderFactory(broker=rows["user"].broker)
    DeploymentFactory(user=other)

    assert len(listed(supervisor, model, term)) == 1


def test_the_trail_is_searched_by_actor_trader_and_action(supervisor, rows):
    event = rows["event"]
    own = audit_chain.append(
        actor=supervisor.user.email,
        actor_id=supervisor.user.pk,
        action="trade.corrected",
        subject_type="trade",
        source="api",
        broker=event.broker,
    )

    assert listed(supervisor, AuditEvent, "ada.stone@demo.example") == [event.pk]
    assert own.pk in listed(supervisor, AuditEvent, supervisor.user.email)
    assert listed(supervisor, AuditEvent, "trade.corr") == [own.pk]
    assert listed(supervisor, AuditEvent, "desk") == [event.pk]


def test_staff_are_found_by_superusers_only(superuser, supervisor):
    staff = StaffAccount.objects.get(pk=supervisor.user.pk)

    assert address(staff) in addresses(superuser, staff.email)
    assert listed(superuser, StaffAccount, staff.email[:5]) != []
    assert address(staff) not in addresses(supervisor, staff.email)


@pytest.mark.parametrize("term", ["%", "_", "a%e", "st_ne", "\\", "'", "*", "9" * 30, "0", "-1", "+", "00", "()", "٣"])
def test_signs_and_numbers_that_mean_nothing_find_nothing(superuser, rows, term):
    assert found(superuser, term) == []
    for model in (User, Strategy, Deployment, Trade, Order, Scanner, AuditEvent, StaffAccount):
        assert listed(superuser, model, term) == []


def test_pages_are_found_by_name(viewer):
    assert addresses(viewer, "strateg") == [address(Strategy)]
    assert addresses(viewer, "passw") == ["/admin/password_change/"]
    assert addresses(viewer, "brokers") == []


# --- in which order, in which words -----------------------------------------------------------------------
def test_the_likeliest_trader_comes_first(viewer, broker):
    made = [
        TraderFactory(broker=broker, email=email, first_name=first, last_name=last, is_active=is_active)
        for email, first, last, is_active in (
            ("kim@demo.example.org", "Zoe", "Berg", True),
            ("kim@demo.example", "Zoe", "Adler", True),
            ("a@demo.example", "Kim", "Lee", True),
            ("b@demo.example", "Kim", "Leeman", True),
            ("c@demo.example", "Kim", "Leemann", False),
        )
    ]

    assert addresses(viewer, "kim@demo.example") == [address(made[1]), address(made[0])]
    assert addresses(viewer, "Kim Lee") == [address(row) for row in made[2:]]
    StrategyFactory(user=made[0], name="Kim Lee")
    assert addresses(viewer, "Kim Lee")[0] == address(made[2])


def test_results_say_what_they_are_and_whose(superuser, rows):
    ada = rows["user"]
    words = {title: kind for title, kind, _, _ in found(superuser, "xau")}
    [(title, told, _, _)] = found(superuser, ada.email)

    assert words["Dawn breakout"] == f"strategy #{rows['strategy'].pk} XAU/USD of {ada.email}"
    assert (title, told) == (ada.email, "trader Ada Stone, +4915112345678, Demo")


def test_more_than_are_shown_stand_on_a_page_of_their_kind(viewer, broker):
    traders = TraderFactory.create_batch(8, broker=broker, last_name="Ümlaut & Söhne")

    results = found(viewer, "Ümlaut &")
    kinds = [kind for _, kind, _, _ in results]
    title, _, link, _ = results[-1]

    assert len(results) == search.MAX_OF_KIND + 1
    assert kinds[-1] == "list"
    assert title == "All traders for “Ümlaut &”"
    page = Console(viewer.user).get(link)
    assert {row.pk for row in page.context["cl"].result_list} == {trader.pk for trader in traders}


def test_the_page_of_results_escapes_what_it_shows(viewer, broker):
    TraderFactory(broker=broker, first_name="<script>alert(1)</script>", last_name="שלום עולם" * 5)

    page = Console(viewer.user).get("/admin/search/", s="<script>")

    assert "<script>alert" not in page.content.decode()
    assert "שלום" in text_of(page)


# --- whose -----------------------------------------------------------------------------------------------
TERMS = ["ada", "stone", "+4915112345678", "0151 12345678", "dawn", "xau", "T-77", "O-77", "volume", "call-4711"]


def test_nothing_of_another_broker_is_found(rows, other_broker):
    person = StaffFactory(broker=other_broker, role="Supervisor")
    terms = [*TERMS, *(str(row.pk) for row in rows.values())]

    links = {address(row) for row in rows.values()}
    for term in terms:
        assert not links & set(addresses(person, term)), term


def test_without_a_role_no_rows_are_found(rows, broker):
    person = StaffFactory(broker=broker)

    for term in TERMS:
        assert found(person, term) == []


def test_staff_of_no_broker_find_the_rows_of_all(rows):
    person = StaffFactory(broker=None, role="Viewer")

    for term in TERMS[:-1]:
        assert found(person, term) != [], term


@pytest.mark.parametrize("few", [10, 0])
def test_a_broker_whose_rows_come_late_finds_them_where_its_traders_are_few(
    viewer, ada, foreign_trader, monkeypatch, few
):
    monkeypatch.setattr(reach, "MAX_FOUND_AMONG", 3)
    monkeypatch.setattr(reach, "FEW_TRADERS", few)
    StrategyFactory.create_batch(5, user=foreign_trader, name="Grid A")
    own = StrategyFactory(user=ada, name="Grid B")

    assert addresses(viewer, "grid") == ([address(own)] if few else [])
    assert listed(viewer, Strategy, "grid", user=ada.pk) == [own.pk]


def test_the_newest_of_a_broker_whose_rows_are_few(viewer, ada, foreign_trader, monkeypatch):
    own = TradeFactory(deployment__user=ada, symbol="XAU/USD")
    TradeFactory.create_batch(5, deployment__user=foreign_trader, symbol="XAU/USD")
    monkeypatch.setattr(reach, "MAX_NEWEST_AMONG", 3)

    assert listed(viewer, Trade, "xau") == [own.pk]


# --- at which cost -----------------------------------------------------------------------------------------
LARGE = re.compile(r"accounts_user$|trading_|support_platform_auditevent|accounts_outgoingmail")


def read_whole(sql):
    """The large tables that the database would read from end to end, or by an index from end to end."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            scans = [re.match(r"SCAN (\w+)", row[3]) for row in cursor.fetchall()]
            return [scan[1] for scan in scans if scan and LARGE.match(scan[1])]
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        [[plan]] = cursor.fetchall()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return [
        node["Relation Name"]
        for node in _nodes(plan[0]["Plan"])
        if LARGE.match(node.get("Relation Name", ""))
        and ("Seq Scan" in node["Node Type"] or ("Index" in node["Node Type"] and "Index Cond" not in node))
    ]


def _nodes(node):
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
def as_if_large(db):
    """PostgreSQL reads a small table whole, whatever its indexes; so there it is told what a large one costs."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


@pytest.mark.parametrize("person", ["viewer", "superuser"])
@pytest.mark.parametrize("term", ["stone", "ada.stone@demo.example", "+4915112345678", "0151 12345678", "xau", "4711"])
def test_no_large_table_is_read_whole(request, rows, as_if_large, person, term):
    console = Console(request.getfixturevalue(person).user)

    with CaptureQueriesContext(connection) as captured:
        console.get("/admin/search/", s=term)
        for model in (User, Strategy, Deployment, Trade, Order, Scanner):
            console.get(address(model), q=term)

    asked = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
    asked = [sql for sql in asked if not re.search(r"LIMIT (5001|10000)$", sql)]  # the newest, read in their order
    assert len(asked) > 20
    assert {sql: whole for sql in asked if (whole := read_whole(sql))} == {}


def test_a_search_takes_as_many_queries_for_many_rows_as_for_few(supervisor, rows):
    console = Console(supervisor.user)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert console.get("/admin/search/", s="xau").status_code == 200
        return len(captured)

    queries()
    few = queries()
    for _ in range(30):
        deployment = DeploymentFactory(user=rows["user"], symbol="XAU/USD", strategy__symbol="XAU/USD")
        TradeFactory.create_batch(3, deployment=deployment, symbol="XAU/USD")
        ScannerFactory(user=rows["user"], symbol="XAU/USD")

    assert queries() == few <= 30
