"""On real public runs: healthy ones are not off the law of their ladder, and changed ones are, in the way they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from scalewatch import Finding, Kind, Monitor, Observation
from scalewatch.fitting import fit_curves
from scalewatch.laws import CurveLaw
from tests.forecast.test_real_runs import Logged, load
from tests.synthetic import Floats

SMALL, LARGE = 25_000_000, 100_000_000


@pytest.fixture(scope="module")
def gpts(data_folder: Path) -> list[Logged]:
    """GPTs of 25M and 100M parameters under nine schedules (multipowerlaw)."""
    return list(load(data_folder, "multipowerlaw", "train").values())


@pytest.fixture(scope="module")
def law(gpts: list[Logged]) -> CurveLaw:
    """The law of the 25M runs."""
    return fit_curves([each.curve for each in gpts if each.run.parameters == SMALL])


def said(run: Logged, losses: Floats, law: CurveLaw) -> list[Finding]:
    monitor = Monitor(run.run, law)
    found: list[Finding] = []
    for step, loss in zip(run.steps.tolist(), losses.tolist(), strict=True):
        found += monitor.observe(Observation(step, loss))
    return [each for each in found if each.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW, Kind.DIVERGENCE)]


def test_healthy_runs_are_on_the_law_of_a_ladder_that_did_not_see_them(gpts: list[Logged], law: CurveLaw) -> None:
    """None of the nine larger runs is said to be off it; of 77 in four ladders none was (tests/benchmarks)."""
    large = [each for each in gpts if each.run.parameters == LARGE]

    assert len(large) == 9
    assert [] == [finding for each in large for finding in said(each, each.losses, law)]


def test_a_real_run_that_drifts_from_its_middle_on_is_told_since_when(gpts: list[Logged], law: CurveLaw) -> None:
    """Half a nat an e-fold of steps from 40 % on: a warning that names a drift and where it began."""
    for run in (each for each in gpts if each.run.parameters == LARGE):
        total = run.run.total_steps or 1
        drift = 0.5 * np.maximum(np.log(run.steps / (0.4 * total)), 0.0)
        finding, *_ = said(run, run.losses + drift, law)
        if finding.kind is Kind.DIVERGENCE:
            continue  # where a row scatters by little, the rise itself is told first

        assert Kind.OFF_LAW is finding.kind
        assert "drift" == finding.evidence["way"]
        assert pytest.approx(0.42, abs=0.06) == finding.start_step / total
        assert float(finding.evidence["chance"] or 0) < 0.01


def test_a_real_run_in_bits_is_off_a_law_in_nats(gpts: list[Logged], law: CurveLaw) -> None:
    """44 % too high from the first row on: more than a law of one size may be off by chance."""
    run = next(each for each in gpts if each.run.parameters == LARGE)
    found = said(run, run.losses / math.log(2.0), law)

    assert [Kind.OFF_LAW] == [each.kind for each in found]
    assert "compute so far bought nothing" in found[0].message
