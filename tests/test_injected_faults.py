"""Every function of ours that a training reaches is made to raise: it never sees it, and one line tells of it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.injection import PARTS, Outcome, Reached, Training, felt, reached_by, some_of

#: The rooms of the tests, in which `injection.py` has the training.
ROOMS = ("scalewatch_lightning", "scalewatch_torch", "scalewatch_transformers")


@pytest.fixture(scope="module", params=ROOMS)
def training(request: pytest.FixtureRequest) -> Training:
    """One way to train."""
    found = importlib.import_module(f"tests.{request.param}.injection").TRAINING
    assert isinstance(found, Training)
    return found


@pytest.fixture(scope="module")
def alone(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the training ends with where nobody watches."""
    return training.prepare(tmp_path_factory.mktemp("alone"), watched=False)()


@pytest.fixture(scope="module")
def reached(training: Training, tmp_path_factory: pytest.TempPathFactory) -> list[Reached]:
    """The functions of ours that the training reaches where it is watched."""
    return reached_by(training.prepare(tmp_path_factory.mktemp("reached"), watched=True), training.foundation)


def test_what_is_reached_is_found(training: Training, reached: list[Reached]) -> None:
    """The look at a training sees the hooks and all below them; what was once broken is still there."""
    names = {each.name for each in reached}

    assert len(names) >= training.least_reached
    assert set(training.once_broken) <= names


@pytest.mark.parametrize(
    "part", [pytest.param(None, id="some"), *(pytest.param(part, marks=pytest.mark.soak) for part in range(PARTS))]
)
def test_a_fault_of_ours_costs_one_warning_and_nothing_else(
    part: int | None,
    training: Training,
    alone: Outcome,
    reached: list[Reached],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Raised at its first call in turn: the weights are the same to the bit, and at most one line tells of it."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    tried = some_of(reached, training.once_broken) if part is None else reached[part::PARTS]
    runs = [training.prepare(tmp_path / f"{number}", watched=True) for number in range(len(tried))]

    assert {} == felt(tried, runs, alone, caplog)
