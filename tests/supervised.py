"""A training that asks to go back, started again in this process as `scalewatch run` does it in others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scalewatch.acting.rewinding import RewindExit, RewindRequest, environment_of


def supervised(folder: Path, patch: pytest.MonkeyPatch, train: Callable[[], object]) -> list[RewindRequest]:
    """Train until it ends without asking to go back; the requests that it left."""
    place, requests = folder / "rewind.json", list[RewindRequest]()
    while True:
        for name, value in environment_of(place, len(requests), requests[-1] if requests else None).items():
            patch.setenv(name, value)
        try:
            train()
            return requests
        except RewindExit:
            request = RewindRequest.left_at(place)
            assert request is not None
            requests.append(request)
