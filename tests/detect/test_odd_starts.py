"""Runs that begin, or go on after a break, with a row that says nothing of what comes: no page, no blindness after."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run, Severity
from tests.synthetic import Floats

SPIKE_STEP = 1_200


def curve(seed: int = 0) -> Floats:
    """A healthy fall with noise, and thirty rows of a spike at `SPIKE_STEP`."""
    steps = np.arange(1, 1_501)
    losses: Floats = 2.0 + 3.0 * steps**-0.4 + 0.02 * np.random.default_rng(seed).normal(size=len(steps))
    losses[SPIKE_STEP - 1 : SPIKE_STEP + 29] += 1.5
    return losses


def pages(losses: Floats, *, resumes_at: int = 0) -> list[int]:
    """The steps at which somebody would be woken."""
    monitor, woken = Monitor(Run("odd")), []
    for step, loss in enumerate(losses, start=1):
        if step == resumes_at:
            state = json.loads(json.dumps(monitor.state_dict(), allow_nan=False))
            monitor = Monitor(Run("odd"))
            monitor.load_state_dict(state)
        found = monitor.observe(Observation(step, float(loss)))
        woken += [step for f in found if f.severity is not Severity.INFO and f.phase.value == "opened"]
    return woken


@pytest.mark.parametrize(
    ("first", "rows"), [(1.5, 1), (1.5, 3), (1e-300, 2), (0.0, 1), (100.0, 1), (1e30, 3), (-5.0, 1), (math.nan, 1)]
)
def test_an_odd_first_row_neither_pages_nor_blinds(first: float, rows: int) -> None:
    """A third of the level, nothing, 1e30 or less than zero: the one page is that of the spike."""
    losses = curve()
    losses[:rows] = first

    assert [SPIKE_STEP + 1] == pages(losses)


@pytest.mark.parametrize("odd", [0.3, 1e-300, 0.0, -1e300])
def test_a_resume_whose_first_row_is_odd_neither_pages_nor_blinds(odd: float) -> None:
    """As after a mean over fewer batches, or a row that was written half."""
    losses = curve(1)
    losses[799] = odd

    assert [SPIKE_STEP + 1] == pages(losses, resumes_at=800)
