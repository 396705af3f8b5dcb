import re

from django.conf import settings
from django.core import mail
from django.test import Client, TestCase

from accounts.tests.factories import PASSWORD

NEW_PASSWORD = "violet tram 48 lantern"
PASSWORD_PAGE, EMAIL_PAGE = "/account/password/", "/account/email/"


class Browser:
    """A trader's browser: follows redirects, keeps cookies, posts a form with the CSRF token of its page."""

    def __init__(self):
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.page = None

    def open(self, url):
        self.page = self.client.get(path_of(url), follow=True)
        return self.page

    def submit(self, path, **fields):
        if self.page:
            hidden = re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', self.page.content.decode())
            fields = {**dict(hidden), **fields}
        with TestCase.captureOnCommitCallbacks(execute=True):
            self.page = self.client.post(path, fields)
        return self.page

    def set_password(self, password=NEW_PASSWORD, repeated=None):
        return self.submit(PASSWORD_PAGE, password=password, repeated=password if repeated is None else repeated)


def path_of(url):
    return url.removeprefix(settings.PUBLIC_URL)


def link_in(message):
    """The link of a mail: the one line of its text that begins with our address."""
    [link] = [line for line in message.body.splitlines() if line.startswith(settings.PUBLIC_URL)]
    return link


def mails_to(address):
    return [message for message in mail.outbox if message.to == [address]]


def is_dead_link_page(page):
    return page.status_code == 400 and "This link does not work" in page.content.decode()


def open_form(link):
    browser = Browser()
    page = browser.open(link)
    assert page.status_code == 200, page.content
    return browser


def password_of(user):
    user.refresh_from_db()
    return PASSWORD if user.check_password(PASSWORD) else NEW_PASSWORD if user.check_password(NEW_PASSWORD) else None


def link_token(link):
    return link.rstrip("/").rpartition("/")[2]
