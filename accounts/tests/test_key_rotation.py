"""SECRET_KEY and the tokens' key are replaced without anybody noticing, and at once when one has leaked."""

from datetime import timedelta

import pytest
from rest_framework_simplejwt import state
from rest_framework_simplejwt.backends import TokenBackend

from accounts import tokens
from accounts.models import ApiSession
from accounts.tests.browser import link_in, open_form
from accounts.tests.factories import TraderFactory
from conftest import Api
from support_platform.tests.console import Console

OLD, NEW = "old-" + "k8-Vq2" * 12, "new-" + "p3_Xw9" * 12


@pytest.fixture
def signs(settings, monkeypatch):
    """Sign with this key from now on, and still read what these earlier ones signed."""

    def use(key, *earlier):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, list(earlier)
        settings.JWT_SIGNING_KEY_FALLBACKS = list(earlier)
        monkeypatch.setattr(state, "token_backend", TokenBackend("HS256", key))

    use(OLD)
    return use


@pytest.fixture
def pair(signs, viewer, anonymous):
    session = ApiSession.objects.get(user=viewer.user)
    access, _, _ = tokens.issue("access", session)
    refresh, session.refresh_id, _ = tokens.issue("refresh", session)
    session.save()
    return {"access": access, "refresh": refresh}


def test_tokens_of_the_earlier_key_work_until_it_is_taken_away(signs, pair, anonymous):
    signs(NEW, OLD)

    assert Api(token=pair["access"]).get("users/").status_code == 200
    answer = anonymous.post("auth/token/refresh/", {"refresh": pair["refresh"]})
    assert answer.status_code == 200
    renewed = answer.json()
    signs(NEW)
    assert Api(token=pair["access"]).get("users/").status_code == 401
    assert Api(token=renewed["access"]).get("users/").status_code == 200
    assert anonymous.post("auth/token/refresh/", {"refresh": renewed["refresh"]}).status_code == 200


def test_of_several_earlier_keys_each_is_read(signs, pair):
    signs(NEW, "another-" + NEW, OLD)

    assert Api(token=pair["access"]).get("users/").status_code == 200


def test_a_leaked_key_is_replaced_without_a_fallback(signs, pair, anonymous):
    assert Api(token=pair["access"]).get("users/").status_code == 200
    signs(NEW)

    assert Api(token=pair["access"]).get("users/").status_code == 401
    assert anonymous.post("auth/token/refresh/", {"refresh": pair["refresh"]}).status_code == 401


def test_an_earlier_key_weakens_no_other_check(signs, pair, viewer):
    session = ApiSession.objects.get(user=viewer.user)
    expired, _, _ = tokens.issue("access", session, lifetime=timedelta(seconds=-1))

    signs(NEW, OLD)

    assert tokens.read(pair["refresh"], kind="access") is None
    assert tokens.read(pair["access"], kind="refresh") is None
    assert tokens.read(expired, kind="access") is None
    assert tokens.read(pair["access"], kind="access") is not None


@pytest.mark.parametrize(("fallbacks", "title"), [([OLD], "Your password is changed"), ([], "does not work")])
def test_a_mailed_link_and_its_open_form(signs, agent, trader, mailoutbox, fallbacks, title):
    agent.post(f"users/{trader.pk}/password-reset/")
    browser = open_form(link_in(mailoutbox[0]))

    signs(NEW, *fallbacks)

    assert title in browser.set_password().content.decode()


def test_a_cursor(signs, viewer, broker):
    TraderFactory.create_batch(3, broker=broker)
    following = viewer.get("users/", page_size=1).json()["next"]

    signs(NEW, OLD)
    assert Api(viewer.user).get(following).status_code == 200
    signs(NEW)
    assert Api(viewer.user).get(following).status_code == 400


def test_a_console_session_goes_on_and_is_signed_anew(signs, viewer):
    console = Console(viewer.user)
    signs(NEW, OLD)
    assert console.get("/admin/").status_code == 200

    signs(NEW)
    assert console.get("/admin/").status_code == 200


def test_a_console_session_ends_without_the_fallback(signs, viewer):
    console = Console(viewer.user)

    signs(NEW)

    assert console.get("/admin/").status_code == 302
