"""What the three analytics APIs answer is what the pages show, digit by digit, with charts to look at."""

import re

import pytest
from playwright.sync_api import expect

from conftest import Api
from support_platform.tests.console import address

from .stage import Case


def plain(number):
    return f"{number:.6f}".rstrip("0").rstrip(".")


# What each API answers of a trader, a strategy or a deployment, as the pages write it.
FIGURES = {
    "performance": lambda answer: {
        "PnL, net": answer["pnl"],
        "Fees": answer["fees"],
        "Win rate": f"{answer['win_rate'] * 100:.4f} %",
        "Max drawdown": answer["max_drawdown"]["absolute"],
    },
    "latency": lambda answer: {
        "Acknowledgement": plain(answer["stages"]["acknowledgement"]["p50"]),
        "Execution": plain(answer["stages"]["execution"]["p95"]),
        "Total": plain(answer["stages"]["total"]["p99"]),
    },
    "slippage": lambda answer: {
        "Mean": plain(answer["mean_bps"]) + " bps",
        "p95": plain(answer["p95_bps"]) + " bps",
        "Total cost": answer["total_cost"],
    },
}
SCOPES = {"user": "trader", "strategy": "running", "deployment": "deployment"}


@pytest.mark.parametrize("scope", SCOPES)
def test_the_pages_show_what_the_api_answers(scope, broker, people, window):
    case = Case(broker)
    row, user = getattr(case, SCOPES[scope]), people("Viewer")
    person = window(user).open(row)

    for name, read in FIGURES.items():
        panel = person.page.get_by_role("region", name=name.capitalize(), exact=True)
        answer = Api(user).get(f"analytics/{name}/", **{scope: row.pk}).json()
        for label, figure in read(answer).items():
            named = panel.locator("dl > div, tr").filter(has_text=re.compile(rf"^\s*{label}"))
            expect(named).to_contain_text(figure)
        chart = panel.get_by_role("img").first
        expect(chart).to_be_visible()
        assert chart.evaluate("canvas => canvas.width") > 0


def test_figures_that_do_not_come_say_so(broker, desk):
    case, person = Case(broker), desk("Viewer")
    path = address(case.trader, "slippage", case.trader.pk)
    person.watch.expect(503, path)
    person.page.route(f"**{path}", lambda route: route.fulfill(status=503, body="away"))
    person.page.goto(address(case.trader))

    person.sees("Not shown: the server answered 503. Load the page again in a minute.")
    expect(person.page.get_by_role("region", name="Latency", exact=True)).to_contain_text("p95")


def test_a_trade_is_explained(broker, desk):
    case = Case(broker)
    person = desk("Viewer").open(case.trades[0])

    went = person.page.get_by_role("region", name="How it went", exact=True)
    for text in ("signal → sent 50 ms", "sent → acknowledged 120 ms", "acknowledged → filled 80 ms", "250 ms in all"):
        expect(went).to_contain_text(text)
    expect(person.page.get_by_role("region", name="Corrections")).to_contain_text("Never corrected.")


def test_what_was_corrected_stands_on_the_trades_page(broker, desk):
    case = Case(broker)
    person = desk("Supervisor").open(case.trades[1])

    person.operate("Correct trade", result="25", reason="sign was wrong")
    person.close("Correct trade")

    corrections = person.page.get_by_role("region", name="Corrections", exact=True)
    for text in ("-25", "25", "sign was wrong", person.user.email):
        expect(corrections).to_contain_text(text)
