"""A mail server on loopback that takes one mail and answers as it is told to."""

from __future__ import annotations

import socket
import threading
from typing import ClassVar, final


@final
class FakeSmtp(threading.Thread):
    """Takes one mail; `says` overrides the answer to a command."""

    ANSWERS: ClassVar[dict[str, str]] = {"EHLO": "250 fake", "DATA": "354 go on", "QUIT": "221 bye"}

    def __init__(self, **says: str) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._says = says
        self.mail = ""
        self.start()

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall((self._says.get("hello", "220 fake") + "\r\n").encode())
            for raw in lines:
                word = raw.decode().split()[0].upper().rstrip(":") if raw.strip() else ""
                answer = self._says.get(word, self.ANSWERS.get(word, "250 ok"))
                connection.sendall((answer + "\r\n").encode())
                if answer.startswith("354"):
                    self.mail = "".join(iter(lambda: lines.readline().decode(), ".\r\n"))
                    connection.sendall((self._says.get("end", "250 taken") + "\r\n").encode())
        self._socket.close()
