"""
The pictures of the README and the docs, of a server with demo data (script/screenshots).

python -m browser.screenshots URL FOLDER
"""

import sys
import time
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import expect, sync_playwright

from . import chromium

PASSWORD = "support-demo-1"
SIZE = {"width": 1280, "height": 800}
TELEPHONE = {"width": 390, "height": 844}


def main(url, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wait_for(url)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        for scheme in ("light", "dark"):
            page = logged_in(browser, url, color_scheme=scheme, viewport=SIZE)
            for name, (open_page, schemes) in PICTURES.items():
                if scheme in schemes:
                    open_page(page)
                    picture(page, folder / f"{name}-{scheme}.png")
        page = logged_in(browser, url, viewport=TELEPHONE)
        open_trader(page)
        picture(page, folder / "trader-narrow.png")
        browser.close()


def wait_for(url, seconds=60):
    """The server has just been started."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            urlopen(f"{url}/health/ready/", timeout=10).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{url} did not answer within {seconds} seconds.")


def logged_in(browser, url, **options):
    context = browser.new_context(base_url=url, reduced_motion="reduce", **options)
    context.set_default_timeout(chromium.PATIENCE_MS)
    page = context.new_page()
    page.goto("/admin/login/")
    page.get_by_label("E-mail").fill("supervisor@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    return page


def picture(page, path):
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled")
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


# --- the pages ------------------------------------------------------------------------------------------
def open_home(page):
    page.goto("/admin/")


def open_trader(page):
    page.goto("/admin/accounts/user/?q=trader1@demo.example")
    page.get_by_role("link", name="trader1@demo.example").first.click()
    expect(page.get_by_role("group", name="Actions")).to_be_visible()


def open_figures(page):
    open_trader(page)
    page.get_by_role("region", name="Performance", exact=True).scroll_into_view_if_needed()
    expect(page.get_by_role("img").first).to_be_visible()
    page.get_by_role("region", name="Performance", exact=True).evaluate("panel => panel.scrollIntoView()")


def open_trade(page):
    page.goto("/admin/trading/trade/?status=closed&outcome=loss&q=trader1@demo.example")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_role("region", name="How it went", exact=True)).to_be_visible()
    page.get_by_role("region", name="How it went", exact=True).evaluate("panel => panel.scrollIntoView()")


def open_correction(page):
    open_trade(page)
    page.get_by_role("group", name="Actions").get_by_role("button", name="Correct trade").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Result").fill("125")
    dialog.get_by_label("Reason").fill("The statement says 125; ticket 4711.")
    dialog.get_by_role("button", name="Show what will happen").click()
    expect(page.get_by_text("Nothing has been changed yet.")).to_be_visible()


PICTURES = {
    "home": (open_home, ("light", "dark")),
    "trader": (open_trader, ("light",)),
    "figures": (open_figures, ("dark",)),
    "trade": (open_trade, ("light",)),
    "correction": (open_correction, ("light",)),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
