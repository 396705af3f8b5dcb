"""A mail server of the harness's own, which keeps what it takes and fails as it is told."""

import contextlib
import socketserver
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes, policy


@dataclass(frozen=True)
class Mail:
    to: str
    message_id: str
    subject: str
    text: str
    at: float  # time.monotonic()


class MailSink:
    """
    `mode` says what becomes of the next connection or mail: `takes` it, `refuses` it (451), `hangs` (no word for as
    long as the sender waits), or `forgets` to answer: the mail is taken, the connection is cut before the 250.

    `stop` and `start` take the server away from its port and bring it back. As a context manager it stops at the end.
    """

    def __init__(self, port=0):
        self.port = port
        self.mode = "takes"
        self.taken = []
        self._server = None
        self._stopping = threading.Event()
        self.is_up = False

    def start(self):
        sink = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    sink._converse(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._stopping.clear()
        self._server = Server(("127.0.0.1", self.port), Conversation)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.is_up = True
        return self

    def stop(self):
        self.is_up = False
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.is_up:
            self.stop()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def message_ids(self, to):
        """The different mails that came to an address, each by its Message-ID."""
        return {mail.message_id for mail in list(self.taken) if mail.to == to}

    def _converse(self, lines, out):
        def say(line):
            out.write(f"{line}\r\n".encode())

        self._hang()
        say("220 sink")
        to = None
        while line := lines.readline():
            command = line.split(b" ")[0].strip().upper()
            if command == b"DATA":
                say("354 go on")
                raw = b"".join(iter(lines.readline, b".\r\n"))
                self._hang()
                if self.mode == "refuses":
                    say("451 not now")
                    continue
                self.taken.append(_mail(to, raw))
                if self.mode == "forgets":
                    return
                say("250 taken")
            elif command == b"QUIT":
                say("221 bye")
                return
            elif command == b"RCPT":
                to = line.decode().partition("<")[2].partition(">")[0]
                say("250 ok")
            else:
                say("250 ok")

    def _hang(self):
        while self.mode == "hangs" and not self._stopping.is_set():
            time.sleep(0.05)


def _mail(to, raw):
    message = message_from_bytes(raw, policy=policy.default)
    text = message.get_body(("plain",)).get_content()
    return Mail(to, message["Message-ID"], message["Subject"], text, time.monotonic())
