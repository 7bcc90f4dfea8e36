"""The learning rate of every step that is still to come, by running a copy of the scheduler ahead.

A scheduler computes a rate from the one before, and there is no formula to ask it for. So it is copied
together with a stand-in for its optimizer, and the copy takes all the steps of the run, at the batches and
epochs at which Lightning would step it: `rates[i]` is the rate of the i-th step from now.

Why not call `configure_optimizers` again for a fresh one: it may have side effects, and after a resume a
fresh scheduler is not where the real one is. The real scheduler, its optimizer, their counters and the
random states are left as they were.

Source: `_TrainingEpochLoop._update_learning_rates` of Lightning 2.6, which this follows step for step.
"""

from __future__ import annotations

import copy
import math
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from scalewatch.journal.plan import simplified

__all__ = ["Clock", "Forecasted", "pack_rates", "planned_rates", "unpack_rates"]

Floats = NDArray[np.float64]

#: How long the copy may run [s]. A scheduler takes 2 us a step, so this is a plan of about 1e7 steps.
BUDGET_SECONDS = 20.0
#: Steps between two looks at the clock.
_LOOK_EVERY_STEPS = 4_096
#: Plans up to this length go into a checkpoint rate by rate [steps]; longer ones as at most 2,000 knots.
EXACT_STEPS = 1_024


class Clock(NamedTuple):
    """Where in its epoch the trainer is, and how it counts.

    Attributes:
        batch: index in its epoch of the batch that comes next.
        epoch: number of that epoch, from 0.
        batches_per_epoch: batches of an epoch; infinite if unknown.
        accumulate: batches of one optimizer step.
    """

    batch: int
    epoch: int
    batches_per_epoch: float
    accumulate: int


class Forecasted(NamedTuple):
    """The planned rates, or why there are none."""

    rates: Floats | None
    why_not: str = ""


class _Ticker(NamedTuple):
    step: Callable[[], object]
    frequency: int


def planned_rates(trainer: Any, optimizer: Any, group: int, clock: Clock, steps: int) -> Forecasted:
    """Return the learning rate of the next `steps` steps of `optimizer.param_groups[group]`, shape (steps,).

    Without a scheduler it is constant. It is unknown where it depends on what a metric will be, where the
    user steps the scheduler by hand, and where an epoch's end matters but not when it comes.
    """
    configs = [c for c in trainer.lr_scheduler_configs if _steers(c.scheduler, optimizer)]
    if not configs:
        return Forecasted(np.full(steps, float(optimizer.param_groups[group]["lr"])))
    if any(config.reduce_on_plateau for config in configs):
        return Forecasted(None, "ReduceLROnPlateau decides by a metric that is not known yet")
    module = trainer.lightning_module
    if not module.automatic_optimization:
        return Forecasted(None, "with manual optimization the module steps its scheduler itself")
    if _overrides(module, "lr_scheduler_step"):
        return Forecasted(None, "the module overrides lr_scheduler_step")
    if any(c.interval == "epoch" for c in configs) and math.isinf(clock.batches_per_epoch):
        return Forecasted(None, "it changes with each epoch, and the length of an epoch is unknown")
    dry = DryOptimizer(optimizer)
    memo: dict[int, Any] = {id(optimizer): dry, id(module): module, id(trainer): trainer}
    with _no_trace_left():
        copies = [copy.deepcopy(config.scheduler, memo) for config in configs]
        tickers = {
            interval: [
                _Ticker(scheduler.step, int(config.frequency))
                for scheduler, config in zip(copies, configs, strict=True)
                if config.interval == interval
            ]
            for interval in ("step", "epoch")
        }
        rates = _run_ahead(dry.param_groups[group], tickers, clock, steps)
    if rates is None:
        return Forecasted(None, f"running it ahead for {steps} steps takes over {BUDGET_SECONDS} s")
    if not np.all(np.isfinite(rates)) or rates.min() < 0:
        return Forecasted(None, "it is planned to be negative or not finite")
    return Forecasted(rates)


def _run_ahead(
    group: Mapping[str, Any], tickers: Mapping[str, list[_Ticker]], clock: Clock, steps: int
) -> Floats | None:
    rates = np.empty(steps)
    at_step, at_epoch = tickers["step"], tickers["epoch"]
    batch, epoch, length, accumulate = clock
    give_up = time.monotonic() + BUDGET_SECONDS
    for i in range(steps):
        rates[i] = float(group["lr"])
        if i == steps - 1:
            break  # some schedulers refuse the step after the last one
        # this step is taken at the batch that completes it, or at the last of the epoch
        batch = int(min((batch // accumulate + 1) * accumulate, length))
        for ticker in at_step:
            if batch % ticker.frequency == 0:
                ticker.step()
        if batch >= length:
            batch, epoch = 0, epoch + 1
            for ticker in at_epoch:
                if epoch % ticker.frequency == 0:
                    ticker.step()
        if i % _LOOK_EVERY_STEPS == 0 and time.monotonic() > give_up:
            return None
    return rates


def _steers(scheduler: Any, optimizer: Any) -> bool:
    # a scheduler of somebody's own making need not say whose it is
    return getattr(scheduler, "optimizer", optimizer) is optimizer


def _overrides(module: Any, name: str) -> bool:
    method = getattr(type(module), name, None)
    home = getattr(method, "__module__", "")
    return not home.startswith(("pytorch_lightning.", "lightning.pytorch."))


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
    """Return a plan as plain lists for a checkpoint: exact if it is short, else knots that are joined by
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
    is_plan = at.ndim == rates.ndim == 1 and len(at) == len(rates) > 0
    if not is_plan or not np.all(np.isfinite(at)) or not np.all(np.isfinite(rates)):
        return None
    if at[0] != 1 or np.any(np.diff(at) <= 0) or at[-1] < steps or rates.min() < 0:
        return None
    return np.interp(np.arange(1, steps + 1), at, rates)
