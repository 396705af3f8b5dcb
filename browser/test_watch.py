"""What watches every page can itself be wrong: each fault that it is there for is made once."""

import pytest

FAULTS = {
    "Content Security Policy": "document.head.append(Object.assign(document.createElement('script'), {text: 'x = 1'}))",
    "console error": "console.error('a complaint')",
    "script error": "setTimeout(() => { throw new Error('a mistake') })",
}


@pytest.mark.parametrize(("told", "script"), FAULTS.items(), ids=FAULTS)
def test_a_fault_behind_the_page_is_told(told, script, desk):
    person = desk("Viewer").open()

    person.page.evaluate(script)
    with person.page.expect_response("**/health/live/"):
        person.page.evaluate("fetch('/health/live/')")

    assert any(told in fault for fault in person.watch.faults)
    person.watch.faults.clear()


def test_a_request_that_leaves_the_server_is_told_and_goes_nowhere(desk):
    person = desk("Viewer").open()

    with person.page.expect_popup() as popup:
        person.page.evaluate("window.open('http://elsewhere.example/')")
    popup.value.wait_for_url("chrome-error://**")

    assert person.watch.faults == ["request to elsewhere: http://elsewhere.example/"]
    person.watch.faults.clear()


def test_an_answer_that_nobody_expected_is_told(desk):
    person = desk("Viewer")

    person.page.goto("/admin/no/such/page/")

    assert person.watch.answers == [(404, "/admin/no/such/page/")]
    person.watch.expect(404, "/admin/no/such/page/")
