"""A person at the console: what they do there, in the words that the pages use."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from support_platform.tests.console import address

# The button on a row's page that changes its values, whatever the row is.
CHANGE = re.compile(r"^(Change (e-mail or phone|deployment|account|broker)|Correct trade)$")


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

    @property
    def path(self):
        return urlsplit(self.page.url).path

    # --- what is on the page --------------------------------------------------------------------------
    @property
    def main(self):
        return self.page.locator("#main")

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def sees(self, text):
        """Waits until the page shows the text."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def offered(self, *names):
        """Which of these buttons this person has on the page."""
        return [name for name in names if self.button(name).count()]

    def rows(self):
        """The list's rows, each as its cells {heading: text}."""
        table = self.page.locator("#result_list")
        heads = [re.sub(r"\s+", " ", head).strip() for head in table.locator("thead th").all_inner_texts()]
        return [
            dict(zip(heads, (cell.strip() for cell in row.locator("th, td").all_inner_texts()), strict=False))
            for row in table.locator("tbody tr").all()
        ]

    # --- to change something --------------------------------------------------------------------------
    def fill(self, **values):
        """Fields of the open form by the beginning of their label, spaces as underscores; a bool ticks a box."""
        for label, value in values.items():
            label = re.compile(rf"^\s*{re.escape(label).replace('_', '.')}", re.IGNORECASE)
            field = self.asked.get_by_label(label).locator("visible=true").first
            expect(field).to_be_visible()
            if isinstance(value, bool):
                field.set_checked(value)
            elif field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    @property
    def asked(self):
        """The dialog that is open, or the page that asks in its place."""
        return self.page.locator("#operation")

    def save(self, *, reason="asked by phone", **values):
        """Change fields of the row whose page is open."""
        self.operate(self.page.get_by_role("button", name=CHANGE).inner_text(), reason=reason, **values)

    def operate(self, name, *, reason="asked by phone", **answers):
        """Press the button, answer what is asked, look at what will happen, confirm."""
        self.button(name).click()
        self.fill(**answers, reason=reason)
        self.asked.get_by_role("button", name="Show what will happen").click()
        self.asked.get_by_role("button", name=name, exact=True).click()

    def choose(self, action, *names):
        """Tick the rows of the open list that hold these texts, and run an action of the list's menu."""
        for name in names:
            self.page.get_by_role("row").filter(has_text=name).get_by_role("checkbox").check()
        self.page.get_by_role("combobox", name="Action").select_option(action)
        self.button("Run").click()

    def sees_done(self):
        """Waits for the console's answer to a change, which is that it was made."""
        expect(self.asked.get_by_role("status")).to_have_text("Done.")
