"""Every function that a hook can reach is made to raise: the training never sees it, and one line tells of it."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from tests.scalewatch_lightning.injection import Outcome, Reached, raises_once, reached_by_hooks, train, watch

#: One function in so many is tried each time, chosen by its name; the long tests try all [functions].
ONE_IN = 120
#: The fewest functions that a watched training must be seen to reach: fewer, and the look at it is broken.
LEAST_REACHED = 500
#: Where a fault once did reach the training, or was told twice; these are tried each time.
ONCE_BROKEN = (
    "scalewatch/acting/acts.py::Acts.__bool__",
    "scalewatch_lightning/acting.py::Acting.end",
    "scalewatch_torch/acting/rates.py::RateFactor._after",
    "scalewatch_torch/acting/rates.py::RateFactor._before",
    "scalewatch_torch/acting/rates.py::RateFactor._move",
    "scalewatch_torch/precursors.py::Precursors._after_step",
    "scalewatch_torch/scalars.py::HostReader.abandon",
    "scalewatch_torch/sensors.py::Sensors._call",
    "scalewatch_torch/sensors.py::Sensors.detach",
    "scalewatch_torch/watching/step_metrics.py::StepMetrics.is_main",
)
#: Hooks that set one mark, or hand over to what is guarded: nothing in them can raise but an injection. Left out.
HANDS_OVER = ("::StepsTaken._note", "::Listener.__torch_function__", "::TrainerCheckpoints._asking.")
#: Where a fault leaves a thread of ours that ends with its process, which a test would wait for: left out.
LEAVES_A_THREAD = ("::Session.close", "::Shutdown.", "::Dispatcher.close", "::Worker.close", "::Watch.finish")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the training ends with where nobody watches."""
    return train(tmp_path_factory.mktemp("alone"), [])


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> list[Reached]:
    found = reached_by_hooks(tmp_path_factory.mktemp("reached"))
    return [each for each in found if not any(part in each.name for part in (*LEAVES_A_THREAD, *HANDS_OVER))]


def chosen(name: str) -> bool:
    """Whether it is tried each time: always the same ones, whatever else is written."""
    return name in ONCE_BROKEN or int(hashlib.sha256(name.encode()).hexdigest(), 16) % ONE_IN == 0


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
    tried = [each for each in reached if all_of_them or chosen(each.name)]
    wrong: dict[str, object] = {}

    for number, (name, code) in enumerate(tried):
        caplog.clear()
        watched = watch()
        with raises_once(code) as has_raised:
            outcome = train(tmp_path / f"{number}", [watched])
        told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
        if outcome != alone or len(told) > 1 or not has_raised():
            wrong[name] = outcome.reached_training or told or "the weights are others"

    print(f"{len(tried)} of {len(reached)} functions made to raise, {len(wrong)} of them felt")  # noqa: T201
    assert wrong == {}
