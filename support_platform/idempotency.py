"""
A write that carries an Idempotency-Key happens once, however often it is sent.

The key's record and the change are one transaction, so that they are there both or not at all, whatever dies when.
Of several at once the first inserts the record; the others wait at its primary key until that transaction ends: if
it was kept they answer the same, if it was lost one of them goes on in its place.
"""

import hashlib
import json
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.exceptions import APIException

from .exceptions import OperationRefused
from .models import IdempotencyRecord
from .pagination import invalid

LIFETIME = timedelta(hours=24)
MAX_KEY = 255
LOCK_TIMEOUT = "55P03"


class KeyReused(APIException):
    status_code = 422
    default_detail = "This Idempotency-Key came with another body or other parameters before. Choose a new key."


def key_of(request):
    """The request's Idempotency-Key, or None."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not (1 <= len(key) <= MAX_KEY and key.isprintable()):
        raise invalid("Idempotency-Key", "invalid", f"Give 1 to {MAX_KEY} printable characters.")
    return key


def answered_once(request, key, execute, render):
    """
    The answer to this request: of `execute` the first time, and from then on that same answer, byte for byte.

    Kept are what was done and what the subject's state forbade (409). Whatever else `execute` raises leaves no
    record: the request was refused before it did anything, and may be sent again.

    `execute` returns the first answer or raises OperationRefused; `render` turns either into (status, headers, body,
    content type).

    :raises KeyReused: if the key came with another request before
    :raises OperationRefused: ``request_in_progress``, if the first is still at work when waiting has an end
    """
    scope, mark = _scope(request, key), _contents(request)
    with transaction.atomic():
        record, is_first = _claim(scope, _fingerprint(mark))
        if is_first:
            try:
                first = execute()
            except OperationRefused as refusal:
                first = refusal
            record.status, record.headers, record.body, record.content_type = render(first)
            record.save(update_fields=["status", "headers", "body", "content_type"])
        elif not _is_same(record.fingerprint, mark):
            raise KeyReused
    answer = HttpResponse(record.body, status=record.status, content_type=record.content_type, headers=record.headers)
    if not is_first:
        answer["Idempotent-Replayed"] = "true"
    return answer


def expired(now):
    """The records whose key may come anew; `manage.py purge` removes them."""
    return IdempotencyRecord.objects.filter(created_at__lte=now - LIFETIME)


def _claim(scope, fingerprint):
    """The record of this scope, and whether it is this transaction's own."""
    now = timezone.now()
    known = IdempotencyRecord.objects.filter(pk=scope).first()
    if known is not None and known.created_at > now - LIFETIME:
        return known, False
    if known is not None:
        IdempotencyRecord.objects.filter(pk=scope, created_at=known.created_at).delete()
    record = IdempotencyRecord(pk=scope, fingerprint=fingerprint, created_at=now)
    try:
        with transaction.atomic():
            record.save(force_insert=True)  # waits here for a first one that is still at work
    except IntegrityError:
        return IdempotencyRecord.objects.get(pk=scope), False
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_TIMEOUT:
            raise
        detail = "The first request with this Idempotency-Key is still at work. Send it again shortly."
        raise OperationRefused("request_in_progress", detail) from error
    return record, True


def _scope(request, key):
    """One key means one thing for one caller, method and path."""
    parts = [str(request.user.pk), request.method, request.path_info, key]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _contents(request):
    """What the request asks for: its body by its meaning, not its spelling, and its parameters."""
    parameters = sorted(request.query_params.items())
    return json.dumps([request.data, parameters], sort_keys=True, default=str)


def _fingerprint(contents, secret=None):
    """Keyed, because a body can be guessed from a plain hash: it may be no more than a phone number."""
    return salted_hmac("support_platform.idempotency", contents, secret=secret, algorithm="sha256").hexdigest()


def _is_same(fingerprint, contents):
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(fingerprint, _fingerprint(contents, secret)) for secret in secrets)
