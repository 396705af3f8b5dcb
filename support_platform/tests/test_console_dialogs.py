"""The one flow of every change in the console: ask, preview, confirm, receipt; and what a stale dialog does."""

import re
from decimal import Decimal

import pytest
from django.core import mail

from accounts import operations, session_operations
from accounts.models import Broker, OutgoingMail, StaffAccount, User
from accounts.tests.factories import PASSWORD, StaffFactory, TraderFactory
from support_platform.audit import Actor
from support_platform.console import actions
from support_platform.console.differences import MAX_DIFFERENCES, differences
from support_platform.models import AuditEvent
from support_platform.tests.console import COLLEAGUE, Console, address, edit_address, form_fields, text_of, told
from trading import operations as trading_operations
from trading.models import Deployment, Scanner, Strategy
from trading.tests.factories import DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory


@pytest.fixture
def console(supervisor):
    return Console(supervisor.user)


def ask(console, row, name, **typed):
    """(address, what the dialog sends) after it has been filled."""
    asked = console.ask(row, name)
    return edit_address(row, name), {**form_fields(asked), "reason": "asked by phone", **typed}


def lines(response):
    return [str(line) for line in response.context["differences"]]


# --- preview ------------------------------------------------------------------------------------------
def test_a_preview_tells_the_effect_and_keeps_nothing(console, trader, events, mailoutbox):
    deployment = DeploymentFactory(user=trader)
    operations.change_contact(trader, by=COLLEAGUE, email="new@demo.example")
    before = [list(model.objects.order_by("pk").values()) for model in (User, Deployment, OutgoingMail)]
    count, mailoutbox[:] = AuditEvent.objects.count(), []

    url, data = ask(console, trader, "deactivate", deployments="pause")
    preview = console.post(url, data)

    assert "Nothing has been changed yet." in text_of(preview)
    assert lines(preview) == [
        "Status: active → inactive",
        "Pending email: new@demo.example → –",
        f"{deployment}: active → paused",
    ]
    assert address(deployment) in preview.content.decode()
    assert preview.context["outcome"].besides == {"Deployments paused": 1}
    assert [list(model.objects.order_by("pk").values()) for model in (User, Deployment, OutgoingMail)] == before
    assert (AuditEvent.objects.count(), mailoutbox) == (count, [])


def test_a_preview_counts_the_person_and_not_the_trader(console, trader, settings):
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "write": {"staff user": ["4/m"]},
        "reset": {"target trader": ["1/m"]},
    }
    url, data = ask(console, trader, "reset_password")

    previews = [console.post(url, {**data, "step": "preview"}) for _ in range(3)]
    done = console.post(url, {**data, "step": "confirm"})
    limited = console.post(url, {**data, "step": "preview"})

    assert [preview.context["outcome"].is_done for preview in previews] == [True] * 3
    assert told(done) == ["Done."]
    assert limited.status_code == 429


def test_a_preview_of_a_correction_shows_the_figures_of_its_deployment(console, trader):
    deployment = DeploymentFactory(user=trader, capital=Decimal(1000))
    trade = TradeFactory(deployment=deployment, result=Decimal(10))
    TradeFactory(deployment=deployment, result=Decimal(20))

    url, data = ask(console, trade, "correct", result="-100")
    preview = console.post(url, data)

    [figures] = preview.context["outcome"].besides.values()
    assert [(row.label, row.before, row.after) for row in figures.rows] == [
        ("Win rate", "1.0", "0.5"),
        ("PnL", "30", "-80"),
        ("Max drawdown", "0", "100"),
        ("Max drawdown in %", "0.0", "10.0"),
    ]
    trade.refresh_from_db()
    assert trade.result == 10


def test_what_would_be_refused_is_told_before_it_is_confirmed(console, trader):
    strategy = DeploymentFactory(user=trader).strategy

    url, data = ask(console, strategy, "delete")
    preview = console.post(url, data)

    assert "of its deployments are active" in told(preview)[0]
    assert preview.context["form"]["reason"].value() == "asked by phone"


def test_going_back_keeps_what_was_typed(console, trader):
    url, data = ask(console, trader, "change_contact", phone="+4915112345678")

    again = console.post(url, {**data, "step": "edit"})

    assert form_fields(again)["phone"] == "+4915112345678"
    assert not again.context["form"].errors


def test_a_preview_sends_back_all_that_it_was_given_but_no_secret(superuser, agent):
    console, account = Console(superuser.user), StaffAccount.objects.get(pk=agent.user.pk)

    url, data = ask(console, account, "set_password", password="violet tram 48")
    preview = console.post(url, data).content.decode()

    assert "violet tram 48" not in preview
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview))
    assert hidden["seen"] == data["seen"] and hidden["reason"] == data["reason"]
    mistyped = console.post(url, {**hidden, "password": "violet tram 84", "step": "confirm"})
    assert mistyped.context["form"].errors == {"password": ["This is not what you typed before."]}
    assert User.objects.get(pk=agent.user.pk).check_password(PASSWORD)
    assert told(console.post(url, {**hidden, "password": "violet tram 48", "step": "confirm"})) == ["Done."]
    assert User.objects.get(pk=agent.user.pk).check_password("violet tram 48")


# --- receipt ------------------------------------------------------------------------------------------
def test_a_receipt_tells_what_happened_and_where_it_is_on_record(console, agent, trader, events):
    session_operations.log_in(trader, by=Actor.of(trader))
    stopped = DeploymentFactory(user=trader)

    url, data = ask(console, trader, "deactivate", deployments="stop")
    receipt = console.post(url, {**data, "step": "confirm"})

    [event] = events(action="user.deactivated")
    assert told(receipt) == ["Done."]
    assert lines(receipt) == ["Status: active → inactive", f"{stopped}: active → stopped"]
    assert receipt.context["outcome"].besides == {"Sessions revoked": 1, "Deployments stopped": 1}
    assert address(event) in receipt.content.decode()
    assert console.page(event).status_code == 200


def test_deployments_that_are_left_are_told(console, trader):
    DeploymentFactory.create_batch(3, user=trader)

    url, data = ask(console, trader, "deactivate", deployments="leave")

    assert console.post(url, data).context["outcome"].besides == {"Deployments left active": 3}


def test_a_receipt_names_the_mails_masked(console, trader):
    url, data = ask(console, trader, "change_contact", email="new@demo.example")
    receipt = console.post(url, {**data, "step": "confirm"})

    assert receipt.context["outcome"].besides["Mails"] == (
        "Confirm your new e-mail address, to n***@demo.example; "
        "A change of your e-mail address was requested, to t***@demo.example"
    )
    assert len(mail.outbox) == 2


def test_each_step_says_which_it_is(console, trader):
    """dialog.js goes by it."""
    url, data = ask(console, trader, "reset_password")
    pages = [console.ask(trader, "reset_password")]
    pages += [console.post(url, {**data, "step": step}) for step in actions.STEPS]

    steps = [re.search(r'id="operation" data-step="(\w+)"', page.content.decode())[1] for page in pages]
    assert steps == ["ask", "ask", "preview", "receipt"]


# --- stale --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", ["preview", "confirm"])
def test_a_stale_dialog_tells_what_changed_and_begins_again_with_what_was_typed(console, trader, events, step):
    url, data = ask(console, trader, "change_contact", email="new@demo.example")
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")
    operations.set_status(trader, "inactive", by=COLLEAGUE)
    operations.set_status(trader, "active", by=COLLEAGUE)
    count = len(events())

    stale = console.post(url, {**data, "step": step})

    assert stale.context["meanwhile"] == [("phone", "–", "+4915100000001")]
    assert len(events()) == count
    again = form_fields(stale)
    assert (again["email"], again["phone"]) == ("new@demo.example", "+4915100000001")  # typed, and never touched
    done = console.post(url, {**again, "step": "confirm"})
    assert told(done) == ["Done."]
    trader.refresh_from_db()
    assert (trader.pending_email, trader.phone) == ("new@demo.example", "+4915100000001")


def test_what_was_emptied_stays_empty_in_a_stale_dialog(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")
    url, data = ask(console, trader, "change_contact", phone="")
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000002")

    stale = console.post(url, data)

    assert stale.context["form"]["phone"].value() == ""


def test_a_row_that_moved_between_preview_and_confirm_is_stale(console, trader):
    deployment = DeploymentFactory(user=trader)
    url, data = ask(console, deployment, "stop")
    console.post(url, {**data, "step": "preview"})
    trading_operations.update_deployment(deployment, by=COLLEAGUE, quantity=Decimal(9))

    stale = console.post(url, {**data, "step": "confirm"})

    assert stale.context["meanwhile"] == [("quantity", "1.5", "9")]
    assert Deployment.objects.get(pk=deployment.pk).status == "active"


def test_what_moved_without_a_trace_on_the_page_is_told_by_its_version(console, trader):
    url, data = ask(console, trader, "deactivate")
    User.objects.filter(pk=trader.pk).update(version=7)

    assert "It went from version 1 to 7" in text_of(console.post(url, data))


# --- which operations a row's page offers -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "offered"),
    [
        (lambda user: StrategyFactory(user=user), ["publish", "delete"]),
        (lambda user: StrategyFactory(user=user, published_at=user.created_at), ["unpublish", "delete"]),
        (lambda user: StrategyFactory(user=user, deleted_at=user.created_at), ["restore"]),
        (lambda user: DeploymentFactory(user=user), ["change", "pause", "stop"]),
        (lambda user: DeploymentFactory(user=user, status="paused"), ["change", "resume", "stop"]),
        (lambda user: DeploymentFactory(user=user, status="stopped", stopped_at=user.created_at), []),
        (lambda user: ScannerFactory(user=user), ["delete"]),
        (lambda user: ScannerFactory(user=user, deleted_at=user.created_at), ["restore"]),
        (lambda user: TradeFactory(deployment__user=user), ["correct"]),
    ],
)
def test_only_what_makes_sense_for_a_row_is_offered(console, trader, make, offered):
    page = console.page(make(trader))

    assert [operation.name for operation, _ in page.context["operations"]] == offered


def test_an_inactive_owners_strategy_is_not_offered_for_publishing(console, broker):
    strategy = StrategyFactory(user=TraderFactory(broker=broker, is_active=False))

    assert [operation.name for operation, _ in console.page(strategy).context["operations"]] == ["delete"]


def test_an_event_without_an_inverse_offers_no_revert(console, trader, events):
    operations.reset_password(trader, by=COLLEAGUE)
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")
    reset, changed = events()

    assert console.page(reset).context["operations"] == []
    assert [operation.name for operation, _ in console.page(changed).context["operations"]] == ["revert"]


# --- several rows -------------------------------------------------------------------------------------
def test_a_preview_of_many_tells_row_by_row_and_rehearses_no_more_than_it_shows(console, trader, monkeypatch, events):
    monkeypatch.setattr(actions, "MAX_REHEARSED", 2)
    scanners = [ScannerFactory(user=trader, deleted_at=trader.created_at), *ScannerFactory.create_batch(3, user=trader)]

    preview = console.operate(Scanner, "delete", scanners, steps=["preview"])

    assert len(preview.context["outcomes"]) == 2
    assert preview.context["further"] == 2
    assert "Deleted at: – →" in text_of(preview)
    assert Scanner.objects.deleted().count() == 1
    assert events() == []


def test_repeated_rows_have_nothing_to_do(console, trader, events):
    scanners = ScannerFactory.create_batch(2, user=trader)
    console.operate(Scanner, "delete", scanners[:1])

    done = console.operate(Scanner, "delete", scanners)

    assert sorted(told(done)) == ["Done.", "Nothing to do: it is so already."]
    assert len(events(action="scanner.deleted")) == 2


def test_of_many_a_stale_one_is_left_alone(console, trader):
    strategies = StrategyFactory.create_batch(2, user=trader)
    asked = console.choose(Strategy, "publish", strategies)
    trading_operations.publish_strategy(strategies[0], by=COLLEAGUE)

    data = {"seen": asked.context["form"].initial["seen"], "reason": "x", "step": "confirm"}
    done = console.post(address(Strategy, "operate", "publish"), data)

    texts = {outcome.row.pk: outcome.text for outcome, _ in done.context["outcomes"]}
    assert texts[strategies[0].pk].startswith("Not done: it was changed meanwhile")
    assert texts[strategies[1].pk] == "Done."


def test_what_is_for_one_row_takes_one(console, trader, events):
    deployments = DeploymentFactory.create_batch(2, user=trader)
    seen = " ".join(f"{row.pk}:1" for row in deployments)
    url = address(Deployment, "operate", "change")

    answers = [
        console.post(url, {"id": [row.pk for row in deployments]}),
        console.post(url, {"seen": seen, "reason": "x", "status": "stopped", "step": "confirm"}),
    ]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert events() == []
    menu = console.get(address(Deployment)).context["action_form"].fields["action"].choices
    assert "change" not in dict(menu)


def test_a_new_row_asks_why_and_its_refusal_keeps_what_was_typed(superuser, broker):
    console = Console(superuser.user)

    refused = console.post(address(Broker, "add"), {"name": broker.name, "domain": "x.example", "reason": "new"})

    assert told(refused) == [f"There is a broker named {broker.name} already."] or "named" in told(refused)[0]
    assert form_fields(refused)["domain"] == "x.example"


# --- differences --------------------------------------------------------------------------------------
def test_only_what_differs_is_shown_at_any_depth():
    changes = {
        "definition": [
            {"entry": {"rsi": 30, "symbols": ["A", "B"]}, "exit": None, "same": [1, {"a": 1}]},
            {"entry": {"rsi": 35, "symbols": ["A", "C", "D"]}, "same": [1, {"a": 1}], "new": {"x": True}},
        ],
        "is_active": [True, 1],
    }

    assert [str(line) for line in differences(changes)] == [
        "Definition › entry › rsi: 30 → 35",
        "Definition › entry › symbols › 2: B → C",
        "Definition › entry › symbols › 3: – → D",
        "Definition › exit: – → –",
        'Definition › new: – → {\n  "x": true\n}',
        "Is active: yes → 1",
    ]


def test_differences_are_bounded():
    deep = [[]]
    for _ in range(500):
        deep = [deep]
    wide = {"rows": [dict.fromkeys(map(str, range(1000)), "a"), dict.fromkeys(map(str, range(1000)), "b")]}

    assert len(differences(wide)) == MAX_DIFFERENCES
    assert len(differences({"deep": [deep, [deep]]})) == 1


def test_an_events_page_marks_old_and_new_and_links_its_rows_and_its_request(console, trader, events):
    deployment = DeploymentFactory(user=trader)
    url, data = ask(console, trader, "deactivate", deployments="pause")
    console.post(url, {**data, "step": "confirm"})
    [event] = events(action="user.deactivated")
    other = StrategyFactory(user=trader)
    by = COLLEAGUE.because("again")
    trading_operations.delete_strategy(other, by=Actor(**{**vars(by), "request_id": event.request_id}))

    page = console.page(event).content.decode()

    assert "<del>active</del>" in page and "<ins>paused</ins>" in page
    assert address(deployment) in page and address(trader) in page
    assert "strategy.deleted" in page  # of the same request


def test_the_trail_is_searched_by_row(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")

    def found(q):
        return [row.subject_id for row in console.get(address(AuditEvent), q=q).context["cl"].result_list]

    assert found(f"user {trader.pk}") == [trader.pk]
    assert found(f"User #{trader.pk}") == [trader.pk]
    assert found("user 999999") == []


# --- spans of a list ----------------------------------------------------------------------------------
def test_a_list_is_narrowed_to_a_span_of_instants(console, trader):
    strategies = [
        StrategyFactory(user=trader, created_at=f"2026-01-{day:02}T{hour:02}:00:00Z")
        for day, hour in ((1, 0), (2, 12), (3, 0))
    ]

    def found(**query):
        rows = console.get(address(Strategy), **query).context["cl"].result_list
        return [strategies.index(row) for row in reversed(rows)]

    assert found(created_after="2026-01-01", created_before="2026-01-03") == [0, 1]
    assert found(created_after="2026-01-02T12:00:00Z") == [1, 2]
    assert found(created_after="2026-01-02T13:00:00+01:00", created_before="") == [1, 2]
    assert found(created_before="2026-01-01") == []
    assert console.get(address(Strategy), created_after="2026-02-01", created_before="2026-01-01").status_code == 400


def test_a_spans_form_keeps_the_rest_of_the_lists_address(console, trader):
    StrategyFactory(user=trader)

    page = console.get(address(Strategy), created_after="2025-01-01", status="active", q="strat").content.decode()
    form = page[page.index('class="span-filter"') :]
    form = form[: form.index("</form>")]

    assert 'name="status" value="active"' in form and 'name="q" value="strat"' in form
    assert 'value="2025-01-01"' in form
    assert 'href="?status=active&amp;q=strat"' in form or 'href="?q=strat&amp;status=active"' in form


def test_staff_of_another_broker_see_no_name_of_a_deployment(other_broker, trader, events):
    """A superuser deactivates; the other broker's supervisor has no such event, and no dialog for it."""
    foreign = Console(StaffFactory(broker=other_broker, role="Supervisor"))
    operations.set_status(trader, "inactive", by=COLLEAGUE)

    assert foreign.page(events()[0]).headers["Location"] == "/admin/"
    assert foreign.ask(trader, "activate").status_code == 302
