"""A server on loopback that behaves as badly as it is told to, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, final

#: How long a connection is held by a behaviour that holds it [s].
HOLD_SECONDS = 120.0
#: What takes less was not kept waiting by it, however busy the machine.
UNHELD_SECONDS = 60.0


@final
class Got(NamedTuple):
    """A request: its path, headers in lower case, body, and when it had arrived whole [monotonic s]."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@final
class FakeServer:
    """Listens until it is closed; `behave` answers a request whose body has been read."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.got: list[Got] = []
        self.connections = 0
        self.behave: Callable[[socket.socket, Got], None] = answers(200, b"ok")
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/CANARY"

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
            request = _request(connection)
            if request is not None:
                self.got.append(request)
                self.behave(connection, request)

    def hold(self, connection: socket.socket, got: Got) -> None:
        """Take the request and say nothing."""
        self._stop.wait(HOLD_SECONDS)

    def trickle(self, connection: socket.socket, got: Got) -> None:
        """Answer one byte at a time, never to the end."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self._stop.wait(0.1):
            connection.sendall(b"o")

    def trickle_headers(self, connection: socket.socket, got: Got) -> None:
        """Send headers without end, a byte at a time."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not self._stop.wait(0.1):
            connection.sendall(b"y")

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else the system listens on while `accept` waits
        self._socket.close()
        for thread in self._threads[1:]:
            if thread.ident is not None:  # else it was made a moment ago and not started yet
                thread.join(2.0)

    def wait_for(self, count: int, timeout: float = 60.0) -> list[Got]:
        """The requests, once there are so many."""
        deadline = time.monotonic() + timeout
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return list(self.got)


def _request(connection: socket.socket) -> Got | None:
    stream = connection.makefile("rb")
    first = stream.readline().decode("latin-1").split(" ")
    if len(first) < 2:
        return None
    headers = {}
    while (line := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    if len(body) < length:  # who sent it was killed in the middle: no server takes that for a message
        return None
    return Got(first[1], headers, body, time.monotonic())


def answers(status: int, body: bytes = b"", **headers: str) -> Callable[[socket.socket, Got], None]:
    """Answer properly; underscores in a header's name are hyphens."""

    def answer(connection: socket.socket, got: Got) -> None:
        sent = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in sent.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    return answer


def resets(connection: socket.socket, got: Got) -> None:
    """Break the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def babbles(connection: socket.socket, got: Got) -> None:
    """Answer in no known language."""
    connection.sendall(b"\x00\xff" * 2000)


def in_turn(*behaviours: Callable[[socket.socket, Got], None]) -> Callable[[socket.socket, Got], None]:
    """One behaviour a request, the last for all that follow."""
    left: Iterator[Callable[[socket.socket, Got], None]] = iter(behaviours[:-1])

    def behave(connection: socket.socket, got: Got) -> None:
        next(left, behaviours[-1])(connection, got)

    return behave
