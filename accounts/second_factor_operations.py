"""Operations on the second factor of staff accounts, and the check of a code at the console's login."""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from support_platform import audit, logs
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from support_platform.locking import lock, save_next_version

from . import queries, second_factor
from .models import RecoveryCode, SecondFactor

CODE, RECOVERY_CODE = "code", "recovery code"


@transaction.atomic
def check_code(staff, code, *, by):
    """
    Use up a code of the device, or a recovery code, for the second step of a login. Wrong ones slow the next down.

    :returns: (`CODE`, `RECOVERY_CODE` or None if it is not good, seconds to wait before any code is looked at)
    """
    factor = SecondFactor.objects.select_for_update().filter(user_id=staff.pk).first()
    if factor is None:
        return None, 0  # it was removed meanwhile
    if factor.waits_until:
        left = factor.waits_until - timezone.now()
        return None, max(1, -(-left // timedelta(seconds=1)))
    found = _step_of(factor, code)
    if found:
        factor.last_step, factor.drift = found
        passed = CODE
    else:
        used, _ = factor.recovery_codes.filter(digest=second_factor.digest_of(code)).delete()
        passed = RECOVERY_CODE if used else None
    if passed is None:
        factor.throttle_increment()
        logs.event("login_failed", level=logging.WARNING, source=by.source, ip=by.ip)
        return None, 0
    factor.last_used_at = timezone.now()
    factor.throttle_reset()
    return passed, 0


@transaction.atomic
def enrol_second_factor(staff, sealed_key, code, *, by):
    """
    Take a device into use that shows codes of this key, in place of an earlier one, and end every session: one that
    the password alone opened is not to go on.

    :returns: (the account, its ten recovery codes, which are told this once)
    :raises InvalidChange: unless `code` is one of the key's, of now
    :raises PermissionDenied: for anyone but the account's owner
    """
    staff = _lock_own(staff, by)
    key, _ = second_factor.unseal(sealed_key, staff.pk)
    step = key and second_factor.step_of(code, key)
    if not step:
        told = "This is not the code the app shows now. Wait for the next one; the phone's clock must be right."
        raise InvalidChange(code=("invalid", told))
    replaced, _ = SecondFactor.objects.filter(user=staff).delete()
    factor = SecondFactor(user=staff, sealed_key=second_factor.seal(key, staff.pk))
    factor.last_step, factor.drift = step
    factor.save(force_insert=True)
    codes = _make_recovery_codes(factor)
    _end_sessions(staff)
    changes = {"second_factor": ("on" if replaced else None, "another device" if replaced else "on")}
    audit.record("staff.second_factor_enrolled", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return staff, codes


@transaction.atomic
def replace_recovery_codes(staff, *, by):
    """
    :returns: ten new recovery codes, which are told this once; the earlier ones are dead
    :raises OperationRefused: ``no_second_factor``
    :raises PermissionDenied: for anyone but the account's owner
    """
    staff = _lock_own(staff, by)
    factor = SecondFactor.objects.filter(user=staff).first()
    if factor is None:
        raise OperationRefused("no_second_factor", "There is no second factor any more. Set one up first.")
    left, _ = factor.recovery_codes.all().delete()
    codes = _make_recovery_codes(factor)
    changes = {"recovery_codes": (left, len(codes))}
    audit.record("staff.recovery_codes_replaced", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return codes


@transaction.atomic
def remove_second_factor(staff, *, by):
    """
    Forget the device and the recovery codes, and end every session. Without a second factor nothing is changed.

    By the owner, as far as the setting leaves it to them, or for one who lost both by a superuser or the system.

    :raises OperationRefused: ``second_factor_required`` when the owner would go on without one
    :raises OutOfReach: for a trader
    :raises PermissionDenied: for anyone else
    """
    staff = lock(staff)
    if not staff.is_staff:
        raise OutOfReach
    if by.id != staff.pk:
        queries.require_superuser(by)
    elif settings.CONSOLE_SECOND_FACTOR == "required":
        told = "A second factor is required here. Set up another device, or ask another superuser to remove this one."
        raise OperationRefused("second_factor_required", told)
    removed, _ = SecondFactor.objects.filter(user=staff).delete()
    if not removed:
        return staff
    _end_sessions(staff)
    changes = {"second_factor": ("on", None)}
    audit.record("staff.second_factor_removed", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return staff


def _lock_own(staff, by):
    staff = lock(staff)
    if not staff.is_staff or by.id != staff.pk:
        raise PermissionDenied("Only the owner of an account sets up its second factor.")
    return staff


def _step_of(factor, code):
    """The code's step and drift, if it is good. A key sealed by an earlier SECRET_KEY is then sealed by the present."""
    key, is_present = second_factor.unseal(factor.sealed_key, factor.user_id)
    found = key and second_factor.step_of(code, key, drift=factor.drift, after=factor.last_step)
    if found and not is_present:
        factor.sealed_key = second_factor.seal(key, factor.user_id)
    return found


def _make_recovery_codes(factor):
    codes = [second_factor.new_recovery_code() for _ in range(second_factor.RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(factor=factor, digest=second_factor.digest_of(code)) for code in codes
    )
    return codes


def _end_sessions(staff):
    staff.end_sessions(timezone.now())
    save_next_version(staff, "session_version")
