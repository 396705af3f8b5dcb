"""The second factor's secrets and the operations on it. Its pages: test_console_second_factor."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from accounts import second_factor, session_operations, staff_operations
from accounts import second_factor_operations as operations
from accounts.models import RecoveryCode, SecondFactor, User
from accounts.tests.factories import KEY, SecondFactorFactory, StaffFactory, SuperuserFactory, TraderFactory
from support_platform.audit import Actor
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from support_platform.models import AuditEvent

SYSTEM = Actor(name="command")


def by(user):
    return Actor.of(user, source="console")


def can_wait_no_longer(factor):
    """As if the wait after a wrong code were over."""
    SecondFactor.objects.filter(pk=factor.pk).update(throttling_failure_timestamp=None)


@pytest.fixture
def factor(staff):
    return SecondFactorFactory(user=staff)


# --- secrets ----------------------------------------------------------------------------------------------
def test_codes_are_those_of_the_standard(phone):
    """RFC 6238, appendix B, SHA-1; its eight digits end in the six that are shown here."""
    key = b"12345678901234567890"
    for at, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        phone.now = at
        assert second_factor.step_of(code, key) == (at // 30, 0)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "28708٢", " 287082", "287082 ", "+87082", "2870.2", "x" * 40])
def test_what_is_no_code_is_none(code, phone):
    phone.now = 59
    assert second_factor.step_of(code, b"12345678901234567890") is None


def test_a_sealed_key_is_read_with_the_servers_key_only_and_for_its_account_only(settings):
    sealed = second_factor.seal(KEY, 7)

    assert second_factor.unseal(sealed, 7) == (KEY, True)
    assert second_factor.unseal(sealed, 8) == (None, False)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of the server", [settings.SECRET_KEY]
    assert second_factor.unseal(sealed, 7) == (KEY, False)
    settings.SECRET_KEY_FALLBACKS = []
    assert second_factor.unseal(sealed, 7) == (None, False)


def test_a_sealed_key_shows_nothing_of_the_key_and_is_never_twice_the_same():
    first, second = second_factor.seal(KEY, 7), second_factor.seal(KEY, 7)

    assert first != second
    assert KEY not in base64.urlsafe_b64decode(first)
    assert len(first) <= SecondFactor._meta.get_field("sealed_key").max_length


@pytest.mark.parametrize("position", [0, 20, 40, 68])
def test_a_sealed_key_that_was_tampered_with_is_none(position):
    sealed = second_factor.seal(KEY, 7)
    other = "A" if sealed[position] != "A" else "B"

    assert second_factor.unseal(sealed[:position] + other + sealed[position + 1 :], 7) == (None, False)


def test_recovery_codes_are_taken_however_they_were_typed():
    code = second_factor.new_recovery_code()

    assert len(code.replace("-", "")) == 16
    assert second_factor.digest_of(f" {code.upper().replace('-', ' ')} ") == second_factor.digest_of(code)
    assert second_factor.digest_of(code[:-1]) != second_factor.digest_of(code)


def test_the_picture_holds_what_the_app_needs():
    address = urlsplit(second_factor.address_of(KEY, "kim+desk@desk.example"))

    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert address.path == "/Support%20platform%3Akim%2Bdesk%40desk.example"
    told = parse_qs(address.query)
    assert base64.b32decode(told["secret"][0]) == KEY
    assert (told["issuer"], told["digits"], told["period"]) == (["Support platform"], ["6"], ["30"])
    picture = second_factor.picture_of(address.geturl())
    assert picture.startswith("<svg ") and "<path " in picture
    assert "style" not in picture and "script" not in picture


# --- codes at the login -----------------------------------------------------------------------------------
def test_a_code_works_once_and_so_do_its_neighbours(staff, factor, phone):
    assert operations.check_code(staff, phone.code(), by=by(staff)) == ("code", 0)

    for steps in (0, -1):
        assert operations.check_code(staff, phone.code(steps), by=by(staff)) == (None, 0)
        can_wait_no_longer(factor)
    phone.wait()
    assert operations.check_code(staff, phone.code(), by=by(staff)) == ("code", 0)


def test_a_phones_clock_may_be_a_step_off_and_is_followed(staff, factor, phone):
    assert operations.check_code(staff, phone.code(-1), by=by(staff)) == ("code", 0)
    phone.wait(60)
    assert operations.check_code(staff, phone.code(-2), by=by(staff)) == ("code", 0)
    phone.wait(120)
    assert operations.check_code(staff, phone.code(2), by=by(staff)) == (None, 0)


def test_a_recovery_code_works_once(staff, factor):
    assert operations.check_code(staff, "ABCD efgh ijkl mnop", by=by(staff)) == ("recovery code", 0)

    assert operations.check_code(staff, "abcd-efgh-ijkl-mnop", by=by(staff)) == (None, 0)
    assert not RecoveryCode.objects.exists()


def test_a_recovery_code_is_its_owners_alone(staff, factor):
    other = SecondFactorFactory(user=StaffFactory(), recovery_code="2222-3333-4444-5555")

    assert operations.check_code(staff, "2222-3333-4444-5555", by=by(staff)) == (None, 0)
    assert other.recovery_codes.count() == 1


def test_each_wrong_code_doubles_the_wait_in_which_not_even_a_right_one_is_looked_at(staff, factor, phone, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    waits = []
    for _ in range(14):
        assert operations.check_code(staff, phone.wrong, by=by(staff)) == (None, 0)
        passed, wait = operations.check_code(staff, phone.code(), by=by(staff))
        assert passed is None
        waits.append(wait)
        can_wait_no_longer(factor)

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 2048, 2048]
    assert operations.check_code(staff, phone.code(), by=by(staff)) == ("code", 0)
    assert SecondFactor.objects.get().throttling_failure_count == 0


def test_of_a_code_used_many_times_at_once_one_gets_in(race, phone):
    staff = StaffFactory()
    SecondFactorFactory(user=staff)
    code = phone.code()

    results = race(*[lambda: operations.check_code(staff, code, by=by(staff))] * 8)

    assert [passed for passed, _ in results].count("code") == 1, results


def test_of_a_recovery_code_used_many_times_at_once_one_gets_in(race):
    staff = StaffFactory()
    SecondFactorFactory(user=staff)

    results = race(*[lambda: operations.check_code(staff, "abcd-efgh-ijkl-mnop", by=by(staff))] * 8)

    assert [passed for passed, _ in results].count("recovery code") == 1, results


def test_a_key_sealed_by_an_earlier_secret_key_is_sealed_anew_at_the_next_login(staff, factor, phone, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of the server", [settings.SECRET_KEY]

    assert operations.check_code(staff, phone.code(), by=by(staff)) == ("code", 0)

    settings.SECRET_KEY_FALLBACKS = []
    phone.wait()
    assert operations.check_code(staff, phone.code(), by=by(staff)) == ("code", 0)


def test_with_the_secret_key_lost_a_recovery_code_still_works(staff, factor, phone, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of the server", []

    assert operations.check_code(staff, phone.code(), by=by(staff)) == (None, 0)
    can_wait_no_longer(factor)
    assert operations.check_code(staff, "abcd-efgh-ijkl-mnop", by=by(staff)) == ("recovery code", 0)


def test_without_a_second_factor_no_code_is_good(staff, phone):
    assert operations.check_code(staff, phone.code(), by=by(staff)) == (None, 0)


# --- set up, new codes, removed ---------------------------------------------------------------------------
def enrol(staff, code, **kwargs):
    return operations.enrol_second_factor(staff, second_factor.seal(KEY, staff.pk), code, by=by(staff), **kwargs)


def test_enrolling_makes_ten_codes_ends_every_session_and_tells_no_secret(staff, phone, events, caplog):
    before = User.objects.get(pk=staff.pk).session_version

    changed, codes = enrol(staff, phone.code())

    assert len(set(codes)) == RecoveryCode.objects.count() == 10
    assert changed.session_version == before + 1
    [event] = events(action="staff.second_factor_enrolled")
    assert (event.actor, event.subject_type, event.subject_id) == (staff.email, "user", staff.pk)
    assert event.changes == {"second_factor": [None, "on"]}
    kept = database_text()
    for secret in (KEY.hex(), second_factor.as_text(KEY), base64.b32encode(KEY).decode(), *codes, phone.code()):
        assert secret not in str(event.changes) + caplog.text + kept
        assert secret.replace("-", "") not in kept


def database_text():
    with connection.cursor() as cursor:
        rows = []
        for model in (SecondFactor, RecoveryCode, AuditEvent, User):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            rows += cursor.fetchall()
    return str(rows)


def test_the_code_that_enrolled_opens_nothing_after(staff, phone):
    enrol(staff, phone.code())

    assert operations.check_code(staff, phone.code(), by=by(staff)) == (None, 0)


def test_a_wrong_code_enrols_nothing(staff, phone, events):
    for code in (phone.wrong, phone.code(5), "", "abcd-efgh-ijkl-mnop"):
        with pytest.raises(InvalidChange):
            enrol(staff, code)

    assert not SecondFactor.objects.exists()
    assert events() == []


def test_another_device_takes_the_place_of_the_first(staff, factor, phone, events):
    other = b"another of 20 bytes."

    operations.enrol_second_factor(staff, second_factor.seal(other, staff.pk), phone.code(key=other), by=by(staff))

    phone.wait()
    assert operations.check_code(staff, phone.code(), by=by(staff)) == (None, 0)
    can_wait_no_longer(SecondFactor.objects.get())
    assert operations.check_code(staff, "abcd-efgh-ijkl-mnop", by=by(staff)) == (None, 0)
    can_wait_no_longer(SecondFactor.objects.get())
    assert operations.check_code(staff, phone.code(key=other), by=by(staff)) == ("code", 0)
    assert events()[0].changes == {"second_factor": ["on", "another device"]}


def test_new_recovery_codes_take_the_place_of_the_old(staff, factor, events):
    codes = operations.replace_recovery_codes(staff, by=by(staff))

    assert operations.check_code(staff, "abcd-efgh-ijkl-mnop", by=by(staff)) == (None, 0)
    can_wait_no_longer(factor)
    assert operations.check_code(staff, codes[9], by=by(staff)) == ("recovery code", 0)
    [event] = events()
    assert (event.action, event.changes) == ("staff.recovery_codes_replaced", {"recovery_codes": [1, 10]})


def test_without_a_second_factor_there_are_no_recovery_codes(staff):
    with pytest.raises(OperationRefused):
        operations.replace_recovery_codes(staff, by=by(staff))


def test_nobody_sets_up_anything_for_another(staff, factor, phone):
    colleague, root = StaffFactory(), SuperuserFactory()

    for actor in (by(colleague), by(root), SYSTEM):
        with pytest.raises(PermissionDenied):
            operations.enrol_second_factor(staff, second_factor.seal(KEY, staff.pk), phone.code(), by=actor)
        with pytest.raises(PermissionDenied):
            operations.replace_recovery_codes(staff, by=actor)


def test_a_trader_has_no_second_factor(broker, phone):
    trader = TraderFactory(broker=broker)

    with pytest.raises(PermissionDenied):
        enrol(trader, phone.code())
    with pytest.raises(OutOfReach):
        operations.remove_second_factor(trader, by=SYSTEM)
    with pytest.raises(OutOfReach):
        session_operations.end_sessions(trader, by=SYSTEM)


@pytest.mark.parametrize("who", ["owner", "superuser", "system"])
def test_it_is_removed_once_and_every_session_ends(staff, factor, events, who):
    actor = {"owner": by(staff), "superuser": by(SuperuserFactory()), "system": SYSTEM}[who]
    before = User.objects.get(pk=staff.pk).session_version

    for _ in range(2):
        changed = operations.remove_second_factor(staff, by=actor)

    assert changed.session_version == before + 1
    assert not SecondFactor.objects.exists() and not RecoveryCode.objects.exists()
    [event] = events()
    assert (event.action, event.actor) == ("staff.second_factor_removed", actor.name)
    assert event.changes == {"second_factor": ["on", None]}


def test_a_colleague_removes_nothing(staff, factor):
    with pytest.raises(PermissionDenied):
        operations.remove_second_factor(staff, by=by(StaffFactory(role="Supervisor")))

    assert SecondFactor.objects.exists()


def test_where_it_is_required_nobody_turns_off_their_own(staff, factor, settings):
    settings.CONSOLE_SECOND_FACTOR = "required"

    with pytest.raises(OperationRefused, match="required here"):
        operations.remove_second_factor(staff, by=by(staff))
    operations.remove_second_factor(staff, by=by(SuperuserFactory()))


# --- sessions ---------------------------------------------------------------------------------------------
def test_ending_sessions_is_for_the_owner_and_superusers(staff, pair, events):
    with pytest.raises(PermissionDenied):
        session_operations.end_sessions(staff, by=by(StaffFactory(role="Supervisor")))
    for actor, open_ones in ((by(staff), 1), (by(SuperuserFactory()), 0), (SYSTEM, 0)):
        _, ended = session_operations.end_sessions(staff, by=actor)
        assert ended == open_ones

    assert [event.action for event in events()] == ["staff.sessions_ended"] * 3
    assert not staff.api_sessions.filter(revoked_at=None).exists()


def test_a_changed_password_leaves_the_second_factor(staff, factor):
    staff_operations.change_staff(staff, by=SYSTEM, password="another long password")

    assert SecondFactor.objects.filter(user=staff).exists()
