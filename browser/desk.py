"""A person at the console: what they do there, in the words that the pages use."""

import re
from contextlib import suppress
from urllib.parse import urlsplit

from playwright.sync_api import expect

from support_platform.tests.console import address

from .chromium import PATIENCE_MS


class Desk:
    """One tab of a person's browser. `user` is who has logged in, if anyone."""

    def __init__(self, page, watch, user=None):
        self.page = page
        self.watch = watch
        self.user = user

    def tab(self):
        """Another tab of the same browser."""
        return Desk(self.page.context.new_page(), self.watch, self.user)

    # --- to go somewhere ------------------------------------------------------------------------------
    def open(self, subject="/admin/", status=200):
        """A page by its address, a model's list, or a row's page."""
        path = subject if isinstance(subject, str) else address(subject)
        if status >= 400:
            self.watch.expect(status, path.partition("?")[0])
        answer = self.page.goto(path)
        assert answer.status == status, f"{path}: {answer.status}"
        return self

    def search(self, term):
        """Ctrl-K and a few letters, from wherever one is. Who sees no field after a while presses again."""
        field = self.page.get_by_placeholder("Type to search")
        for _ in range(5):
            self.page.keyboard.press("Control+k")
            with suppress(AssertionError):
                expect(field).to_be_focused(timeout=PATIENCE_MS / 6)
                break
        expect(field).to_be_focused()
        self.page.keyboard.type(term)

    def finds(self, text):
        """Waits until what is likeliest is this; the enter key then leads there."""
        expect(self.page.locator("#command-results-list").get_by_role("listitem").first).to_contain_text(text)

    def log_out(self):
        self.page.get_by_text(self.user.email if self.user else "@").locator("visible=true").last.click()
        self.page.get_by_role("button", name="Log out").click()
        expect(self.page.get_by_text("Logged out").first).to_be_visible()

    def settle(self):
        """Waits until the panels that come after the page are there."""
        expect(self.page.locator(".later")).to_have_count(0)
        return self

    def tab_to(self, target):
        """Presses the tab key until the target has the focus."""
        for _ in range(100):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"The tab key does not lead to {target}.")

    @property
    def path(self):
        return urlsplit(self.page.url).path

    # --- what is on the page --------------------------------------------------------------------------
    @property
    def main(self):
        return self.page.locator("#main")

    def button(self, name):
        """By its name, behind which an icon may follow: to a browser that is a word of a special font."""
        return self.page.get_by_role("button", name=re.compile(rf"^{re.escape(name)}( [a-z_]+)?$"))

    def actions(self):
        """What the page of a row offers this person to do with it, and everyone else to look at."""
        group = self.page.get_by_role("group", name="Actions")
        expect(group).to_be_visible()
        return group.get_by_role("button").all_inner_texts()

    def sees(self, text):
        """Waits until the page shows the text."""
        expect(self.page.get_by_text(text).locator("visible=true").first).to_be_visible()

    def menu(self):
        """The pages that the side bar leads to. An icon is a word of a special font before the name."""
        links = self.page.get_by_role("navigation").first.get_by_role("listitem").get_by_role("link")
        return {text.split("\n")[-1].strip() for text in links.all_inner_texts()}

    def row_ids(self):
        """The ids of the open list's rows, from top to bottom."""
        boxes = self.page.locator("#result_list input[name=_selected_action]")
        return [int(box.get_attribute("value")) for box in boxes.all()]

    # --- to change something: ask, preview, confirm, receipt ---------------------------------------------
    def step(self, operation, step=""):
        """The part of the page, or of the dialog over it, in which an operation is at this step."""
        found = self.page.get_by_role("region", name=re.compile(rf"^{re.escape(operation)}: "))
        return found.and_(self.page.locator(f"[data-step={step}]")) if step else found

    def ask(self, operation):
        """Press the button on a row's page."""
        self.page.get_by_role("group", name="Actions").get_by_role("button", name=operation, exact=True).click()
        expect(self.step(operation, "ask")).to_be_visible()

    def fill(self, within=None, **values):
        """Fields by the beginning of their label, spaces as underscores; a bool ticks a box."""
        for label, value in values.items():
            label = re.compile(rf"^\s*{re.escape(label).replace('_', '.')}", re.IGNORECASE)
            field = (within or self.page).get_by_label(label).first
            expect(field).to_be_visible()
            if isinstance(value, bool):
                field.set_checked(value)
            elif field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def preview(self, operation, *, reason="asked by phone", **answers):
        """Answer what is asked, and see what would happen: the words of the preview."""
        asked = self.step(operation, "ask")
        self.fill(asked, **answers, reason=reason)
        asked.get_by_role("button", name="Show what will happen").click()
        shown = self.step(operation, "preview")
        expect(shown).to_be_visible()
        return shown.inner_text()

    def confirm(self, operation):
        """Have it done: the words of the receipt."""
        self.step(operation, "preview").get_by_role("button", name=operation, exact=True).click()
        receipt = self.step(operation, "receipt")
        expect(receipt.get_by_role("status")).to_be_visible()
        return receipt.inner_text()

    def close(self, operation):
        """Close the receipt; the page below is then as it is now."""
        with self.page.expect_navigation():
            self.step(operation, "receipt").get_by_role("link", name=re.compile("^Back to ")).click()

    def operate(self, operation, **answers):
        """All of it on the page of a row: the words of the receipt."""
        self.ask(operation)
        self.preview(operation, **answers)
        return self.confirm(operation)

    def choose(self, operation, *names):
        """Tick the rows of the open list that hold these texts, and take an operation of the list's menu."""
        for name in names:
            self.page.get_by_role("row").filter(has_text=name).get_by_role("checkbox").check()
        self.page.locator("select[name=action]").select_option(label=operation)
        self.page.get_by_title("Run the selected action").click()
