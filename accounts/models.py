import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.models import Device, ThrottlingMixin

from support_platform.audit import Actor
from support_platform.folded import Folded
from support_platform.models import VersionedModel

NAME = ("first_name", "last_name")


class Broker(VersionedModel):
    """A partner whose traders are supported here: the tenant."""

    name = models.CharField(max_length=100)
    domain = models.CharField(max_length=253, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(Lower("name"), name="broker_name_unique")]

    def __str__(self):
        return self.name


class UserQuerySet(models.QuerySet):
    def traders(self):
        return self.filter(is_staff=False, is_superuser=False)

    def staff(self):
        return self.filter(is_staff=True)  # as every superuser is

    def visible_to(self, staff):
        """The traders a staff member may see: those of its broker, or all without one."""
        traders = self.traders()
        return traders if staff.broker_id is None else traders.filter(broker_id=staff.broker_id)


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):
    def get_by_natural_key(self, email):
        return self.get(email=self.normalize_email(email))

    @classmethod
    def normalize_email(cls, email):
        """Addresses are stored and compared in lower case: two that differ only in case are one person's."""
        return (email or "").lower()

    def create_user(self, email, password=None, **fields):
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email, password=None):
        """For Django's createsuperuser; through the operation, so that it is on record."""
        from .staff_operations import create_staff  # which stands on this module

        return create_staff(email, password, None, by=Actor("command"), is_superuser=True)


class User(VersionedModel, AbstractBaseUser, PermissionsMixin):
    """
    A trader (`is_staff` False, always of one broker), or staff: a support person or a service client.

    `session_version` is in every token and console session of the user; raising it ends them all, for good.
    `reset_nonce` and `email_nonce` name the one link of each kind that is valid; without one, none is.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"

    # The property below in SQL, for lists (support_platform/rows.py).
    computed = {"status": Case(When(is_active=True, then=Value(Status.ACTIVE)), default=Value(Status.INACTIVE))}

    email = models.EmailField(max_length=254, unique=True)
    pending_email = models.EmailField(max_length=254, null=True, blank=True)  # noqa: DJ001  null: no change waits
    phone = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001  null: none known
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    broker = models.ForeignKey(Broker, on_delete=models.PROTECT, null=True, blank=True, related_name="users")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    session_version = models.PositiveIntegerField(default=1, editable=False)
    reset_nonce = models.CharField(max_length=43, blank=True, editable=False)
    reset_expires_at = models.DateTimeField(null=True, editable=False)
    email_nonce = models.CharField(max_length=43, blank=True, editable=False)
    email_expires_at = models.DateTimeField(null=True, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = "trader"  # what people read of them; staff accounts, below, have a name of their own
        default_permissions = ("view",)
        permissions = [
            ("reset_password", "Can reset a trader's password"),
            ("change_contact", "Can change a trader's e-mail and phone"),
            ("change_status", "Can activate and deactivate a trader"),
            ("override_email_verification", "Can change an e-mail without its confirmation"),
        ]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
            models.CheckConstraint(
                condition=Q(pending_email__isnull=True) | Q(pending_email=Lower("pending_email")),
                name="user_pending_email_lower",
            ),
            models.CheckConstraint(condition=Q(is_staff=True) | Q(broker__isnull=False), name="user_trader_has_broker"),
            models.CheckConstraint(condition=Q(is_superuser=False) | Q(is_staff=True), name="user_superuser_is_staff"),
            models.CheckConstraint(condition=Q(version__gte=1), name="user_version_positive"),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="user_created"),
            models.Index(fields=["broker", "created_at", "id"], name="user_broker_created"),
            models.Index(fields=["phone"], name="user_phone"),
            # What the console's search finds traders by, those of one broker: the beginning of an address, of a number,
            # and of a name in either order.
            models.Index("broker", Folded("email"), name="user_broker_email"),
            models.Index("broker", Folded("phone"), name="user_broker_phone"),
            models.Index("broker", Folded(*NAME), name="user_broker_name"),
            models.Index("broker", Folded(*reversed(NAME)), name="user_broker_last_name"),
            # Few among very many.
            models.Index("broker", "id", name="user_broker_inactive", condition=Q(is_active=False)),
            models.Index("broker", "id", name="user_broker_pending", condition=Q(pending_email__isnull=False)),
            models.Index(Folded("email"), name="user_staff_email", condition=Q(is_staff=True)),
            models.Index(Folded(*NAME), name="user_staff_name", condition=Q(is_staff=True)),
            models.Index(Folded(*reversed(NAME)), name="user_staff_last_name", condition=Q(is_staff=True)),
        ]

    def __str__(self):
        return self.email

    @property
    def status(self):
        return self.Status.ACTIVE if self.is_active else self.Status.INACTIVE

    def has_perm(self, perm, obj=None):
        """As Django's, whose way is longer, where the rights are known already (tokens.live_session)."""
        if obj is None and self.is_active and not self.is_superuser and hasattr(self, "_perm_cache"):
            return perm in self._perm_cache
        return super().has_perm(perm, obj)

    def end_sessions(self, now):
        """
        Every token and session is dead at once and for good. The caller saves `session_version`.

        :returns: how many API sessions were open
        """
        self.session_version += 1
        return self.api_sessions.filter(revoked_at__isnull=True, expires_at__gt=now).update(revoked_at=now)

    def get_full_name(self):
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self):
        return self.first_name or self.email

    def _get_session_auth_hash(self, secret=None):
        """Django's hash of the password; ours holds session_version too, so that an ended session stays ended."""
        return salted_hmac(
            "accounts.session", f"{self.password}:{self.session_version}", secret=secret, algorithm="sha256"
        ).hexdigest()


class StaffAccount(User):
    """The staff accounts for themselves: in the console they never stand in one list with traders."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "staff account"


class ApiSessionQuerySet(models.QuerySet):
    def ended_before(self, instant):
        """What no token can speak for any more, a stolen copy of a refresh token included: that expired before it."""
        return self.filter(Q(revoked_at__lt=instant) | Q(expires_at__lt=instant))

    def live(self, now):
        return self.filter(
            revoked_at__isnull=True,
            expires_at__gt=now,
            user__is_active=True,
            user__is_staff=True,
            user__session_version=F("session_version"),
        )


class ApiSession(models.Model):
    """
    One login through the API: the family of tokens that came of it, or one service token.

    `refresh_id` is the id of the only refresh token that is still good; a rotation replaces it, and a token with
    an older id is a stolen copy or a retry, which ends the family. No token is kept here, only ids.
    """

    class Kind(models.TextChoices):
        LOGIN = "login"
        SERVICE = "service"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_sessions")
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.LOGIN)
    session_version = models.PositiveIntegerField()
    refresh_id = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    objects = ApiSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "API session"
        default_permissions = ("view",)
        indexes = [models.Index(fields=["user", "created_at"], name="api_session_user")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["login", "service"]), name="api_session_kind_known")
        ]

    def __str__(self):
        return f"{self.kind} session of {self.user_id} from {self.created_at:%Y-%m-%d %H:%M}"


class OutgoingMailQuerySet(models.QuerySet):
    def waiting(self):
        return self.filter(sent_at__isnull=True, dropped_at__isnull=True)

    def done_before(self, instant):
        return self.filter(Q(sent_at__lt=instant) | Q(dropped_at__lt=instant))

    def visible_to(self, staff):
        """The mails to traders whom a staff member may see."""
        mails = self.filter(user__is_staff=False, user__is_superuser=False)
        return mails if staff.broker_id is None else mails.filter(user__broker_id=staff.broker_id)


class OutgoingMail(models.Model):
    """
    A mail that is to leave once its transaction has committed; it waits until the mail server takes it.

    It holds no text and no link: both are made when it is sent, from the account as it is then. A mail whose
    occasion is gone by then (a cancelled change, a newer link) is dropped, and so is one that the server has refused
    for MAIL_GIVE_UP since `refused_at`. The newest attempt is the one that may send it.
    """

    class Kind(models.TextChoices):
        PASSWORD_RESET = "password_reset"  # noqa: S105
        PASSWORD_CHANGED = "password_changed"  # noqa: S105
        EMAIL_CONFIRMATION = "email_confirmation"
        EMAIL_CHANGE_NOTICE = "email_change_notice"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="outgoing_mails")
    kind = models.CharField(max_length=20, choices=Kind)
    to = models.EmailField(max_length=254)
    nonce = models.CharField(max_length=43, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    refused_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        "password_reset",
                        "password_changed",
                        "email_confirmation",
                        "email_change_notice",
                    ]
                ),
                name="mail_kind_known",
            )
        ]
        indexes = [
            models.Index(
                fields=["attempts", "-id"],
                condition=Q(sent_at__isnull=True, dropped_at__isnull=True),
                name="mail_waiting",
            )
        ]

    def __str__(self):
        return f"{self.kind} to {self.to}"


class SecondFactor(ThrottlingMixin, Device):
    """
    The app that shows a staff member's codes (TOTP), and how far they are used up. Only a confirmed one has a row.

    Of django-otp's parts this takes the arithmetic and the throttle; its own devices keep their secrets in the clear
    (docs/decisions/0022-second-factor.md). `last_step` is the step of the last code that was used: none before counts
    again. `drift` is by how many steps the device's clock was off then.
    """

    # From the twelfth wrong code in a row on each next try waits 34 minutes, and no longer: whoever has the password
    # alone must not lock the owner out for days.
    MOST_FAILURES = 12

    name = confirmed = None
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    sealed_key = models.CharField(max_length=80)
    last_step = models.BigIntegerField()
    drift = models.SmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self):
        return f"second factor of {self.user_id}"

    def get_throttle_factor(self):
        return 1

    def throttle_increment(self, commit=True):
        self.throttling_failure_count = min(self.throttling_failure_count, self.MOST_FAILURES - 1)
        super().throttle_increment(commit)

    @property
    def waits_until(self):
        """When the next code is looked at: not at once after a wrong one; None if now."""
        is_allowed, told = self.verify_is_allowed()
        return None if is_allowed else told["locked_until"]


class RecoveryCode(models.Model):
    """One code for the day the device is lost; gone with its use. Only its hash is kept."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_unique")]

    def __str__(self):
        return f"recovery code of {self.factor_id}"
