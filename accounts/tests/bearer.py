"""Calls with bearer tokens, and what a refused caller is told."""

from accounts.tests.factories import PASSWORD
from conftest import Api

CALL = "limits/"  # any signed-in staff member may


def log_in(email, password=PASSWORD, **more):
    return Api().post("auth/token/", {"email": email, "password": password, **more})


def refresh(token):
    return Api().post("auth/token/refresh/", {"refresh": token})


def call(token):
    return Api(token=token).get(CALL)


def refusal_of(answer):
    """What a refused caller is told, without what differs from request to request."""
    assert answer.status_code == 401, answer.content
    assert answer["WWW-Authenticate"] == "Bearer"
    return {**answer.json(), "request_id": ""}
