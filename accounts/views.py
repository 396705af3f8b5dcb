import logging

from django.contrib.auth import authenticate
from django.http import Http404
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from support_platform import audit, logs, throttling
from support_platform.audit import Actor
from support_platform.fields import NothingSerializer
from support_platform.ids import is_id
from support_platform.instants import format_instant
from support_platform.retries import retried
from support_platform.viewsets import PlatformView, ResourceViewSet

from . import mail, operations, session_operations, tokens
from .authentication import BearerAuthentication
from .filters import UserFilter
from .models import User
from .serializers import (
    LoginSerializer,
    PasswordResetAnswerSerializer,
    RefreshSerializer,
    RevocationSerializer,
    RevokeSerializer,
    SetStatusSerializer,
    StatusAnswerSerializer,
    TokenPairSerializer,
    UpdateContactSerializer,
    UserSerializer,
)


class UserViewSet(ResourceViewSet):
    """Traders, and what support may do to their accounts. Staff accounts do not exist here."""

    rights = {
        "list": "accounts.view_user",
        "retrieve": "accounts.view_user",
        "reset_password": "accounts.reset_password",
        "partial_update": "accounts.change_contact",
        "cancel_email_change": "accounts.change_contact",
        "set_status": "accounts.change_status",
    }
    orderings = ("-created_at", "created_at")
    filterset_class = UserFilter
    plural = "users"  # in the ids of the schema, where people read "traders"
    serializer_class = UserSerializer
    inputs = {
        "reset_password": NothingSerializer,
        "partial_update": UpdateContactSerializer,
        "cancel_email_change": NothingSerializer,
        "set_status": SetStatusSerializer,
    }
    answers = {"reset_password": {202: PasswordResetAnswerSerializer}, "set_status": StatusAnswerSerializer}
    further_buckets = {"reset_password": ("reset",)}

    def rows(self, staff):
        return User.objects.visible_to(staff)

    def get_object(self):
        try:
            return super().get_object()
        except Http404:
            if self.request.method not in ("GET", "HEAD") and not self.dry_run:
                # Recorded for any account out of reach, there or not, so that the trail tells no more than the 404.
                pk = self.kwargs["pk"]
                attempted = "change_contact" if self.action == "partial_update" else self.action
                subject_id = int(pk) if is_id(pk) else None
                retried(audit.record_refused_attempt, attempted, "user", subject_id, by=self.actor)
            raise

    def count_subject(self, user):
        if self.action == "reset_password":
            throttling.count(self.request, "reset", "target trader", user.pk)

    @action(detail=True, methods=["post"], url_path="password-reset")
    def reset_password(self, request, pk):
        """
        Reset a user's password: mail the trader a link where a new one is set.

        Only the newest link works, once, until `expires_at`. The password stays until a new one is set, which ends
        every token and session of the trader. 409 `inactive` for an inactive trader.
        """
        self.body()
        return self.change(operations.reset_password, represent=_receipt, success=202)

    def partial_update(self, request, pk):
        """
        Update a user's e-mail and/or phone.

        The phone takes effect at once. A new address waits in `pending_email` until it is confirmed by the mailed
        link; with `verified`, which needs a right of its own, it takes effect at once. 409 `email_taken` if another
        account has the address, `inactive` for a new address of an inactive trader.
        """
        values = self.body()
        if values.get("verified"):
            self.require("accounts.override_email_verification")
        return self.change(operations.change_contact, **values)

    @action(detail=True, methods=["delete"], url_path="pending-email")
    def cancel_email_change(self, request, pk):
        """Cancel a change of e-mail that waits for its confirmation; the mailed link is dead."""
        self.body()
        return self.change(operations.cancel_email_change)

    @action(detail=True, methods=["put"], url_path="status")
    def set_status(self, request, pk):
        """
        Update an account's status: activate or deactivate a trader.

        Deactivation ends every token, session and pending link at once, and treats the deployments as asked; the
        answer counts what it did. Activation revives none of it.
        """
        return self.change(operations.set_status, represent=self.with_counts, **self.body())

    def with_counts(self, result):
        user, counts = result
        return user, {**self.represent(user), **counts}


def _receipt(user):
    sent_to, expires_at = mail.masked(user.email), format_instant(user.reset_expires_at)
    return user, {"id": user.pk, "sent_to": sent_to, "expires_at": expires_at}


class TokenView(PlatformView, APIView):
    """What the three calls on tokens share: they need no right, only what they are given."""

    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = []
    input = None
    answers = {"post": TokenPairSerializer}
    tag = "Access"

    def body(self):
        serializer = self.input(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def circumstances(self):
        ip = throttling.client_address(self.request)
        return {"request_id": self.request.request_id, "source": "api", "ip": ip}


class LogInView(TokenView):
    """Tokens for a staff member's address and password. One refusal for every reason, after the same work."""

    throttle_classes = [throttling.LoginThrottle]
    input = LoginSerializer
    operation_ids = {"post": "log_in"}

    def post(self, request):
        given = self.body()
        user = authenticate(request._request, username=given["email"], password=given["password"])
        if user is None or not user.is_staff:
            logs.event("login_failed", level=logging.WARNING, source="api", ip=throttling.client_address(request))
            raise WrongCredentials
        return Response(retried(session_operations.log_in, user, by=Actor.of(user, **self.circumstances())))


class RefreshView(TokenView):
    """A new pair for a refresh token, which is dead from then on."""

    input = RefreshSerializer
    operation_ids = {"post": "refresh_token"}

    def post(self, request):
        by = Actor(name="", **self.circumstances())
        pair = retried(session_operations.refresh, self.body()["refresh"], by=by)
        if pair is None:
            raise AuthenticationFailed
        return Response(pair)


class RevokeView(TokenView):
    """End the session of the refresh token in the body or, without a body, of the access token in the header."""

    authentication_classes = [BearerAuthentication]
    throttle_classes = [throttling.CallerThrottle]
    input = RevokeSerializer
    answers = {"post": RevocationSerializer}
    operation_ids = {"post": "revoke_token"}
    takes_reason = True

    def post(self, request):
        raw, reason = self.body().get("refresh"), self.reason()
        session = tokens.session_of_refresh(raw) if raw else request.auth
        if session is None:
            raise NotAuthenticated
        by = Actor.of(session.user, reason=reason, **self.circumstances())
        session = retried(session_operations.revoke_session, session, by=by)
        return Response({"revoked_at": format_instant(session.revoked_at)})


class WrongCredentials(AuthenticationFailed):
    shown = "The address or the password is not right, or this account may not log in here."
