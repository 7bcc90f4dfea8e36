"""A watch on a loop that says itself what it trains: by hand, in Fabric, under accelerate, in the Trainer of others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from scalewatch.arrays import Rates
from scalewatch.guard import Guard
from scalewatch.run import Run
from scalewatch_torch.introspect import count_sizes, main_group
from scalewatch_torch.loggers.table import loggers_of
from scalewatch_torch.lr_lookahead import Clock, Scheduled, planned_rates
from scalewatch_torch.optimizer import why_no_gradient_norm
from scalewatch_torch.scalars import NoReader, ScalarReader, reader_for
from scalewatch_torch.sensors import Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, resumed_from, tokens_done, whole_schedule
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import let_go_on_fault
from scalewatch_torch.watching.step_metrics import StepMetrics
from scalewatch_torch.watching.terminal import Terminal
from scalewatch_torch.watching.unwrapped import plain_module
from scalewatch_torch.watching.watch import Watch

__all__ = ["Loop", "device_of", "follow", "new_watch", "processes", "reads_here", "why_no_norm"]

_log = logging.getLogger("scalewatch")


class Loop(NamedTuple):
    """What a loop says of its run before the next step.

    Attributes:
        model: what is trained.
        optimizers: those that train it; the one with the most parameters is watched.
        schedulers: of its learning rate, and when they step.
        step: optimizer steps that were taken before.
        total_steps: steps that are planned in all, None if unknown.
        steps_per_epoch: steps of an epoch, None if unknown.
        max_seconds: wall time after which it is ended, None where nothing ends it so.
        tokens_per_step: tokens of a step over all processes, None if unknown.
        counts_tokens: whether they differ from step to step, and each batch is counted.
        loggers: what it logs to.
        no_norm: why the gradient norm of an optimizer cannot be taken, None for what every loop has to say of it.
    """

    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    schedulers: Sequence[Scheduled] = ()
    step: int = 0
    total_steps: int | None = None
    steps_per_epoch: int | None = None
    max_seconds: float | None = None
    tokens_per_step: float | None = None
    counts_tokens: bool = False
    loggers: Sequence[Any] = ()
    no_norm: Callable[[torch.optim.Optimizer], str | None] | None = None


def new_watch(
    loop: Loop,
    options: Options,
    *,
    guard: Guard,
    sensors: Sensors,
    checkpoint: Checkpoint,
    folder: Path | None,
    reader: ScalarReader | None = None,
) -> Watch | None:
    """Begin to watch; None if no optimizer has a parameter.

    Args:
        options: as they were checked. guard: what every part runs through. sensors: look into the model.
        checkpoint: what a checkpoint held, and what the next will hold.
        folder: of the journal, None for none.
        reader: brings the losses of all ranks, None for those of this one.
    """
    main = main_group(loop.optimizers)
    if main is None:
        _log.warning("scalewatch: the optimizer has no parameters, so there are no steps to watch.")
        return None
    optimizer, group = main
    state, step, model = checkpoint.state if loop.step else None, loop.step, plain_module(loop.model)
    run = Run(
        options.name or type(model).__name__,
        total_steps=loop.total_steps,
        learning_rates=_schedule(loop, optimizer, group, checkpoint),
        tokens_per_step=loop.tokens_per_step,
        steps_per_epoch=loop.steps_per_epoch,
        max_seconds=None if loop.total_steps else loop.max_seconds,
        **count_sizes(model)._asdict(),
    )
    metrics = StepMetrics(
        reader or reader_for(_device(main)),
        optimizer=optimizer,
        group=group,
        step=step,
        tokens=tokens_done(step, state, loop.tokens_per_step),
        tokens_per_step=None if loop.counts_tokens else loop.tokens_per_step,
    )
    with let_go_on_fault() as made:
        session = Session(
            run,
            options,
            guard=guard,
            terminal=Terminal(None, quiet=options.quiet),
            folder=folder,
            loggers=guard.call("loggers", loggers_of, loop.loggers) or [],
            resumed=resumed_from(step, state),
        )
        made.append(session)
        session.begin()
        sensors.attach(model, optimizer, session.note)
        return Watch(
            session,
            metrics,
            sensors=sensors,
            guard=guard,
            checkpoint=checkpoint,
            norm_every=options.grad_norm_every,
            why_no_norm=lambda: (loop.no_norm or why_no_norm)(optimizer),
        )


def follow(loop: Loop, reader: ScalarReader | None) -> StepMetrics | None:
    """Return what counts the steps of a rank that is not 0, and reads them by `reader` if rank 0 is to see them.

    None if no optimizer has a parameter.
    """
    main = main_group(loop.optimizers)
    if main is None:
        return None
    optimizer, group = main
    return StepMetrics(
        reader or NoReader(), optimizer=optimizer, group=group, step=loop.step, tokens=None, tokens_per_step=None
    )


def device_of(loop: Loop) -> torch.device | None:
    """Return where the weights are that are trained, None if there are none."""
    main = main_group(loop.optimizers)
    return None if main is None else _device(main)


def _device(main: tuple[torch.optim.Optimizer, int]) -> torch.device:
    device: torch.device = main[0].param_groups[main[1]]["params"][0].device
    return device


def _schedule(loop: Loop, optimizer: torch.optim.Optimizer, group: int, checkpoint: Checkpoint) -> Rates | None:
    total, step = loop.total_steps, loop.step
    if total is None or total <= step:
        return None
    clock = None
    if loop.steps_per_epoch:
        epoch, batch = divmod(step, loop.steps_per_epoch)
        clock = Clock(batch, epoch, loop.steps_per_epoch)
    # somebody else's scheduler may raise what it likes: a guard of its own, which spends no strike of ours
    part, attempt = "learning-rate schedule", Guard()
    ahead = attempt.call(
        part, planned_rates, optimizer, loop.schedulers, total - step, group=group, clock=clock, shared=(loop.model,)
    )
    if ahead is None:
        return None
    if ahead.rates is None:
        _log.warning("scalewatch: the planned learning rates are unknown: %s.", ahead.why_not)
        return None
    return whole_schedule(ahead.rates, step, checkpoint.state)


def why_no_norm(optimizer: torch.optim.Optimizer) -> str | None:
    """Why the gradient norm cannot be taken right before a step of `optimizer`, None if it can."""
    if getattr(optimizer, "grad_scale", None) is not None:  # set by a GradScaler for as long as the step lasts
        return "the fused optimizer unscales the gradients inside its step"
    return why_no_gradient_norm(optimizer)


def processes() -> int:
    """How many processes train together."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if there else 1


def reads_here() -> bool:
    """Whether this process is the one that watches: of several the one of rank 0."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not there or torch.distributed.get_rank() == 0
