"""
The audit trail's chains: by them a changed, missing or reordered event is noticed.

The events of each broker are one chain (chain 0: those of no broker), numbered 1, 2, 3 ... without gaps. Each carries
a seal: HMAC-SHA256, by a key that is not in the database, over all that the event says, its place in its chain and the
seal before it. What this proves and what it does not: docs/decisions/0008-audit-chain.md.
"""

import hmac
import json
from datetime import UTC
from decimal import Decimal
from functools import cache
from ipaddress import ip_address

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import BigIntegerField

from .models import AuditChain, AuditEvent
from .statements import Given, Insert, Statement, Update, columns_of

# Every column but `id`, which the database gives only as the row is written. An empty (null) column is left out of what
# is sealed, so that a column added later, empty in older events, breaks no seal.
SEALED = (
    "chain",
    "sequence",
    "at",
    "actor",
    "actor_id",
    "broker",
    "action",
    "subject_type",
    "subject_id",
    "subject_version",
    "user",
    "changes",
    "reason",
    "request_id",
    "source",
    "ip",
)


def append(**columns):
    """
    Write one event, at the end of its chain.

    The end is locked from here on until the transaction is over, and every other change of the same broker waits for
    it. So whoever calls this has done its other work: a row locked afterwards could deadlock.
    """
    event = AuditEvent(**columns)
    event.chain = chain_of(event.broker)
    end = _locked_end(event.chain)
    event.sequence = end.length + 1
    values = {name: getattr(event, name) for name in SEALED}
    event.seal = end.seal = seal(values, end.seal, keys()[0])
    end.length = event.sequence
    _new_event().write(event)
    _moved_end().write(end)
    return event


def chain_of(broker_id):
    return broker_id or 0


def keys():
    """The keys that seals may be made by: the one in use, then those that were."""
    secrets = (settings.AUDIT_KEY, *settings.AUDIT_KEY_FALLBACKS)
    return [hmac.digest(secret.encode(), b"support_platform.audit_chain", "sha256") for secret in secrets]


def seal(event, previous, key):
    """
    The seal of an event, a mapping of its columns, that follows the seal `previous` ("": none).

    Both databases, before the write and after it, give the same text to seal: keys sorted, the instant in microseconds
    of UTC, the address as Python writes it, whole numbers without a fraction.
    """
    said = {name: event[name] for name in SEALED if event.get(name) is not None}
    said["at"] = event["at"].astimezone(UTC).isoformat(timespec="microseconds")
    said["changes"] = _settled(event["changes"])
    if "ip" in said:
        said["ip"] = str(ip_address(event["ip"]))
    text = json.dumps([previous, said], sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), "sha256").hex()


@cache
def _new_event():
    return Insert(AuditEvent)


@cache
def _moved_end():
    return Update(AuditChain, ["length", "seal"])


_END = Statement(
    lambda: AuditChain.objects.select_for_update().filter(pk=Given("chain", BigIntegerField())), columns_of(AuditChain)
)


def _locked_end(chain):
    found = _END.first(chain=chain)
    end = AuditChain.from_db(DEFAULT_DB_ALIAS, columns_of(AuditChain), found) if found else None
    if end is None:
        # The chain's first event. Of two at once one makes the row, and the other waits for it here.
        AuditChain.objects.bulk_create([AuditChain(pk=chain)], ignore_conflicts=True)
        end = AuditChain.objects.select_for_update().get(pk=chain)
        if end.length == 0 and AuditEvent.objects.filter(chain=chain).exists():
            raise RuntimeError(f"The end of audit chain {chain} is gone; manage.py verify_audit tells more.")
    return end


def _settled(value):
    """A JSON value with its numbers as PostgreSQL keeps them: 5.0 and 1e+20 come back as whole numbers or may."""
    if isinstance(value, dict):
        return {str(key): _settled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_settled(item) for item in value]
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else value
    return value
