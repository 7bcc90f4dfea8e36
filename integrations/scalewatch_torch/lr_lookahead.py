"""The learning rate of every step that is still to come, by running a copy of the scheduler ahead.

A scheduler computes a rate from the one before, and there is no formula to ask it for. So it is copied
together with a stand-in for its optimizer, and the copy takes all the steps of the run, at the batches and
epochs at which the loop would step it: `rates[i]` is the rate of the i-th step from now.

Why not make a fresh one: a factory may have side effects, and after a resume a fresh scheduler is not where
the real one is. The real scheduler, its optimizer, their counters and the random states are left as they were.
"""

from __future__ import annotations

import copy
import math
import random
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch

from scalewatch.arrays import Floats
from scalewatch.journal.schedule import simplified

__all__ = ["Clock", "LookAhead", "Scheduled", "pack_rates", "planned_rates", "unpack_rates"]

#: How long the copy may run [s]. A scheduler takes 2 us a step, so this is a schedule of about 1e7 steps.
BUDGET_SECONDS = 20.0
#: Steps between two looks at the clock.
_LOOK_EVERY_STEPS = 4_096
#: Schedules up to this length go into a checkpoint rate by rate [steps]; longer ones as at most 2,000 knots.
EXACT_STEPS = 1_024


class Scheduled(NamedTuple):
    """A scheduler, and when the loop calls its `step`: after every `frequency`-th batch, or epoch, that ends a step."""

    scheduler: Any
    interval: Literal["step", "epoch"] = "step"
    frequency: int = 1


class Clock(NamedTuple):
    """Where in its epoch the loop is, and how it counts.

    Attributes:
        batch: index in its epoch of the batch that comes next.
        epoch: number of that epoch, from 0.
        batches_per_epoch: batches of an epoch; infinite if unknown.
        accumulate: batches of one optimizer step.
    """

    batch: int = 0
    epoch: int = 0
    batches_per_epoch: float = math.inf
    accumulate: int = 1


class LookAhead(NamedTuple):
    """The planned rates, or why there are none."""

    rates: Floats | None
    why_not: str = ""


def planned_rates(
    optimizer: torch.optim.Optimizer,
    schedulers: Sequence[Scheduled],
    steps: int,
    *,
    group: int = 0,
    clock: Clock | None = None,
    shared: Iterable[object] = (),
) -> LookAhead:
    """Return the learning rate of the next `steps` steps of `optimizer.param_groups[group]`, shape (steps,).

    Without a scheduler it is constant. It is unknown where it depends on what a metric will be, and where an
    epoch's end matters but not when it comes.

    Args:
        schedulers: those of this optimizer.
        clock: where the loop is; None for its beginning, with one batch a step and no epochs.
        shared: what a scheduler may refer to and is not to be copied, such as the model.
    """
    clock = Clock() if clock is None else clock
    if not schedulers:
        return LookAhead(np.full(steps, float(optimizer.param_groups[group]["lr"])))
    if any(isinstance(each.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau) for each in schedulers):
        return LookAhead(None, "ReduceLROnPlateau decides by a metric that is not known yet")
    if any(each.interval == "epoch" for each in schedulers) and math.isinf(clock.batches_per_epoch):
        return LookAhead(None, "it changes with each epoch, and the length of an epoch is unknown")
    dry = DryOptimizer(optimizer)
    memo: dict[int, Any] = {id(optimizer): dry, **{id(thing): thing for thing in shared}}
    with _no_trace_left():
        copies = [each._replace(scheduler=copy.deepcopy(each.scheduler, memo)) for each in schedulers]
        rates = _run_ahead(dry.param_groups[group], copies, clock, steps)
    if rates is None:
        return LookAhead(None, f"running it ahead for {steps} steps takes over {BUDGET_SECONDS} s")
    if not np.all(np.isfinite(rates)) or rates.min() < 0:
        return LookAhead(None, "it is planned to be negative or not finite")
    return LookAhead(rates)


def _run_ahead(group: Mapping[str, Any], schedulers: Sequence[Scheduled], clock: Clock, steps: int) -> Floats | None:
    rates = np.empty(steps)
    at_step = [(each.scheduler.step, int(each.frequency)) for each in schedulers if each.interval == "step"]
    at_epoch = [(each.scheduler.step, int(each.frequency)) for each in schedulers if each.interval == "epoch"]
    batch, epoch, length, accumulate = clock
    give_up = time.monotonic() + BUDGET_SECONDS
    for i in range(steps):
        rates[i] = float(group["lr"])
        if i == steps - 1:
            break  # some schedulers refuse the step after the last one
        # this step is taken at the batch that completes it, or at the last of the epoch
        batch = int(min((batch // accumulate + 1) * accumulate, length))
        for step, frequency in at_step:
            if batch % frequency == 0:
                step()
        if batch >= length:
            batch, epoch = 0, epoch + 1
            for step, frequency in at_epoch:
                if epoch % frequency == 0:
                    step()
        if i % _LOOK_EVERY_STEPS == 0 and time.monotonic() > give_up:
            return None
    return rates


@final
class DryOptimizer(torch.optim.Optimizer):
    """Has the groups of another optimizer, without its parameters and its state; a step does nothing."""

    def __init__(self, real: torch.optim.Optimizer) -> None:
        groups = [
            {**{k: _own(v) for k, v in g.items() if k != "params"}, "params": [torch.zeros(())]}
            for g in real.param_groups
        ]
        super().__init__(groups, {k: _own(v) for k, v in real.defaults.items()})
        self._opt_called = True  # schedulers warn if they are stepped first

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Do nothing."""

    # what a scheduler leaves on the `step` that it has wrapped, and warns about if it is gone
    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]


def _own(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    return copy.deepcopy(value)


@contextmanager
def _no_trace_left() -> Iterator[None]:
    """Random states as before, no warnings of schedulers that believe they are in a training."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def pack_rates(rates: Floats) -> dict[str, list[Any]]:
    """Return a schedule as plain lists for a checkpoint: exact if it is short, else knots that are joined by
    straight lines within 1e-6 of the peak.

    >>> pack_rates(np.array([1.0, 2.0, 3.0]))
    {'steps': [1, 2, 3], 'rates': [1.0, 2.0, 3.0]}
    """
    if len(rates) <= EXACT_STEPS:
        return {"steps": list(range(1, len(rates) + 1)), "rates": rates.tolist()}
    knots = simplified(rates)
    return {"steps": knots.steps.tolist(), "rates": knots.rates.tolist()}


def unpack_rates(packed: object, steps: int) -> Floats | None:
    """Return the first `steps` rates of what `pack_rates` made, None if it is nothing of the kind."""
    if not isinstance(packed, Mapping) or steps < 1:
        return None
    try:
        at = np.asarray(packed.get("steps"), dtype=np.float64)
        rates = np.asarray(packed.get("rates"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    is_schedule = at.ndim == rates.ndim == 1 and len(at) == len(rates) > 0
    if not is_schedule or not np.all(np.isfinite(at)) or not np.all(np.isfinite(rates)):
        return None
    if at[0] != 1 or np.any(np.diff(at) <= 0) or at[-1] < steps or rates.min() < 0:
        return None
    return np.interp(np.arange(1, steps + 1), at, rates)
