"""The moment before the first step: all that can be known of a run is put together here.

Not in `setup`, because then there is no batch to count tokens in, no model for strategies that build it
late, and hooks of the module may yet change optimizers and schedulers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalewatch.guard import Guard
from scalewatch.run import Run
from scalewatch_lightning.introspect import planned_steps, replicas
from scalewatch_lightning.lr_lookahead import trainer_rates
from scalewatch_lightning.options import Options
from scalewatch_lightning.step_metrics import StepMetrics
from scalewatch_torch.introspect import Sizes, count_sizes, main_group, tokens_in
from scalewatch_torch.lr_lookahead import unpack_rates
from scalewatch_torch.scalars import reader_for
from scalewatch_torch.watching.resumed import Resumed

__all__ = ["STATE_VERSION", "Start", "readable_state", "start"]

_log = logging.getLogger("scalewatch")

#: Schema of what this callback puts into a checkpoint.
STATE_VERSION = 1


class Start(NamedTuple):
    """A run that is about to take its next step."""

    run: Run
    metrics: StepMetrics
    resumed: Resumed | None


def start(
    trainer: Any,
    batch: Any,
    batch_index: int,
    options: Options,
    sizes: Sizes,
    state: Mapping[str, Any] | None,
) -> Start | None:
    """Describe the run that `trainer` is about to go on with; None if it has no optimizer.

    Args:
        sizes: parameters as they were counted in `setup`.
        state: what a checkpoint held, as `readable_state` returned it.
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
        **_largest(sizes, count_sizes(module))._asdict(),
    )
    metrics = StepMetrics(
        reader_for(trainer.strategy.root_device),
        optimizer=optimizer,
        group=group,
        step=step,
        tokens=_tokens_done(step, state, tokens_per_step),
        tokens_per_step=options.tokens_per_step,
        replicas=replicas(trainer),
        manual=not module.automatic_optimization,
        logged_as=options.loss,
    )
    return Start(run, metrics, _resumed(step, state))


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


def _tokens_done(step: int, state: Mapping[str, Any] | None, tokens_per_step: float | None) -> float | None:
    if tokens_per_step is None:
        return None
    if state is not None and state["step"] == step and state["tokens"] is not None:
        return float(state["tokens"])
    return tokens_per_step * step


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
) -> NDArray[np.float64] | None:
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
    if step == 0:
        past = np.empty(0)
    else:
        # without a checkpoint of ours nobody knows the past: taken as constant at the rate of now
        known = unpack_rates(state and state["plan"], step)
        past = np.full(step, ahead.rates[0]) if known is None else known
    schedule = np.concatenate([past, ahead.rates])
    return schedule if schedule.max() > 0 else None


def _resumed(step: int, state: Mapping[str, Any] | None) -> Resumed | None:
    if step == 0:
        return None
    if state is None:
        return Resumed(step, None, None)
    return Resumed(step, state["monitor"], state["run_id"], state["alerts"], state["told_ahead"])


def readable_state(state: object) -> dict[str, Any] | None:
    """Return the state from a checkpoint, None (and one warning) if this version cannot read it."""
    if isinstance(state, Mapping) and state.get("version") == STATE_VERSION:
        fields = {name: state.get(name) for name in ("step", "tokens", "plan", "monitor", "run_id", "alerts")}
        actions = state.get("told_ahead")
        fields["told_ahead"] = [word for word in actions if isinstance(word, str)] if isinstance(actions, list) else []
        step, tokens = fields["step"], fields["tokens"]
        if (
            isinstance(step, int)
            and not isinstance(step, bool)
            and step >= 0
            and (tokens is None or _is_number(tokens))
            and isinstance(fields["monitor"], Mapping)
            and isinstance(fields["run_id"], str | None)
        ):
            return {"version": STATE_VERSION, **fields}
    _log.warning("scalewatch: what the checkpoint holds for it cannot be read by this version: watching starts afresh.")
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
