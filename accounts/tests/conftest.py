import pytest

from accounts import session_operations
from accounts.tests.browser import link_in, mails_to
from accounts.tests.factories import StaffFactory
from support_platform.audit import Actor


@pytest.fixture(autouse=True)
def always_in_one_window(one_window):
    """For every test here."""


@pytest.fixture
def reset(agent, trader):
    """Resets the trader's password and gives the mailed link."""

    def ask(**kwargs):
        answer = agent.post(f"users/{trader.pk}/password-reset/", **kwargs)
        assert answer.status_code == 202, answer.content
        return link_in(mails_to(trader.email)[-1])

    return ask


@pytest.fixture
def change_email(agent, trader):
    """Asks for a new address of the trader and gives the link that was mailed to it."""

    def ask(email="new@elsewhere.example"):
        answer = agent.patch(f"users/{trader.pk}/", {"email": email})
        assert answer.status_code == 200, answer.content
        return link_in(mails_to(email)[-1])

    return ask


@pytest.fixture
def staff(broker):
    return StaffFactory(broker=broker, role="Agent")


@pytest.fixture
def pair(staff):
    return session_operations.log_in(staff, by=Actor.of(staff))
