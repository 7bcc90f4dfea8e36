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

from scalewatch.arrays import Floats, KnottedRates, Rates
from scalewatch.journal.schedule import simplified
from scalewatch_torch.lr_sampling import rate_at, through_samples

__all__ = ["Clock", "LookAhead", "Scheduled", "joined", "pack_rates", "planned_rates", "unpack_rates"]

#: CPU time for which the copy may run [s]: a scheduler takes 2 to 8 us a step, so this is 10,000 steps at least. And
#: the time for a plan through samples. Together they hold up the first batch by less than .2 s.
BUDGET_SECONDS, SAMPLING_SECONDS = 0.08, 0.05
#: Longest run whose rates are found one by one: an array of 800 kB.
MOST_WALKED_STEPS = 100_000
#: Steps between two looks at the clock.
_LOOK_EVERY_STEPS = 512
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

    rates: Rates | None
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
        rate = float(optimizer.param_groups[group]["lr"])
        is_long = steps > MOST_WALKED_STEPS
        return LookAhead(KnottedRates([1, steps], [rate, rate]) if is_long else np.full(steps, rate))
    if any(isinstance(each.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau) for each in schedulers):
        return LookAhead(None, "ReduceLROnPlateau decides by a metric that is not known yet")
    if any(each.interval == "epoch" for each in schedulers) and math.isinf(clock.batches_per_epoch):
        return LookAhead(None, "it changes with each epoch, and the length of an epoch is unknown")
    memo = {id(thing): thing for thing in shared}
    walked = min(steps, MOST_WALKED_STEPS)
    with _no_trace_left():
        group_of, copies = _copies(optimizer, schedulers, group, memo)
        first = _run_ahead(group_of, copies, clock, walked)
        rates: Rates | None = first
        if len(first) < steps:
            _, copies = _copies(optimizer, schedulers, group, memo)
            rates = _sampled(copies, group, clock, steps, first)
    if rates is None:
        return LookAhead(None, f"{steps:,} steps take too long to run ahead, and it knows no rate of a step far ahead")
    ends = rates.rates if isinstance(rates, KnottedRates) else rates
    if not np.all(np.isfinite(ends)) or ends.min() < 0:
        return LookAhead(None, "it is planned to be negative or not finite")
    return LookAhead(rates)


def _copies(
    optimizer: torch.optim.Optimizer, schedulers: Sequence[Scheduled], group: int, shared: Mapping[int, Any]
) -> tuple[Mapping[str, Any], list[Scheduled]]:
    """Copies of the schedulers that steer a stand-in for their optimizer, and the group of that."""
    dry = DryOptimizer(optimizer)
    memo: dict[int, Any] = {id(optimizer): dry, **shared}
    return dry.param_groups[group], [
        each._replace(scheduler=copy.deepcopy(each.scheduler, memo)) for each in schedulers
    ]


def _sampled(schedulers: Sequence[Scheduled], group: int, clock: Clock, steps: int, walked: Floats) -> Rates | None:
    """The plan through samples; None where there is more than one scheduler, or it steps at odd times."""
    if len(schedulers) > 1:
        return None
    (each,) = schedulers
    batch, epoch, length, accumulate = clock
    if each.interval == "step":
        if each.frequency != 1:
            return None
        steps_per_call, taken = 1, 0
    else:
        per_epoch = int(-(-length // accumulate))
        steps_per_call = per_epoch * each.frequency
        taken = batch // accumulate + epoch % each.frequency * per_epoch
    done = int(getattr(each.scheduler, "last_epoch", 0))
    try:
        rate = rate_at(each.scheduler, group)
        give_up = time.thread_time() + SAMPLING_SECONDS
        return through_samples(
            lambda step: rate(done + (step + taken) // steps_per_call),
            walked,
            steps,
            lambda: time.thread_time() > give_up,
        )
    except (TypeError, AttributeError, LookupError, ArithmeticError):
        return None


def _run_ahead(group: Mapping[str, Any], schedulers: Sequence[Scheduled], clock: Clock, steps: int) -> Floats:
    """The rates of the first steps, as many as the time is enough for."""
    rates = np.empty(steps)
    at_step = [(each.scheduler.step, int(each.frequency)) for each in schedulers if each.interval == "step"]
    at_epoch = [(each.scheduler.step, int(each.frequency)) for each in schedulers if each.interval == "epoch"]
    batch, epoch, length, accumulate = clock
    give_up = time.thread_time() + BUDGET_SECONDS
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
        if i % _LOOK_EVERY_STEPS == 0 and time.thread_time() > give_up:
            return rates[: i + 1].copy()
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


def pack_rates(rates: Rates) -> dict[str, list[Any]]:
    """Return a schedule as plain lists for a checkpoint: exact if it is short, else knots that are joined by
    straight lines within 1e-6 of the peak.

    >>> pack_rates(np.array([1.0, 2.0, 3.0]))
    {'steps': [1, 2, 3], 'rates': [1.0, 2.0, 3.0]}
    """
    if len(rates) <= EXACT_STEPS:
        return {"steps": list(range(1, len(rates) + 1)), "rates": np.asarray(rates).tolist()}
    knots = simplified(rates)
    return {"steps": knots.steps.tolist(), "rates": knots.rates.tolist()}


def unpack_rates(packed: object, steps: int) -> Rates | None:
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
    return KnottedRates(at, rates)[:steps]


def joined(past: Rates, ahead: Rates) -> Rates:
    """Return two plans, one after the other, as an array where both are short."""
    if not isinstance(past, KnottedRates) and not isinstance(ahead, KnottedRates):
        return np.concatenate([past, ahead])
    parts = [each if isinstance(each, KnottedRates) else knotted(each) for each in (past, ahead)]
    steps = np.concatenate([parts[0].steps, parts[1].steps + len(parts[0])])
    return KnottedRates(steps, np.concatenate([parts[0].rates, parts[1].rates]))


def knotted(rates: Floats) -> KnottedRates:
    """Return an array of rates, shape (n,), as knots."""
    knots = simplified(rates)
    return KnottedRates(knots.steps, knots.rates)
