"""The trader's pages as pages: for every browser, screen reader and screen, loading nothing from elsewhere."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from accounts import operations
from accounts.tests.browser import EMAIL_PAGE, PASSWORD_PAGE, Browser
from accounts.tests.factories import StaffFactory
from support_platform.audit import Actor

BY = Actor(name="test")


@pytest.fixture
def pages(trader):
    """Every page, by name."""
    browser, found = Browser(), {}
    operations.reset_password(trader, by=BY)
    operations.change_contact(trader, by=BY, email="new@demo.example")
    trader.refresh_from_db()
    found["form"] = browser.open(operations.links.reset_link(trader))
    found["errors"] = browser.set_password("short", "other")
    found["changed"] = browser.set_password()
    found["dead"] = browser.open(PASSWORD_PAGE)
    found["confirm"] = browser.open(operations.links.email_link(trader))
    found["confirmed"] = browser.submit(EMAIL_PAGE)
    return found


def test_each_page_is_whole_and_loads_only_our_stylesheet(pages):
    for name, page in pages.items():
        html = page.content.decode()
        assert html.startswith('<!DOCTYPE html>\n<html lang="en">'), name
        assert len(re.findall("<h1>", html)) == 1
        assert re.search(r"<title>[^<]{10,}</title>", html)
        assert 'name="viewport" content="width=device-width, initial-scale=1"' in html
        assert "<script" not in html and "style=" not in html and "<style" not in html
        assert set(re.findall(r'(?:src|href)="([^"]*)"', html)) <= {
            "data:,",
            "/static/account/account.css",
            "#id_password",
            "#id_repeated",
        }
        assert finders.find("account/account.css")


def test_each_page_is_kept_by_no_cache_and_framed_by_nobody(pages):
    for page in pages.values():
        assert "no-store" in page["Cache-Control"]
        assert page["X-Frame-Options"] == "DENY"
        assert page["Referrer-Policy"] == "same-origin"
        assert page["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
        assert "script-src" not in page["Content-Security-Policy"]
        assert "unsafe" not in page["Content-Security-Policy"]


def test_every_page_but_the_dead_link_names_the_broker(pages):
    named = {name for name, page in pages.items() if '<p class="broker">Demo</p>' in page.content.decode()}

    assert named == pages.keys() - {"dead"}


def test_errors_are_tied_to_their_fields(pages):
    html = pages["errors"].content.decode()

    assert "<title>Error: " in html
    for name, described in (("password", "id_password_helptext id_password_error"), ("repeated", None)):
        assert f'<label for="id_{name}">' in html
        [field] = re.findall(rf'<input type="password" name="{name}"[^>]*>', html)
        if described:
            assert 'aria-invalid="true"' in field
            assert f'aria-describedby="{described}"' in field
            assert all(f'id="{part}"' in html for part in described.split())
            assert f'<a href="#id_{name}">' in html
    assert 'role="alert"' in html


def test_a_dead_link_page_knows_nothing_of_who_is_logged_in(broker):
    browser = Browser()
    browser.client.force_login(StaffFactory(broker=broker))

    page = browser.open(PASSWORD_PAGE)

    assert "Demo" not in page.content.decode()


def test_the_stylesheet_is_for_light_dark_and_visible_focus():
    css = Path(finders.find("account/account.css")).read_text()

    assert "prefers-color-scheme: dark" in css and ":focus-visible" in css
    assert "url(" not in css and "@import" not in css


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    css = Path(finders.find("account/account.css")).read_text()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#\w{6})", part)) for part in css.split("@media", 2)[:2])
    colour = light if scheme == "light" else light | dark

    for ink, ground, least in (
        ("ink", "sheet", 7),
        ("quiet", "sheet", 4.5),
        ("accent", "sheet", 4.5),
        ("on-accent", "accent", 4.5),
        ("wrong", "sheet", 4.5),
        ("wrong", "wrong-ground", 4.5),
        ("ink", "wrong-ground", 7),
        ("line", "sheet", 3),
    ):
        assert contrast(colour[ink], colour[ground]) >= least, (ink, ground)


def contrast(one, other):
    """WCAG 2.2, relative luminance and contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
