from django.db import models
from django.utils import timezone

REASON_LENGTH = 500


class VersionedModel(models.Model):
    """A row whose `version` goes up by one on every change; it is what an ETag is made from."""

    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True


class AuditEventQuerySet(models.QuerySet):
    def visible_to(self, staff):
        """
        The events of the staff member's broker (all without one), or only its own of these without the right to
        read the trail of others. Whoever moved to another broker leaves the events of the old one behind.
        """
        events = self if staff.broker_id is None else self.filter(broker=staff.broker_id)
        return events if staff.has_perm("support_platform.view_auditevent") else events.filter(actor_id=staff.pk)


class AuditEvent(models.Model):
    """
    One change, told once: who did what to which row, when, why, from where, and what it was before and after.

    No foreign keys, so that an event outlives everything it speaks of. Append-only: the database itself refuses
    UPDATE and DELETE (migration 0002).
    """

    class Source(models.TextChoices):
        API = "api"
        CONSOLE = "console"
        COMMAND = "command"

    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=254)
    actor_id = models.BigIntegerField(null=True)
    broker = models.BigIntegerField(null=True)
    action = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=32)
    subject_id = models.BigIntegerField(null=True)
    # The subject's version after the change; null where it has none, and in events from before it was kept.
    subject_version = models.BigIntegerField(null=True)
    user = models.BigIntegerField(null=True)
    changes = models.JSONField(default=dict)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=8, choices=Source)
    ip = models.GenericIPAddressField(null=True)
    # Its place in the chain of its broker (audit_chain.py).
    chain = models.BigIntegerField()
    sequence = models.BigIntegerField()
    seal = models.CharField(max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("revert_change", "Can revert a change")]
        indexes = [
            models.Index(fields=["at", "id"], name="audit_at"),
            models.Index(fields=["broker", "at", "id"], name="audit_broker"),
            models.Index(fields=["user", "at", "id"], name="audit_user"),
            models.Index(fields=["actor_id", "at", "id"], name="audit_actor"),
            models.Index(fields=["subject_type", "subject_id", "at", "id"], name="audit_subject"),
            models.Index(fields=["request_id"], name="audit_request"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(source__in=["api", "console", "command"]), name="audit_source_known"
            ),
            models.UniqueConstraint(fields=["chain", "sequence"], name="audit_chain_sequence"),
        ]

    def __str__(self):
        return f"{self.action} of {self.subject_type} {self.subject_id} by {self.actor}"


class IdempotencyRecord(models.Model):
    """
    The first answer to a write with an Idempotency-Key, kept in that write's transaction (see idempotency.py).

    Neither the key nor the body is readable here: `scope` is a hash of caller, method, path and key, `fingerprint`
    a keyed one of the body. No write with a key answers a secret.
    """

    scope = models.CharField(max_length=64, primary_key=True)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    content_type = models.CharField(max_length=64, blank=True)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at"], name="idempotency_created")]

    def __str__(self):
        return f"{self.scope[:8]} {self.status}"


class AuditChain(models.Model):
    """
    The end of one chain of audit events: how many it has and the seal of the last.

    Its lock is what puts the events of a chain in order. The database refuses to delete it or to count it down
    (migration 0005).
    """

    chain = models.BigIntegerField(primary_key=True)
    length = models.BigIntegerField(default=0)
    seal = models.CharField(max_length=64, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self):
        return f"chain {self.chain} of {self.length} events"
