"""The false-alarm budget of the whole set; the full table is `tests/benchmarks/false_alarms.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

ROWS = 20_000

#: Kinds that only a slow rule says.
SLOW = {
    *(Kind.PLATEAU, Kind.LEVEL_SHIFT, Kind.NOISE, Kind.GRAD_DRIFT),
    *(Kind.SUSPICIOUS_IMPROVEMENT, Kind.THROUGHPUT, Kind.VALIDATION),
}


@pytest.mark.parametrize(("df", "most_pages"), [(None, 0), (4.0, 2), (3.0, 4)])
def test_a_clean_run_with_all_that_a_log_can_carry(
    follow: Follow, curve: Curve, df: float | None, most_pages: int
) -> None:
    """Norms, clock, validations: no slow rule says a word, and hardly a page from the others."""
    random, t = np.random.default_rng(7), np.arange(1, ROWS + 1)
    norms = np.exp(0.1 * random.standard_normal(ROWS)) * (0.5 + 9.5 * np.exp(-t / 20))
    seconds = np.cumsum(random.gamma(50, 0.02, ROWS) + np.where(t % 500 == 0, 90.0, 0.0))
    held_out = {int(s): 3.2 * s**-0.1 + 1.82 + float(random.normal(0, 0.004)) for s in t[99::100].tolist()}

    found = follow(
        curve(ROWS, df=df),
        rates=np.full(ROWS, 1e-3).tolist(),
        norms=norms.tolist(),
        seconds=seconds.tolist(),
        validation=held_out,
    )

    assert [] == [f for f in found if f.kind in SLOW]
    assert len([f for f in found if f.pages]) <= most_pages
