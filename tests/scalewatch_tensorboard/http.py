"""Requests to a `tensorboard`, as raw as they have to be."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

__all__ = ["PREFIX", "Reply", "ask", "refuse_nan", "until"]

PREFIX = "data/plugin/scalewatch"
PATIENCE_SECONDS = 240.0


class Reply(NamedTuple):
    """An answer: its status, its headers in lower case, its body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as strict JSON."""
        return json.loads(self.body, parse_constant=refuse_nan)


def refuse_nan(word: str) -> float:
    """Strict JSON knows no such word."""
    raise AssertionError(f"{word} is not JSON")


def ask(url: str, route: str, method: str = "GET", **parameters: Any) -> Reply:
    """Ask the plugin behind `url`; nothing of the route is made tidy on the way."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    query = urlencode({name.rstrip("_"): value for name, value in parameters.items()}, doseq=True)
    path = f"{parts.path}{PREFIX}/{route}"
    connection.request(method, f"{path}?{query}" if query else path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return Reply(answer.status, headers, gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)


def until(true: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come true in {PATIENCE_SECONDS:.0f} s")
