"""The moment before the first step: all that can be known of a run is put together here.

Not in `setup`, because then there is no batch to count tokens in, no model for strategies that build it
late, and hooks of the module may yet change optimizers and schedulers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scalewatch.arrays import Rates
from scalewatch.guard import Guard
from scalewatch.run import Run
from scalewatch_lightning.end_by_time import seconds_planned
from scalewatch_lightning.introspect import planned_steps, replicas, steps_per_epoch
from scalewatch_lightning.lr_lookahead import trainer_rates
from scalewatch_lightning.step_metrics import TrainerSteps
from scalewatch_torch.introspect import Sizes, count_sizes, main_group, tokens_in
from scalewatch_torch.scalars import ScalarReader, reader_for
from scalewatch_torch.watching.checkpoint import resumed_from, tokens_done, whole_schedule
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.resumed import Resumed
from scalewatch_torch.watching.step_metrics import StepMetrics

__all__ = ["Start", "follow", "start"]

_log = logging.getLogger("scalewatch")


class Start(NamedTuple):
    """A run that is about to take its next step."""

    run: Run
    steps: TrainerSteps
    resumed: Resumed | None
    others: Mapping[str, Resumed | None]


def start(
    trainer: Any,
    batch: Any,
    batch_index: int,
    options: Options,
    sizes: Sizes,
    state: Mapping[str, Any] | None,
    readers: Sequence[ScalarReader] = (),
) -> Start | None:
    """Describe the run that `trainer` is about to go on with; None if it has no optimizer.

    Args:
        sizes: parameters as they were counted in `setup`.
        state: what a checkpoint held, as `readable_state` returned it.
        readers: bring the losses of all ranks, one for each that is watched; empty for those of this rank.
    """
    main = main_group(trainer.optimizers)
    if main is None:
        _log.warning("scalewatch: the module has no optimizer, so there are no steps to watch.")
        return None
    optimizer, group = main
    module = trainer.lightning_module
    step = _steps_done(trainer, state)
    total = planned_steps(trainer)
    tokens_per_step = options.tokens_per_step or _tokens_per_step(trainer, batch)
    run = Run(
        options.name or type(module).__name__,
        total_steps=total,
        learning_rates=_schedule(trainer, batch_index, optimizer, group, step, total, state),
        tokens_per_step=tokens_per_step,
        steps_per_epoch=steps_per_epoch(trainer),
        max_seconds=None if total is not None else seconds_planned(trainer),
        **_largest(sizes, count_sizes(module))._asdict(),
    )
    steps = _steps(trainer, main, options, step, readers, tokens_done(step, state, tokens_per_step))
    states = (state or {}).get("others", {})
    others = {name: resumed_from(step, states.get(name)) for name in options.losses[1:]}
    return Start(run, steps, resumed_from(step, state), others)


def follow(
    trainer: Any, options: Options, state: Mapping[str, Any] | None, readers: Sequence[ScalarReader]
) -> TrainerSteps | None:
    """Return what reads the steps of a rank that is not 0, for rank 0 to see; None if it has no optimizer."""
    main = main_group(trainer.optimizers)
    return None if main is None else _steps(trainer, main, options, _steps_done(trainer, state), readers, None)


def _steps(
    trainer: Any,
    main: tuple[Any, int],
    options: Options,
    step: int,
    readers: Sequence[ScalarReader],
    tokens: float | None,
) -> TrainerSteps:
    first, *others = readers or [reader_for(trainer.strategy.root_device) for _ in options.losses or ("",)]
    optimizer, group = main
    metrics = StepMetrics(
        first,
        optimizer=optimizer,
        group=group,
        step=step,
        tokens=tokens,
        tokens_per_step=options.tokens_per_step,
        others=others,
    )
    manual = not trainer.lightning_module.automatic_optimization
    return TrainerSteps(metrics, replicas=replicas(trainer), manual=manual, logged_as=options.losses)


def _steps_done(trainer: Any, state: Mapping[str, Any] | None) -> int:
    if trainer.lightning_module.automatic_optimization:
        return int(trainer.global_step)
    if trainer.global_step and state is not None:
        return int(state["step"])
    return int(trainer.global_step) // len(trainer.optimizers)  # each of them was counted


def _tokens_per_step(trainer: Any, batch: Any) -> float | None:
    count = tokens_in(batch)
    if count is None:
        _log.warning(
            "scalewatch: the tokens of a batch cannot be counted: it holds no integer tensor of shape"
            " (batch, time). Give `tokens_per_step` to compare runs by tokens; steps are used until then."
        )
        return None
    return float(max(1, count) * replicas(trainer) * trainer.accumulate_grad_batches)


def _largest(before: Sizes, now: Sizes) -> Sizes:
    """The larger count: in `setup` a late model is not there yet, and later a sharded one is cut up."""
    pairs = zip(before, now, strict=True)
    return Sizes(*(max(a or 0, b or 0) or None for a, b in pairs))


def _schedule(
    trainer: Any,
    batch_index: int,
    optimizer: Any,
    group: int,
    step: int,
    total: int | None,
    state: Mapping[str, Any] | None,
) -> Rates | None:
    if total is None or total <= step:
        return None
    # somebody else's scheduler may raise what it likes: a guard of its own, which spends no strike of ours
    attempt = Guard()
    ahead = attempt.call("learning-rate schedule", trainer_rates, trainer, optimizer, group, batch_index, total - step)
    if ahead is None:
        return None
    if ahead.rates is None:
        _log.warning("scalewatch: the planned learning rates are unknown: %s.", ahead.why_not)
        return None
    return whole_schedule(ahead.rates, step, state)
