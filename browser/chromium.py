"""The browser: where it is on this machine, how it is started, and what goes wrong in it unseen."""

import os
import shutil
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks of another host fails, without a question to any name server.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
# For a machine that is slow and busy; nothing waits longer than it must. Whoever writes tests may like less.
PATIENCE_MS = float(os.environ.get("BROWSER_PATIENCE", 30)) * 1000
# Of answers, by the browser and by htmx: `Watch` hears of the answer itself.
NOT_FAULTS = ("Failed to load resource: the server responded with a status of", "Response Status Error Code ")


def find():
    """
    The path of a Chromium on this machine, or None.

    :raises RuntimeError: if CHROMIUM names one that is not there
    """
    named = os.environ.get("CHROMIUM")
    if named:
        path = shutil.which(named)
        if path is None:
            raise RuntimeError(f"CHROMIUM is {named}, which is no program on this machine.")
        return path
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright):
    return playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)


class Watch:
    """
    Listens to a browser context for what a person would not see: requests that leave the server, errors in the
    console (violations of the content security policy among them), errors of scripts, and answers that are errors.

    An answer that the test is about is named before: `expect(status, path)`.
    """

    def __init__(self, context, origin):
        self.origin = origin
        self.faults = []
        self.answers = []
        self.expected = []
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))

    def expect(self, status, path):
        self.expected.append((status, path))

    def assert_nothing_wrong(self):
        assert self.faults == [], self.faults
        assert sorted(self.answers) == sorted(self.expected), f"{self.answers}, expected were {self.expected}"

    def _request(self, request):
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.faults.append(f"request to elsewhere: {request.url}")

    def _response(self, response):
        if response.status >= 400:
            self.answers.append((response.status, urlsplit(response.url).path))

    def _console(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(NOT_FAULTS):
            self.faults.append(f"console {message.type}: {message.text} ({message.location.get('url')})")
