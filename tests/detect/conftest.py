"""One way for all tests of this room to show a curve to the detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]

#: Scatter of one row of the synthetic curves [nats].
NOISE_NATS = 0.03


def _follow(
    loss: Iterable[Any],
    *,
    steps: Iterable[Any] | None = None,
    every: int = 1,
    rates: Iterable[Any] | None = None,
    norms: Iterable[Any] | None = None,
    seconds: Iterable[Any] | None = None,
    validation: Mapping[int, Any] | None = None,
    ranks: Mapping[int, Any] | None = None,
    plan: NDArray[np.float64] | None = None,
    watch: DetectorSet | None = None,
) -> list[Finding]:
    watch = DetectorSet(Run("test", learning_rates=plan), Guard()) if watch is None else watch
    rows = loss.tolist() if isinstance(loss, np.ndarray) else list(loss)
    stepped = range(every, every * len(rows) + 1, every) if steps is None else steps
    rated = [None] * len(rows) if rates is None else list(rates)
    normed = [None] * len(rows) if norms is None else list(norms)
    timed = [None] * len(rows) if seconds is None else list(seconds)
    held_out, gathered = validation or {}, ranks or {}
    found = []
    for step, value, rate, norm, second in zip(stepped, rows, rated, normed, timed, strict=True):
        row = Observation(step, value, rate, norm, None, held_out.get(step), second, gathered.get(step))
        found += watch.observe(row)
    return found


@pytest.fixture
def follow() -> Follow:
    """Findings of a new watch over a curve; what a row carries is given by row, `validation` and `ranks` by step."""
    return _follow


@pytest.fixture
def curve() -> Callable[..., NDArray[np.float64]]:
    """A clean curve: 3.2 t^-0.1 + 1.8 nats, with white noise of .03 nats, or t(df) of that sd."""

    def make(rows: int = 20_000, seed: int = 1, df: float | None = None, noise: float = NOISE_NATS) -> Any:
        random, t = np.random.default_rng(seed), np.arange(1, rows + 1)
        scatter = random.normal(0, 1, rows) if df is None else random.standard_t(df, rows) * ((df - 2) / df) ** 0.5
        return 3.2 * t**-0.1 + 1.8 + noise * scatter

    return make
