"""The trader's own pages: from the mailed link to a new password or a confirmed address, under the strict policy."""

import re

from accounts.tests.browser import NEW_PASSWORD, link_in, mails_to

from .stage import Case


def test_a_trader_sets_a_new_password_by_the_mailed_link_once(broker, desk, window):
    case = Case(broker)
    desk("Agent").open(case.trader).operate("Reset password")
    [mail] = mails_to(case.trader.email)
    trader = window()

    trader.page.goto(link_in(mail))
    trader.fill(new_password="password", the_same="password")
    trader.page.get_by_role("button").click()
    trader.sees("too common")
    trader.fill(new_password=NEW_PASSWORD, the_same=NEW_PASSWORD)
    trader.page.get_by_role("button").click()
    trader.sees("password")

    case.trader.refresh_from_db()
    assert case.trader.check_password(NEW_PASSWORD)
    trader.page.goto(link_in(mail))
    trader.watch.expect(400, "/account/password/")
    trader.sees("This link does not work")
    assert link_in(mail) not in trader.page.url


def test_a_new_address_holds_once_its_owner_has_confirmed_it(broker, desk, window):
    case = Case(broker)
    person = desk("Agent").open(case.trader)
    person.operate("Change e-mail or phone", **{"e-mail": "new@demo.example"})
    [confirmation], [notice] = mails_to("new@demo.example"), mails_to("anna@demo.example")
    assert "new@demo.example" not in link_in(confirmation) and notice
    trader = window()

    trader.page.goto(link_in(confirmation))
    trader.page.get_by_role("button").click()
    trader.sees(re.compile("confirmed|now"))

    case.trader.refresh_from_db()
    assert (case.trader.email, case.trader.pending_email) == ("new@demo.example", None)
