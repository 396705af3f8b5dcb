"""A mail server on 127.0.0.1 that misbehaves as it is told to, stage by stage."""

import socketserver
import threading
from email import message_from_bytes

HANG, DRIP, DIE = "hang", "drip", "die"  # says nothing more; says a little all the time; closes the connection
REPLIES = {
    "CONNECT": "220 mail.demo.example",
    "EHLO": "250 mail.demo.example",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    "CONTENT": "250 taken",
    "QUIT": "221 bye",
}


class MailServer(socketserver.ThreadingTCPServer):
    """
    `does` says how it answers next at a stage, one entry for each time; without one it answers well.

    `mails` are those whose content it took in: also those of which it then died, before it could say so. `reached`
    tells that a stage at which it hangs was reached; `release` lets it go on from there as if nothing had been.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Talk)
        self.port = self.server_address[1]
        self.does = {stage: [] for stage in REPLIES}
        self.mails = []
        self.reached, self.release = threading.Event(), threading.Event()

    def message_ids(self):
        return [mail["Message-ID"] for mail in self.mails]


class _Talk(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            is_open = self.answer("CONNECT")
            while is_open and (line := self.rfile.readline()):
                verb = line[:4].decode().strip().upper()
                stage = "EHLO" if verb == "HELO" else verb
                is_open = self.answer(stage) if stage in REPLIES else self.say("250 ok")
                if self.said.startswith("354"):
                    is_open = self.take()
        except OSError:
            pass  # the other side is gone

    def take(self):
        lines = iter(self.rfile.readline, b".\r\n")
        mail = message_from_bytes(b"".join(lines))
        do = self.server.does["CONTENT"]
        if not do or do[0] in (HANG, DRIP, DIE):
            self.server.mails.append(mail)
        return self.answer("CONTENT", quoting=mail)

    def answer(self, stage, quoting=None):
        """Returns whether the talk goes on."""
        do = self.server.does[stage].pop(0) if self.server.does[stage] else REPLIES[stage]
        if do == DIE:
            return False
        if do == DRIP:
            self.wfile.write(REPLIES[stage][:3].encode() + b"-")
            while not self.server.release.wait(0.01):
                self.wfile.write(b".")
            return False
        if do == HANG:
            self.server.reached.set()
            self.server.release.wait()
            do = REPLIES[stage]
        if quoting and not do.startswith("2"):
            do += " " + " ".join(quoting.get_payload(0).get_payload().split())
        return self.say(do) and stage != "QUIT"

    def say(self, reply):
        self.said = reply
        self.wfile.write(reply.encode() + b"\r\n")
        return True
