"""A factor that no scheduler undoes, a step that is left out before it harms, and what was really taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers

from scalewatch.acting.acts import ActLimits
from scalewatch_torch.acting.rates import RateFactor
from scalewatch_torch.acting.skipping import SkipSteps
from scalewatch_torch.acting.taken import StepsTaken
from scalewatch_torch.acting.weights import are_finite

STEPS, CUT_AT = 20, 5

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda o: None,
    "step": lambda o: schedulers.StepLR(o, 4),
    "cosine": lambda o: schedulers.CosineAnnealingLR(o, STEPS),
    "cosine above zero": lambda o: schedulers.CosineAnnealingLR(o, STEPS, eta_min=0.02),
    "lambda": lambda o: schedulers.LambdaLR(o, lambda n: 1 / (1 + n)),
    "one cycle": lambda o: schedulers.OneCycleLR(o, 0.1, STEPS + 1),
    "restarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 7),
    "cyclic": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=5),
    "sequential": lambda o: schedulers.SequentialLR(
        o, [schedulers.LinearLR(o, 0.1, 1.0, 5), schedulers.ExponentialLR(o, 0.9)], [5]
    ),
}


def train(make: Callable[[Any], Any], cut: bool, tensor: bool = False) -> tuple[list[float], list[float], float]:
    """Rates that steps were taken with, rates that the user sees after each, and the weight."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    rate: Any = torch.tensor(0.1, dtype=torch.float64) if tensor else 0.1
    optimizer = torch.optim.SGD([weight], lr=rate)
    scheduler = make(optimizer)
    factor = RateFactor()
    factor.attach([optimizer])
    taken, seen = [], []
    for step in range(STEPS):
        if step == CUT_AT and cut:
            factor.set(0.5)
        before = float(weight.detach())
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        taken.append(before - float(weight.detach()))
        seen.append(float(optimizer.param_groups[0]["lr"]))
        if scheduler is not None:
            scheduler.step()
    return taken, seen, float(weight.detach())


@pytest.mark.parametrize("name", SCHEDULERS)
def test_no_scheduler_undoes_the_factor(name: str) -> None:
    """Each step is taken with half its scheduled rate from the cut on, and the user sees the scheduled rate."""
    plain, plain_seen, _ = train(SCHEDULERS[name], cut=False)
    halved, halved_seen, _ = train(SCHEDULERS[name], cut=True)

    expected = [rate * (0.5 if n >= CUT_AT else 1.0) for n, rate in enumerate(plain)]
    assert pytest.approx(expected, rel=1e-9, abs=1e-12) == halved
    assert plain_seen == halved_seen


def test_a_rate_that_is_a_tensor_is_the_same_tensor_afterwards() -> None:
    """Compiled steps hold on to it."""
    taken, seen, _ = train(SCHEDULERS["none"], cut=True, tensor=True)

    assert pytest.approx([0.1] * CUT_AT + [0.05] * (STEPS - CUT_AT)) == taken
    assert pytest.approx([0.1] * STEPS) == seen


def test_a_factor_comes_and_goes_by_equal_ratios() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    factor = RateFactor()
    factor.attach([optimizer])
    factor.set(0.25, steps=2)
    seen = []
    for step in range(5):
        if step == 3:
            factor.set(1.0, steps=2)
        weight.grad = torch.ones(1)
        before = float(weight.detach())
        optimizer.step()
        seen.append(before - float(weight.detach()))

    assert pytest.approx([0.5, 0.25, 0.25, 0.5, 1.0]) == seen


def test_a_step_that_raises_leaves_the_scheduled_rate() -> None:
    """A loop that saves what it has when it crashes saves no rate of ours."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    factor = RateFactor()
    factor.attach([optimizer])
    factor.set(0.5)

    def closure() -> Any:
        raise RuntimeError("no data")

    with pytest.raises(RuntimeError):
        optimizer.step(closure)
    during = optimizer.param_groups[0]["lr"]
    factor.detach()

    assert (0.5, 1.0) == (during, optimizer.param_groups[0]["lr"])


def model_and_adam() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def one_step(model: nn.Linear, optimizer: torch.optim.Optimizer, skips: SkipSteps, step: int, spoil: bool) -> Any:
    optimizer.zero_grad()
    model(torch.ones(4, 3)).square().mean().backward()
    if spoil:
        model.bias.grad[0] = math.nan  # type: ignore[index]
    found = skips.before_step(optimizer, step)
    optimizer.step()
    return found


def test_a_step_with_a_gradient_that_is_no_number_changes_nothing() -> None:
    """Neither weights nor moments: the run is bit for bit the one without that batch."""
    model, optimizer = model_and_adam()
    twin, twins = model_and_adam()
    skips = SkipSteps(ActLimits())
    for step in range(1, 11):
        one_step(model, optimizer, skips, step, spoil=step == 4)
        if step != 4:
            one_step(twin, twins, SkipSteps(ActLimits()), step, spoil=False)

    assert (1, 4) == (skips.count, skips.first)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert str(optimizer.state_dict()["state"]) == str(twins.state_dict()["state"])


def test_on_a_device_nobody_looks_and_the_weights_stay_numbers() -> None:
    """The gradient is set to zero where it is, and the count arrives some steps later."""
    model, optimizer = model_and_adam()
    skips = SkipSteps(ActLimits(), on_device=True)
    found = [one_step(model, optimizer, skips, step, spoil=step in (4, 5)) for step in range(1, 40)]

    assert are_finite(model.parameters())
    assert [(16, 2)] == [tuple(each) for each in found if each is not None]


def test_skips_have_a_limit() -> None:
    """So many on end, and so many in a run: then the steps are taken as they would be."""
    model, optimizer = model_and_adam()
    skips = SkipSteps(ActLimits(skips_running=3))
    for step in range(1, 4):
        one_step(model, optimizer, skips, step, spoil=True)
    finite = are_finite(model.parameters())
    one_step(model, optimizer, skips, 4, spoil=True)

    assert "3 steps running were skipped: that is no accident, and no more are" == skips.spent
    assert (True, False) == (finite, are_finite(model.parameters()))


def test_a_dry_run_skips_nothing_and_counts() -> None:
    model, optimizer = model_and_adam()
    skips = SkipSteps(ActLimits(), dry=True)
    one_step(model, optimizer, skips, 1, spoil=True)

    assert 1 == skips.count
    assert are_finite(model.parameters()) is False


def test_what_a_scaler_leaves_out_is_not_taken() -> None:
    """Its gradient overflows at the third step."""
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    taken = StepsTaken()
    taken.attach(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for step in range(1, 6):
        optimizer.zero_grad()
        loss = (weight * (math.inf if step == 3 else 1.0)).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        taken.end_step(step)

    assert [True, True, False, True, True] == [taken.was_taken(step) for step in range(1, 6)]
