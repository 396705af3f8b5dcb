"""What plays a case: the platform on a port, a browser, and people of each role who have logged in with it."""

import os

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from accounts.tests.factories import StaffFactory, SuperuserFactory
from support_platform.wsgi import Handler

from . import chromium
from .desk import Desk
from .server import Server

HOW_TO = "no Chromium here: apt install chromium (Debian, Ubuntu), or name yours: CHROMIUM=/path/to/chrome script/test"
HERE = os.path.basename(os.path.dirname(__file__))


def pytest_collection_modifyitems(items):
    if chromium.find() is None:
        for item in items:
            if item.nodeid.startswith(f"{HERE}/"):
                item.add_marker(pytest.mark.skip(reason="no Chromium"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """The last line of all, where nobody overlooks it."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(config, "workerinput"):
        return
    skipped = [report for report in terminal.stats.get("skipped", ()) if report.nodeid.startswith(f"{HERE}/")]
    if skipped and chromium.find() is None:
        terminal.write_line(f"{len(skipped)} browser tests were skipped: {HOW_TO}")


@pytest.fixture(scope="session")
def application():
    return Handler()


@pytest.fixture(scope="session")
def browser():
    """
    One for all tests of this process.

    Playwright keeps an event loop running in this thread from here on. Django takes that for a sign of asynchronous
    code, and would refuse the database to every test that follows.
    """
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        expect.set_options(timeout=chromium.PATIENCE_MS)
        started = chromium.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def server(real_database, application, settings):
    running = Server(application)
    settings.PUBLIC_URL = running.url
    yield running
    running.close()


@pytest.fixture
def window(browser, server):
    """Opens browsers that know nothing of each other: `window()` gives one, `window(user)` of someone logged in."""
    opened = []

    def open_window(user=None, **options):
        context = browser.new_context(
            base_url=server.url, **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(chromium.PATIENCE_MS)
        watch = chromium.Watch(context, server.url)
        if user is not None:
            client = Client()
            client.force_login(user)
            name = django_settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": server.url}])
        opened.append(Desk(context.new_page(), watch, user))
        return opened[-1]

    yield open_window
    for desk in opened:
        desk.page.context.close()
    for desk in opened:
        desk.watch.assert_nothing_wrong()


@pytest.fixture
def people(broker, other_broker):
    """Makes the person of a role: Viewer, Agent, Supervisor, superuser, foreign Agent."""

    def make(role):
        if role == "superuser":
            return SuperuserFactory()
        foreign, role = role.startswith("foreign "), role.removeprefix("foreign ")
        return StaffFactory(broker=other_broker if foreign else broker, role=role)

    return make


@pytest.fixture
def desk(window, people):
    """Opens the browser of a person of this role, logged in."""
    return lambda role, **options: window(people(role), **options)
