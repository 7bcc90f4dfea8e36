"""Every function that a hook can reach is made to raise: the training never sees it, and one line tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.injection import Outcome, Reached, felt, reached_by, some_of
from tests.scalewatch_lightning.injection import FOUNDATION, train, watch

#: The fewest functions that a watched training must be seen to reach: fewer, and the look at it is broken.
LEAST_REACHED = 500
#: Where a fault once did reach the training, or was told twice; these are tried each time.
ONCE_BROKEN = (
    "scalewatch/acting/acts.py::Acts.__bool__",
    "scalewatch_torch/watching/acting.py::Acting.end",
    "scalewatch_torch/acting/rates.py::RateFactor._after",
    "scalewatch_torch/acting/rates.py::RateFactor._before",
    "scalewatch_torch/acting/rates.py::RateFactor._move",
    "scalewatch_torch/precursors.py::Precursors._after_step",
    "scalewatch_torch/scalars.py::HostReader.abandon",
    "scalewatch_torch/sensors.py::Sensors._call",
    "scalewatch_torch/sensors.py::Sensors.detach",
    "scalewatch_torch/watching/step_metrics.py::StepMetrics.is_main",
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the training ends with where nobody watches."""
    return train(tmp_path_factory.mktemp("alone"), [])


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> list[Reached]:
    callback, folder = watch(), tmp_path_factory.mktemp("reached")
    return reached_by(lambda: train(folder, [callback]), FOUNDATION)


def test_what_is_reached_is_found(reached: list[Reached]) -> None:
    """The look at a training sees the hooks and all below them; what was once broken is still there."""
    names = {each.name for each in reached}

    assert len(names) >= LEAST_REACHED
    assert set(ONCE_BROKEN) <= names


@pytest.mark.parametrize(
    "all_of_them", [pytest.param(False, id="some"), pytest.param(True, marks=pytest.mark.soak, id="all")]
)
def test_a_fault_of_ours_costs_one_warning_and_nothing_else(
    all_of_them: bool,
    alone: Outcome,
    reached: list[Reached],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Raised at its first call in turn: the weights are the same to the bit, and at most one line tells of it."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    tried = reached if all_of_them else some_of(reached, ONCE_BROKEN)

    watches = {f"{number}": watch() for number in range(1, len(tried) + 1)}

    assert {} == felt(tried, lambda name: train(tmp_path / name, [watches[name]]), alone, caplog)
