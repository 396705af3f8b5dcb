"""Lists: what the API's lists hold, operations on many rows, and files."""

import csv

import pytest

from accounts.models import User
from conftest import Api
from support_platform.models import AuditEvent
from trading.models import Deployment, Scanner, Strategy, Trade
from trading.tests.factories import ScannerFactory

from .stage import Case

LISTS = {"users": User, "strategies": Strategy, "deployments": Deployment, "trades": Trade, "scanners": Scanner}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_holds_what_the_api_lists_in_its_order(kind, broker, other_broker, people, window):
    Case(broker, "anna")
    Case(other_broker, "bert")
    user = people("Viewer")

    person = window(user).open(LISTS[kind])
    listed = Api(user).get(f"{kind}/").json()["results"]

    assert person.row_ids() == [row["id"] for row in listed] != []


def test_many_rows_are_changed_with_one_reason_and_each_tells_what_became_of_it(broker, desk):
    case = Case(broker)
    scanners = [case.scanner, *ScannerFactory.create_batch(2, user=case.trader)]
    person = desk("Agent").open(Scanner)

    person.choose("Delete", *(scanner.name for scanner in scanners))
    Scanner.objects.filter(pk=scanners[1].pk).update(version=2)
    shown = person.preview("Delete", reason="cleaning up")
    assert "2 of 3 will be changed" in shown
    receipt = person.confirm("Delete")

    assert "2 of 3 done" in receipt and "Not done: it was changed meanwhile" in receipt
    kept = Scanner.objects.filter(deleted_at__isnull=True)
    assert [scanner.pk for scanner in kept] == [scanners[1].pk]
    assert [event.reason for event in AuditEvent.objects.filter(action="scanner.deleted")] == ["cleaning up"] * 2


def test_a_list_is_taken_home_as_a_file_and_that_is_on_record(broker, desk):
    case = Case(broker, "=anna")
    person = desk("Agent").open(User)

    with person.page.expect_download() as download:
        person.choose("Export as CSV", case.trader.email)
    with open(download.value.path(), newline="") as file:
        [row] = csv.DictReader(file)

    assert download.value.suggested_filename.endswith(".csv")
    assert row["email"] == f"'{case.trader.email}"
    [event] = AuditEvent.objects.all()
    assert (event.action, event.changes["rows"]) == ("user.exported", [None, 1])


def test_filters_narrow_a_list_and_stand_in_its_address(broker, desk):
    case = Case(broker)
    person = desk("Viewer").open(f"/admin/trading/trade/?outcome=loss&user={case.trader.pk}")
    assert person.row_ids() == [case.trades[1].pk]

    person.page.get_by_role("search").get_by_role("textbox").fill("anna-trade-1")
    person.page.keyboard.press("Enter")
    person.page.wait_for_url("**q=anna-trade-1**")

    assert "outcome=loss" in person.page.url
    assert person.row_ids() == []
