"""A browser without a screen: cookies, and forms sent back with the hidden fields of their page."""

import http.client
import re
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from .client import Answer
from .servers import HOST

FIELD = re.compile(r"<input\b[^>]*>")
ATTRIBUTE = re.compile(r'(name|value|type)="([^"]*)"')


class Browser:
    """Each request has a connection of its own; `page` is the last answer."""

    def __init__(self, server):
        self.server = server
        self.cookies = {}
        self.page = None

    def open(self, path):
        self.page = self._send("GET", path)
        while self.page.status in (301, 302):
            self.page = self._send("GET", self.page.header("Location"))
        return self.page

    def submit(self, path, headers=None, **values):
        """
        Post the fields of the page that is open, with these values, and do not follow where that leads.

        :raises OSError, http.client.HTTPException: if there was no answer; the page stays open
        """
        return self._send("POST", path, urlencode({**self.fields(), **values}), headers)

    def fields(self):
        """What the page's form would send back unchanged, buttons and unticked boxes left out."""
        found = {}
        for tag in FIELD.findall(self.page.body.decode()):
            attributes = {name: unescape(value) for name, value in ATTRIBUTE.findall(tag)}
            if "name" in attributes and attributes.get("type") not in ("submit", "checkbox", "radio", "search"):
                found[attributes["name"]] = attributes.get("value", "")
        return found

    def _send(self, method, path, form=None, headers=None):
        parts = urlsplit(path)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookies, "Connection": "close", **(headers or {})}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=60)
        try:
            connection.request(method, target, form, sent)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for morsel in SimpleCookie(line).values():
                self.cookies[morsel.key] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[morsel.key]
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
