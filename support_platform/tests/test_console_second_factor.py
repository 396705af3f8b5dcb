"""The second step of the console's login, the page that sets it up, and where one may go without it."""

import re

import pytest

from accounts.models import RecoveryCode, SecondFactor, StaffAccount, User
from accounts.tests.authenticator import Authenticator
from accounts.tests.factories import KEY, PASSWORD, SecondFactorFactory
from support_platform.tests.console import Console, address, messages_of, text_of
from support_platform.tests.test_console_login import LOGIN, log_in

CODE, PAGE, SESSIONS = "/admin/login/code/", "/admin/second_factor/", "/admin/sessions/"
RECOVERY = "abcd-efgh-ijkl-mnop"
pytestmark = pytest.mark.usefixtures("one_window")


@pytest.fixture
def factor(agent):
    return SecondFactorFactory(user=agent.user)


@pytest.fixture
def half_way(agent, factor):
    """A browser in which the agent's password was right."""
    console = Console()
    assert log_in(agent.user.email, console=console)["Location"] == CODE
    return console


@pytest.fixture
def no_waiting(monkeypatch):
    """Without the wait after a wrong code, for tests of what else there is."""
    monkeypatch.setattr(SecondFactor, "get_throttle_factor", lambda factor: 0)


def enter(console, code, **extra):
    return console.post(CODE, {"code": code, **extra})


# --- login ------------------------------------------------------------------------------------------------
def test_the_password_alone_opens_nothing(agent, half_way, events):
    assert half_way.get("/admin/").status_code == 302
    assert half_way.get(address(StaffAccount))["Location"].startswith(LOGIN)
    assert half_way.post("/admin/password_change/", {"old_password": PASSWORD}).status_code == 302
    assert half_way.get(PAGE)["Location"].startswith(LOGIN)
    assert "_auth_user_id" not in half_way.client.session
    assert events(action="user.logged_in") == []


@pytest.mark.parametrize(("kind", "typed"), [("code", None), ("recovery code", RECOVERY)])
def test_a_code_of_either_kind_opens_the_console(agent, half_way, phone, events, kind, typed):
    answer = enter(half_way, typed or phone.code())

    assert answer["Location"] == "/admin/"
    assert half_way.get("/admin/").status_code == 200
    [event] = events(action="user.logged_in")
    assert (event.actor, event.source) == (agent.user.email, "console")
    assert event.changes == {"session": [None, "console"], "second_factor": [None, kind]}
    assert User.objects.get(pk=agent.user.pk).last_login is not None


def test_the_session_gets_a_new_key_with_each_step(agent, factor, phone):
    console = Console()
    console.get(LOGIN)
    log_in(agent.user.email, console=console)
    between = console.client.session.session_key
    enter(console, phone.code())

    assert console.client.session.session_key != between
    assert not console.client.session.get("between_login_steps")


def test_no_code_works_twice(agent, half_way, phone, no_waiting):
    code = phone.code()
    enter(half_way, code)
    enter(half_way, RECOVERY)

    for used in (code, phone.code(-1)):
        again = Console()
        log_in(agent.user.email, console=again)
        answer = enter(again, used)
        assert answer.status_code == 200
        assert "does not work" in text_of(answer)
        assert again.get("/admin/").status_code == 302


def test_a_used_recovery_code_is_refused(agent, half_way, no_waiting):
    enter(half_way, RECOVERY)
    again = Console()
    log_in(agent.user.email, console=again)

    assert "does not work" in text_of(enter(again, RECOVERY))


def test_every_wrong_code_gets_the_same_answer_and_is_logged(half_way, phone, no_waiting, caplog, events):
    wrong = [phone.wrong, phone.code(5), "aaaa-bbbb-cccc-dddd", "x"]
    pages = [text_of(enter(half_way, code)) for code in wrong]

    assert len({page.split("Code")[1] for page in pages}) == 1
    logged = [record for record in caplog.records if "login_failed" in record.getMessage()]
    assert len(logged) == 4
    assert not any(code in caplog.text for code in wrong[:3])
    assert events() == []


@pytest.mark.parametrize("code", ["", " ", "a\x00b", "x" * 41, "９" * 6, "\u202e123456", "' OR 1=1 --", "<script>"])
def test_what_is_no_code_is_a_form_error(half_way, code, no_waiting):
    answer = enter(half_way, code)

    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert "<script>" not in answer.content.decode()


def test_a_post_without_a_code_is_a_form_error(half_way):
    assert "Type the code." in text_of(half_way.post(CODE))


def test_the_limit_is_exact_and_by_account(agent, half_way, phone, no_waiting, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "second_factor": {"staff user": ["3/m"]}}

    answers = [enter(half_way, phone.wrong) for _ in range(3)] + [enter(half_way, phone.code())]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3]["Retry-After"]) <= 61
    assert answers[3]["RateLimit"].startswith('"second_factor";r=0;t=')
    assert "Too many attempts. Try again in" in text_of(answers[3])
    assert half_way.get("/admin/").status_code == 302
    elsewhere = Console()
    log_in(agent.user.email, console=elsewhere)
    assert enter(elsewhere, phone.code()).status_code == 429


def test_after_a_wrong_code_the_next_is_looked_at_a_moment_later(half_way, phone):
    enter(half_way, phone.wrong)
    early = enter(half_way, phone.code())
    SecondFactor.objects.update(throttling_failure_timestamp=None)
    late = enter(half_way, phone.code())

    assert (early.status_code, early["Retry-After"]) == (429, "1")
    assert late.status_code == 302


def test_nobody_comes_to_the_second_step_without_the_first(agent, factor, phone):
    for console in (Console(), Console(agent.user)):
        assert console.get(CODE)["Location"] == LOGIN
        assert enter(console, phone.code())["Location"] == LOGIN
    assert SecondFactor.objects.get().last_step == -1


@pytest.mark.parametrize("change", ["password", "session_version", "is_active", "is_staff"])
def test_the_way_between_the_steps_ends_with_what_ends_a_session(agent, half_way, phone, change):
    user = User.objects.get(pk=agent.user.pk)
    if change == "password":
        user.set_password("another long password")
        user.save()
    else:
        User.objects.filter(pk=user.pk).update(**{change: 9 if change == "session_version" else False})

    assert enter(half_way, phone.code())["Location"] == LOGIN
    assert half_way.get("/admin/").status_code == 302


def test_the_way_between_the_steps_ends_after_five_minutes(half_way, phone, monkeypatch):
    session = half_way.client.session
    session["between_login_steps"] |= {"at": session["between_login_steps"]["at"] - 301}
    session.save()

    assert enter(half_way, phone.code())["Location"] == LOGIN


def test_the_first_step_logs_out_whoever_was_logged_in_there(agent, viewer, factor):
    console = Console(viewer.user)
    console.post(LOGIN, {"username": agent.user.email, "password": PASSWORD})

    assert console.get("/admin/")["Location"].startswith(LOGIN)


def test_where_one_wanted_to_be_comes_along_through_both_steps_and_the_limit(agent, factor, phone, settings):
    wanted = "/admin/trading/trade/?side=long"
    console = Console()
    asked = console.get(wanted)["Location"]
    first = console.get(asked)
    second = console.post(action_of(first), {"username": agent.user.email, "password": PASSWORD})
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "second_factor": {"staff user": ["1/m"]}}
    wrong = console.post(action_of(console.get(second["Location"])), {"code": phone.wrong})
    limited = console.post(action_of(wrong), {"code": phone.code()})
    assert limited.status_code == 429
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "second_factor": {"staff user": ["9/h"]}}
    SecondFactor.objects.update(throttling_failure_timestamp=None)

    assert console.post(action_of(limited), {"code": phone.code()})["Location"] == wanted


def test_the_login_pages_limit_keeps_it_too(viewer, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["1/m"], "e-mail": ["9/m"]}}
    log_in("a@desk.example")
    limited = log_in(viewer.user.email, next="/admin/trading/trade/")
    assert limited.status_code == 429
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["9/h"], "e-mail": ["9/m"]}}

    answer = Console().post(action_of(limited), {"username": viewer.user.email, "password": PASSWORD})

    assert answer["Location"] == "/admin/trading/trade/"


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
def test_no_step_leads_elsewhere(agent, factor, phone, evil):
    console = Console()
    page = console.get(LOGIN, next=evil)
    assert "evil" not in page.content.decode() and "javascript:" not in page.content.decode()

    first = console.post(LOGIN, {"username": agent.user.email, "password": PASSWORD, "next": evil}, next=evil)
    assert first["Location"] == CODE
    assert console.post(CODE, {"code": phone.code()}, next=evil)["Location"] == "/admin/"


def action_of(page):
    from html import unescape

    return unescape(re.search(r'<form action="([^"]*)"', page.content.decode())[1])


def test_the_form_has_the_keys_for_either_kind_of_code(half_way):
    digits, letters = half_way.get(CODE).content.decode(), half_way.get(CODE, recovery="1").content.decode()

    assert 'autocomplete="one-time-code"' in digits and 'inputmode="numeric"' in digits
    assert "inputmode" not in letters
    assert "<label" in digits and 'for="id_code"' in digits


def test_the_api_takes_the_password_alone(agent, factor, anonymous):
    """As its contract says; docs/decisions/0022-second-factor.md tells why."""
    answer = anonymous.post("auth/token/", {"email": agent.user.email, "password": PASSWORD})

    assert answer.status_code == 200


# --- setting it up ----------------------------------------------------------------------------------------
def secret_on(page):
    [text] = re.findall(r'<code class="secret">([A-Z2-7 ]+)</code>', page.content.decode())
    import base64

    return base64.b32decode(text.replace(" ", ""))


def enrol(console, phone, password=PASSWORD, code=None, **query):
    key = secret_on(console.get(PAGE, **query))
    data = {"asked": "enrol", "enrol-password": password, "enrol-code": code or phone.code(key=key)}
    return key, console.post(PAGE, data, **query)


def test_one_sets_it_up_and_sees_ten_codes_this_once(agent, phone, events, caplog):
    here, elsewhere = Console(agent.user), Console(agent.user)

    key, answer = enrol(here, phone)

    codes = re.findall(r'<code class="secret">([a-z2-7-]{19})</code>', answer.content.decode())
    assert len(set(codes)) == 10
    assert answer["Cache-Control"].find("no-store") >= 0 or "max-age=0" in answer["Cache-Control"]
    later = here.get(PAGE)
    assert "10 recovery codes are left" in text_of(later)
    assert not any(code in later.content.decode() for code in codes)
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert agent.get("users/").status_code == 401
    [event] = events(action="staff.second_factor_enrolled")
    assert (event.actor, event.source) == (agent.user.email, "console")
    assert not any(secret in caplog.text + str(event.changes) for secret in (*codes, key.hex()))

    phone.wait()
    again = Console()
    log_in(agent.user.email, console=again)
    assert enter(again, phone.code(key=key))["Location"] == "/admin/"
    again = Console()
    log_in(agent.user.email, console=again)
    assert enter(again, codes[3])["Location"] == "/admin/"


def test_the_key_stays_the_same_until_it_is_confirmed_and_each_account_has_its_own(agent, viewer, phone):
    console = Console(agent.user)
    first = secret_on(console.get(PAGE))
    _, answer = enrol(console, phone, code=phone.wrong)

    assert "not the code" in text_of(answer)
    assert secret_on(answer) == secret_on(console.get(PAGE)) == first
    assert secret_on(Console(viewer.user).get(PAGE)) != first
    assert not SecondFactor.objects.exists()


def test_the_picture_is_in_the_page_and_labelled(agent):
    page = Console(agent.user).get(PAGE).content.decode()

    assert re.search(r'role="img" aria-label="[^"]+"><svg ', page)


@pytest.mark.parametrize(
    "data",
    [
        {"asked": "enrol"},
        {"asked": "enrol", "enrol-password": "wrong", "enrol-code": "123456"},
        {"asked": "enrol", "enrol-password": "a\x00", "enrol-code": "\x00"},
        {"asked": "enrol", "enrol-password": PASSWORD, "enrol-code": "9" * 41},
        {"asked": "codes", "codes-password": PASSWORD},
        {"asked": "nothing"},
        {},
    ],
)
def test_what_is_not_right_sets_up_nothing(agent, data, events):
    answer = Console(agent.user).post(PAGE, data)

    assert answer.status_code == 200
    assert not SecondFactor.objects.exists()
    assert events() == []


def test_a_key_of_a_page_that_was_never_opened_enrols_nothing(agent, phone):
    answer = Console(agent.user).post(
        PAGE, {"asked": "enrol", "enrol-password": PASSWORD, "enrol-code": phone.code(key=KEY)}
    )

    assert "not the code" in text_of(answer)
    assert not SecondFactor.objects.exists()


def test_guessing_the_password_there_is_limited_as_a_login(agent, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["9/m"], "e-mail": ["2/m"]}}
    console = Console(agent.user)

    answers = [console.post(PAGE, {"asked": "enrol", "enrol-password": "wrong"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_another_device_new_codes_and_off(agent, factor, phone, events, no_waiting):
    console = Console(agent.user)
    answer = console.post(PAGE, {"asked": "codes", "codes-password": PASSWORD})
    assert len(re.findall(r'<code class="secret">', answer.content.decode())) == 10
    assert not RecoveryCode.objects.filter(digest__startswith=RECOVERY[:4]).exists()

    key, answer = enrol(console, phone, new="1")
    assert key != KEY and "shown this once" in text_of(answer)

    console.post(PAGE, {"asked": "off", "off-password": "wrong"})
    assert SecondFactor.objects.exists()
    answer = console.post(PAGE, {"asked": "off", "off-password": PASSWORD}, follow=True)
    assert messages_of(answer) == ["The second factor is off. All your other sessions and tokens are ended."]
    assert not SecondFactor.objects.exists()
    assert [event.action for event in events()] == [
        *("staff.recovery_codes_replaced", "staff.second_factor_enrolled", "staff.second_factor_removed")
    ]
    assert log_in(agent.user.email)["Location"] == "/admin/"


# --- where it is required ---------------------------------------------------------------------------------
@pytest.fixture
def required(settings):
    settings.CONSOLE_SECOND_FACTOR = "required"


def test_whoever_has_none_sets_it_up_before_anything_else(agent, trader, required, phone, events):
    console = Console()
    assert log_in(agent.user.email, console=console, next=address(trader))["Location"] == address(trader)

    sent_on = console.get(address(trader))["Location"]
    assert sent_on == f"{PAGE}?next={address(trader)}"
    for path in ("/admin/", "/admin/search/?s=x", address(User), SESSIONS, "/admin/password_change/", "/admin/jsi18n/"):
        assert console.get(path)["Location"].startswith(PAGE)
    refused = console.post(address(User, "operate", "deactivate"), {"seen": f"{trader.pk}:1", "reason": "x"})
    assert refused["Location"].startswith(PAGE)
    assert User.objects.get(pk=trader.pk).is_active
    assert [event.action for event in events()] == ["user.logged_in"]

    page = console.get(sent_on)
    assert "A second factor is required here" in text_of(page)
    data = {"asked": "enrol", "enrol-password": PASSWORD, "enrol-code": phone.code(key=secret_on(page))}
    answer = console.post(sent_on, data)
    assert f'href="{address(trader)}"' in answer.content.decode()
    assert console.get(address(trader)).status_code == 200


def test_onward_leads_to_no_other_site(agent, required, phone):
    console = Console(agent.user)
    _, answer = enrol(console, phone, next="https://evil.example/")

    assert "evil.example" not in answer.content.decode()


def test_whoever_passed_it_is_let_in_and_may_log_out(half_way, phone, required):
    enter(half_way, phone.code())

    assert half_way.get("/admin/").status_code == 200
    assert "cannot be turned off" in text_of(half_way.get(PAGE))
    answer = half_way.post(PAGE, {"asked": "off", "off-password": PASSWORD})
    assert SecondFactor.objects.exists()
    assert answer.status_code == 200


def test_whoever_has_to_set_it_up_may_log_out_instead(agent, required):
    console = Console(agent.user)

    assert console.post("/admin/logout/").status_code == 200
    assert console.get(PAGE)["Location"].startswith(LOGIN)


def test_strangers_still_come_to_the_login(db, required):
    assert Console().get("/admin/")["Location"] == f"{LOGIN}?next=/admin/"


# --- lost devices, sessions -------------------------------------------------------------------------------
def test_a_superuser_removes_a_lost_device_and_the_persons_sessions_end(agent, superuser, half_way, phone, events):
    enter(half_way, phone.code())
    account = StaffAccount.objects.get(pk=agent.user.pk)

    Console(superuser.user).operate(StaffAccount, "remove_second_factor", [account], reason="phone stolen")

    assert half_way.get("/admin/").status_code == 302
    assert agent.get("users/").status_code == 401
    [event] = events(action="staff.second_factor_removed")
    assert (event.actor, event.reason, event.subject_id) == (superuser.user.email, "phone stolen", agent.user.pk)
    assert log_in(agent.user.email)["Location"] == "/admin/"


def test_a_removal_on_the_way_between_the_steps_leads_back_to_the_password(agent, superuser, half_way, phone):
    account = StaffAccount.objects.get(pk=agent.user.pk)
    Console(superuser.user).operate(StaffAccount, "remove_second_factor", [account])

    assert enter(half_way, phone.code())["Location"] == LOGIN


def test_removing_what_is_not_there_changes_nothing(agent, superuser, events):
    account = StaffAccount.objects.get(pk=agent.user.pk)

    answer = Console(superuser.user).operate(StaffAccount, "remove_second_factor", [account])

    assert "Nothing to do: it is so already." in text_of(answer)
    assert events(subject_type="user", action__startswith="staff.") == []


def test_a_stale_page_removes_nothing(agent, superuser, factor):
    console = Console(superuser.user)
    data = {"seen": f"{agent.user.pk}:99", "reason": "x", "step": "confirm"}

    answer = console.post(address(StaffAccount, "operate", "remove_second_factor"), data, follow=True)

    assert "changed by someone else meanwhile" in text_of(answer)
    assert SecondFactor.objects.exists()


def test_superusers_see_who_has_one(agent, viewer, superuser, factor):
    console = Console(superuser.user)

    on = console.get(address(StaffAccount), second_factor="on").context["cl"].result_list
    off = console.get(address(StaffAccount), second_factor="off").context["cl"].result_list

    assert [row.pk for row in on] == [agent.user.pk]
    assert {row.pk for row in off} == {viewer.user.pk, superuser.user.pk}


def test_no_page_shows_the_key_or_the_codes_digests(agent, superuser, factor):
    account = StaffAccount.objects.get(pk=agent.user.pk)
    pages = [
        Console(agent.user).get(PAGE),
        Console(superuser.user).page(account),
        Console(superuser.user).get(address(StaffAccount)),
    ]

    for page in pages:
        assert factor.sealed_key not in page.content.decode()
        assert factor.recovery_codes.get().digest not in page.content.decode()


def test_one_sees_and_ends_ones_other_sessions(agent, viewer, half_way, phone, events):
    enter(half_way, phone.code())
    elsewhere = Console(agent.user)
    log_in(viewer.user.email)

    page = half_way.get(SESSIONS)
    assert [event.actor_id for event in page.context["logins"]] == [agent.user.pk]
    assert [session.user_id for session in page.context["api_sessions"]] == [agent.user.pk]
    assert "127.0.0.1" in text_of(page)
    answer = half_way.post(SESSIONS, follow=True)

    assert "1 API session or service token was open" in messages_of(answer)[0]
    assert answer.status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert agent.get("users/").status_code == 401
    assert viewer.get("users/").status_code == 200
    [event] = events(action="staff.sessions_ended")
    assert (event.actor, event.subject_id, event.changes) == (
        *(agent.user.email, agent.user.pk),
        {"api_sessions": [1, 0]},
    )


def test_the_session_that_goes_on_still_has_passed_the_second_step(half_way, phone, required):
    enter(half_way, phone.code())
    half_way.post(SESSIONS)

    assert half_way.get("/admin/").status_code == 200


def test_the_sessions_page_costs_the_same_however_many_there_are(agent, django_assert_max_num_queries):
    from accounts import session_operations
    from support_platform.audit import Actor

    for _ in range(5):
        session_operations.log_in(agent.user, by=Actor.of(agent.user))
    console = Console(agent.user)
    console.get(SESSIONS)

    with django_assert_max_num_queries(8):
        console.get(SESSIONS)


def test_a_superuser_ends_anyones_sessions(agent, superuser, events):
    theirs = Console(agent.user)
    account = StaffAccount.objects.get(pk=agent.user.pk)

    answer = Console(superuser.user).operate(StaffAccount, "end_sessions", [account], reason="laptop stolen")

    assert "API sessions and service tokens ended: 1" in text_of(answer)
    assert theirs.get("/admin/").status_code == 302
    assert agent.get("users/").status_code == 401
    assert events(action="staff.sessions_ended")[0].reason == "laptop stolen"


def test_the_tests_phone_shows_what_the_standard_says():
    """Against RFC 6238's own figures, so that the tests above do not only agree with themselves."""
    phone = Authenticator()
    phone.now = 59

    assert phone.code(key=b"12345678901234567890") == "287082"
