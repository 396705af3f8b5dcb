"""
Django's SMTP backend with an end to it.

EMAIL_TIMEOUT bounds each wait for the mail server, not their sum: a server that says one byte now and then could hold
a mail for hours, long past its sender's claim (mail.CLAIM). Here its talking as a whole is bounded as well.
"""

import io
import smtplib
import time

from django.core.mail.backends import smtp

LONGEST = 60  # seconds, from the beginning of the connection to the last reply


class _Replies(io.RawIOBase):
    """What the server says, until the deadline."""

    def __init__(self, sock, deadline):
        self.sock = sock
        self.timeout = sock.gettimeout()
        self.deadline = deadline

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long in all")
        self.sock.settimeout(left if self.timeout is None else min(left, self.timeout))
        return self.sock.recv_into(buffer)


class _Bounded:
    def __init__(self, *args, **kwargs):
        self.deadline = time.monotonic() + LONGEST
        super().__init__(*args, **kwargs)

    def getreply(self):
        if self.file is None:  # after the connection, and again after STARTTLS
            self.file = io.BufferedReader(_Replies(self.sock, self.deadline))
        return super().getreply()


class _Plain(_Bounded, smtplib.SMTP):
    pass


class _Encrypted(_Bounded, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self):
        return _Encrypted if self.use_ssl else _Plain
