"""Home: what needs attention comes first, and leads to where it is settled."""

from accounts import operations
from support_platform.audit import Actor

from .stage import Case


def test_what_needs_attention_leads_to_where_it_is_settled(broker, desk):
    case = Case(broker)
    operations.set_status(case.trader, "inactive", by=Actor("command"), deployments="leave")
    person = desk("Agent").open("/admin/")

    attention = person.page.get_by_role("region", name="Needs attention", exact=True)
    attention.get_by_role("link", name="anna@demo.example").first.click()
    person.page.wait_for_url(f"**/admin/trading/deployment/{case.deployment.pk}/change/**")
    person.operate("Stop", reason="the account is closed")
    case.deployment.refresh_from_db()

    assert case.deployment.status == "stopped"
    person.open("/admin/")
    assert person.page.get_by_role("link", name="anna@demo.example").count() == 0


def test_what_happens_elsewhere_needs_nobodys_attention_here(other_broker, desk):
    case = Case(other_broker)
    operations.set_status(case.trader, "inactive", by=Actor("command"), deployments="leave")

    person = desk("Agent").open("/admin/").settle()

    assert "anna@demo.example" not in person.main.inner_text()
