"""API: reset a user's password."""

from django.core import mail


def test_mails_a_link_and_is_audited(agent, trader, events):
    answer = agent.post(f"users/{trader.pk}/password-reset/", reason="asked on the phone – Größe")

    assert answer.status_code == 202, answer.content
    assert answer.json().keys() == {"id", "sent_to", "expires_at"}
    assert answer.json()["sent_to"] == "t***@demo.example"
    assert answer["ETag"] == '"2"'
    [sent] = mail.outbox
    assert sent.to == [trader.email]
    [event] = events(action="user.password_reset")
    assert event.actor == agent.user.email
    assert event.reason == "asked on the phone – Größe"
    assert event.request_id == answer["X-Request-ID"]
    assert event.user == trader.pk
