"""What is found out about a trainer without being told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scalewatch_lightning.introspect import planned_steps, steps_per_epoch
from tests.scalewatch_lightning.conftest import TinyText, loader


def as_trainer(**options: Any) -> Any:
    module = TinyText()
    module.automatic_optimization = options.pop("automatic", True)
    defaults = {
        "callbacks": [],
        "lightning_module": module,
        "optimizers": [None],
        "estimated_stepping_batches": 100,
        "max_steps": -1,
        "global_step": 0,
    }
    return SimpleNamespace(**{**defaults, **options})


class GradientAccumulationScheduler:
    """Of Lightning's name, with which the trainer refuses to estimate."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 100),
        ({"estimated_stepping_batches": float("inf")}, None),
        ({"estimated_stepping_batches": -1}, None),
        ({"global_step": 100}, None),
        ({"callbacks": [GradientAccumulationScheduler()]}, None),
        ({"automatic": False}, None),
        ({"automatic": False, "max_steps": 100}, 100),
        ({"automatic": False, "max_steps": 100, "optimizers": [None, None]}, None),
    ],
)
def test_planned_steps(options: dict[str, Any], expected: int | None) -> None:
    """What the trainer estimates, unless it cannot know: then the run has no planned end."""
    assert planned_steps(as_trainer(**options)) == expected


def test_planned_steps_of_a_real_trainer(new_trainer: Any) -> None:
    """Two epochs of 16 batches, three of them a step."""
    trainer = new_trainer(max_steps=-1, max_epochs=2, accumulate_grad_batches=3)
    planned: list[int | None] = []
    module = TinyText()
    module.on_train_start = lambda: planned.append(planned_steps(trainer))  # type: ignore[method-assign]

    trainer.fit(module, loader())

    assert planned == [12]
    assert trainer.global_step == 12


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 6), ({"limit_train_batches": 0.5}, None), ({"reload_dataloaders_every_n_epochs": 1}, None)],
)
def test_the_epochs_of_a_real_trainer(new_trainer: Any, options: dict[str, Any], expected: int | None) -> None:
    """Sixteen batches, three of them a step; half of the data, or data loaded anew, need not be seen again."""
    trainer = new_trainer(max_steps=-1, max_epochs=2, accumulate_grad_batches=3, **options)
    told: list[float | None] = []
    module = TinyText()
    module.on_train_start = lambda: told.append(steps_per_epoch(trainer))  # type: ignore[method-assign]

    trainer.fit(module, loader())

    assert told == [expected]
