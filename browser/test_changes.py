"""The one flow of a change: asked, shown beforehand, confirmed, answered; and what happens when it cannot go on."""

from django.urls import reverse
from playwright.sync_api import expect

from accounts.models import User
from accounts.tests.browser import mails_to
from support_platform.models import AuditEvent
from trading.models import Deployment, Trade

from .stage import Case


def test_a_case_from_the_call_to_the_receipt(broker, desk):
    """A trader's run goes wild, a trade shows the wrong result, and they cannot log in."""
    case = Case(broker)
    person = desk("Supervisor").open(case.deployment)

    assert "paused" in person.operate("Pause", reason="runs wild")
    person.close("Pause")
    assert person.actions() == ["Change deployment", "Resume", "Stop"]

    person.open(case.trades[1])
    person.ask("Correct trade")
    shown = person.preview("Correct trade", result="25", reason="sign was wrong")
    assert "27.5" in shown and "77.5" in shown  # the deployment's profit before and after
    assert Trade.objects.get(pk=case.trades[1].pk).result == -25
    receipt = person.confirm("Correct trade")
    assert "77.5" in receipt and "sign was wrong" in receipt
    assert Trade.objects.get(pk=case.trades[1].pk).result == 25

    person.open(case.trader)
    receipt = person.operate("Reset password", reason="asked by phone")
    [mail] = mails_to(case.trader.email)
    assert "/account/password/" in mail.body and "a***@demo.example" in receipt

    told = [(event.action, event.reason) for event in AuditEvent.objects.filter(user=case.trader.pk).order_by("id")]
    assert told == [
        ("deployment.paused", "runs wild"),
        ("trade.corrected", "sign was wrong"),
        ("user.password_reset", "asked by phone"),
    ]


def test_a_preview_keeps_nothing_and_one_can_go_back(broker, desk):
    case = Case(broker)
    person = desk("Agent").open(case.trader)

    person.ask("Deactivate")
    shown = person.preview("Deactivate", deployments="stop")
    assert "inactive" in shown
    person.step("Deactivate", "preview").get_by_role("button", name="Back").click()
    assert person.step("Deactivate", "ask").get_by_label("Reason").input_value() == "asked by phone"
    person.preview("Deactivate", deployments="leave")
    person.step("Deactivate", "preview").get_by_role("link", name="Cancel").click()
    expect(person.step("Deactivate")).to_have_count(0)

    case.trader.refresh_from_db()
    assert case.trader.is_active and case.trader.version == 1
    assert not AuditEvent.objects.exists()


def test_what_is_wrong_is_told_where_it_is_wrong(broker, desk):
    case = Case(broker)
    person = desk("Agent").open(case.trader)

    person.ask("Change e-mail or phone")
    asked = person.step("Change e-mail or phone", "ask")
    person.fill(asked, phone="0151 12345", reason="asked by phone")
    person.button("Show what will happen").click()
    person.sees("Nothing was done yet.")
    expect(asked.get_by_label("Phone")).to_be_focused()
    expect(asked.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")

    shown = person.preview("Change e-mail or phone", phone="+4915112345678")
    assert "+4915112345678" in shown


def test_what_the_state_forbids_is_told_and_can_be_mended_in_the_same_dialog(broker, desk):
    case = Case(broker)
    person = desk("Supervisor").open(case.deployment.strategy)

    person.ask("Delete")
    person.fill(person.step("Delete", "ask"), reason="asked by phone")
    person.button("Show what will happen").click()
    person.sees(f"Deployments: {case.deployment.pk}")
    person.preview("Delete", stop_its_deployments=True)
    person.confirm("Delete")

    assert Deployment.objects.get(pk=case.deployment.pk).status == "stopped"


def test_a_form_that_has_become_stale_is_refused_and_shows_what_changed(broker, desk):
    case = Case(broker)
    person = desk("Supervisor").open(case.deployment)
    person.ask("Change deployment")
    other = person.tab().open(case.deployment)
    other.operate("Change deployment", quantity="7", reason="first")

    asked = person.step("Change deployment", "ask")
    person.fill(asked, quantity="9", reason="second")
    person.button("Show what will happen").click()
    person.sees("Changed meanwhile")
    changed = asked.get_by_role("row").filter(has_text="Quantity")
    expect(changed).to_contain_text("1.5")
    expect(changed).to_contain_text("7")

    case.deployment.refresh_from_db()
    assert case.deployment.quantity == 7
    person.preview("Change deployment", quantity="9", reason="second")
    person.confirm("Change deployment")
    case.deployment.refresh_from_db()
    assert case.deployment.quantity == 9
    assert [event.reason for event in AuditEvent.objects.order_by("id")] == ["first", "second"]


def test_without_the_script_of_the_dialog_the_same_steps_are_pages(broker, desk):
    case = Case(broker)
    person = desk("Agent")
    person.page.route("**/dialog.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    person.open(case.trader)

    person.operate("Deactivate", deployments="pause")

    case.trader.refresh_from_db()
    case.deployment.refresh_from_db()
    assert (case.trader.is_active, case.deployment.status) == (False, "paused")


def test_a_session_that_ended_while_a_dialog_was_open_changes_nothing(broker, desk):
    case = Case(broker)
    person = desk("Agent").open(case.trader)
    person.ask("Deactivate")
    person.fill(person.step("Deactivate", "ask"), reason="asked by phone")

    person.page.context.clear_cookies()
    person.watch.expect(403, reverse("admin:accounts_user_operate", args=["deactivate"]))
    person.button("Show what will happen").click()
    expect(person.page.get_by_role("dialog")).to_contain_text("load it again")

    assert User.objects.get(pk=case.trader.pk).is_active


def test_a_change_is_taken_back_from_the_audit_trail(broker, desk):
    case = Case(broker)
    person = desk("Supervisor").open(case.trades[0])
    person.operate("Correct trade", result="1", reason="a mistake")
    event = AuditEvent.objects.get(action="trade.corrected")

    person.step("Correct trade", "receipt").get_by_role("link", name=f"event {event.pk}").click()
    person.sees("a mistake")
    person.operate("Revert", reason="taken back")

    assert Trade.objects.get(pk=case.trades[0].pk).result == 40
    assert AuditEvent.objects.order_by("-id")[0].reason == "taken back"
