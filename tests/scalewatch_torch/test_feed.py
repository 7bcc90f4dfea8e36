"""What the gate is told of a run: whether a rate that has left its plan may have done it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run
from scalewatch.acting.acts import Act, Acts, Decision
from scalewatch.acting.rewinding import environment_of
from scalewatch.checkpoints import SavedCheckpoint
from scalewatch_torch.acting.feed import ActFeed

STEPS, OFF_FROM, OFF_STEPS = 1_000, 501, 60


def decision_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, off_plan: bool) -> Decision:
    """The first of a run whose loss rises for good at step 501, with a rate that is 30 times its plan for 60 steps."""
    for name, value in environment_of(tmp_path / "rewind.json", 0, None).items():
        monkeypatch.setenv(name, value)
    monitor = Monitor(Run("mine", STEPS, np.full(STEPS, 1e-3)))
    monitor.checkpoints = [SavedCheckpoint(480, "step=480.ckpt")]
    feed, noise = ActFeed(Acts(frozenset({Act.REWIND})), monitor), random.Random(5)
    for step in range(1, STEPS + 1):
        high = step >= OFF_FROM
        rate = 3e-2 if off_plan and OFF_FROM <= step < OFF_FROM + OFF_STEPS else 1e-3
        row = Observation(step, 3.0 + 0.03 * noise.gauss(0.0, 1.0) + 1.5 * high, rate)
        feed.observe(row, monitor.observe(row))
        decision = feed.decide()
        if decision is not None:
            return decision
    raise AssertionError("nothing was decided")


def test_a_rate_that_is_on_its_plan_again_may_have_done_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes back to before it, and is kept to the plan there; no batch is blamed."""
    decision = decision_of(tmp_path, monkeypatch, off_plan=True)

    assert decision.step > OFF_FROM + OFF_STEPS
    assert (True, pytest.approx(1 / 30), None) == (decision.to_plan, decision.factor, decision.skip)


def test_where_the_rate_was_on_its_plan_the_batches_are_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = decision_of(tmp_path, monkeypatch, off_plan=False)

    assert (False, 1.0) == (decision.to_plan, decision.factor)
    assert decision.skip is not None
