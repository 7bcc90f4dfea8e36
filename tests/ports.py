"""TCP ports for tests: of a range that no system hands out by itself, so that nobody takes one in between."""

from __future__ import annotations

import os
import socket

__all__ = ["free_port"]

#: Below the ports that Linux, macOS and Windows give to a connection that names none (32,768 and 49,152 on).
FIRST, LAST = 15_000, 32_000
#: Processes begin apart: a prime spreads neighbouring process numbers.
SPREAD = 7_919

_given = 0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that this process has not handed out before."""
    global _given
    for _ in range(LAST - FIRST):
        port = FIRST + (os.getpid() * SPREAD + _given) % (LAST - FIRST)
        _given += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port between {FIRST} and {LAST} is free")
