"""Who a bearer token speaks for: asked of the database on every request, so that what is ended is ended at once."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from . import tokens


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; one refusal for every reason, which tells an attacker nothing."""

    def authenticate(self, request):
        # Of the environment: to look at one header, Django's `headers` would name them all anew.
        header = request.META.get("HTTP_AUTHORIZATION", "").encode("latin-1").split()
        if not header or header[0].lower() != b"bearer":
            return None
        session = None
        if len(header) == 2:
            session = tokens.live_session(header[1], kind="access", now=timezone.now())
        if session is None:
            raise AuthenticationFailed
        return session.user, session

    def authenticate_header(self, request):
        return "Bearer"
