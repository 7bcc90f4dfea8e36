"""What the tests of the alerts stand on: a server on loopback, and receivers that lead to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alert.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that answers "ok" until it is told otherwise."""
    fake = FakeServer()
    yield fake
    fake.close()
