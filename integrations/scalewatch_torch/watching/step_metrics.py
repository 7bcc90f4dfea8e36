"""Measures the steps of a run: loss, learning rate, gradient norm, tokens, in that order of cost.

A step is one step of the optimizer that holds the most parameters, however many batches it was accumulated
over and whatever other optimizers did meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, final

import torch

from scalewatch.observation import Observation
from scalewatch_torch.acting.rates import RateFactor
from scalewatch_torch.acting.taken import StepsTaken
from scalewatch_torch.optimizer import gradient_norm
from scalewatch_torch.scalars import ScalarReader

__all__ = ["DoneToSteps", "StepMetrics"]

#: Digits of the time at which a step ended, after the second: a millisecond, as it stands in the journal. By hand.
CLOCK_DIGITS = 3


class DoneToSteps(NamedTuple):
    """What acts do to the steps of the optimizer that are measured.

    Attributes:
        taken: which steps the optimizer really took.
        factor: what is on its learning rate beside the schedule: what is reported is the scheduled rate.
        left_out: first and last of the steps whose batches are left out: their losses say nothing of the weights.
    """

    taken: StepsTaken
    factor: RateFactor
    left_out: tuple[int, int] | None


@final
class StepMetrics:
    """Turns what one process sees of a run into observations.

    Args:
        reader: brings losses to the host.
        optimizer: the one whose steps are counted.
        group: index of its group whose learning rate is reported.
        step: optimizer steps completed so far.
        tokens: tokens consumed so far, None if they cannot be counted.
        tokens_per_step: tokens of one step over all processes, None to count each batch.
        others: bring the losses to the host that are watched beside the first.

    Attributes:
        validation_loss: of the validation since the last step, None if there was none.
        main_stepped: whether the counted optimizer is about to step, or has since the last step was closed.
        acts: what is done to the steps, None where nothing may be.
    """

    def __init__(
        self,
        reader: ScalarReader,
        *,
        optimizer: Any,
        group: int,
        step: int,
        tokens: float | None,
        tokens_per_step: float | None,
        others: Sequence[ScalarReader] = (),
    ) -> None:
        self.reader = reader
        self.others = tuple(others)
        self.step = step
        self.tokens = tokens
        self.validation_loss: float | None = None
        self.optimizer = optimizer
        self.main_stepped = False
        self.acts: DoneToSteps | None = None
        self._group = group
        self._tokens_per_step = tokens_per_step
        self._rate: float | None = None

    def is_main(self, optimizer: Any) -> bool:
        """Whether `optimizer` is the one whose steps are counted."""
        return optimizer is self.optimizer

    def before_step(self) -> None:
        """Read the learning rate that the step is about to be taken with."""
        settings = self.optimizer.param_groups[self._group]
        rate = settings["lr"] if self.acts is None else self.acts.factor.scheduled(settings)
        # a rate that is kept on a device is not fetched from there
        on_host = not isinstance(rate, torch.Tensor) or rate.device.type == "cpu"
        self._rate = float(rate) if on_host else None
        self.main_stepped = True

    def norm(self) -> None:
        """Take the gradient norm of the step that is about to be taken, without waiting for it."""
        norm = gradient_norm(self.optimizer)
        if norm is not None:
            self.reader.set_norm(norm)

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of each batch are wanted."""
        return self.tokens is not None and self._tokens_per_step is None

    def add_tokens(self, tokens: int) -> None:
        """Count the tokens of one batch over all processes."""
        if self.tokens is not None:
            self.tokens += tokens

    def close(self, step: int, loss_scale: float) -> None:
        """End the step under way, as number `step`: its loss is the mean over its batches, times `loss_scale`."""
        if self.tokens is not None and self._tokens_per_step is not None:
            self.tokens = self._tokens_per_step * step
        now = round(time.time(), CLOCK_DIGITS)
        self.reader.close_step(step, self._rate, self.tokens, self.validation_loss, loss_scale, now)
        for reader in self.others:
            reader.close_step(step, self._rate, self.tokens, seconds=now)
        if self.acts is not None:
            self.acts.taken.end_step(step)
        self.step = step
        self.validation_loss = None
        self.main_stepped = False

    def take(self, flush_seconds: float | None = None) -> Iterator[tuple[int, Observation]]:
        """The steps whose values have arrived, each with the number of its loss; waits only up to `flush_seconds`."""
        for number, reader in enumerate((self.reader, *self.others)):
            for observation in reader.take() if flush_seconds is None else reader.flush(flush_seconds):
                first, last = (self.acts and self.acts.left_out) or (0, -1)
                if not first <= observation.step <= last:
                    yield number, observation

    def abandon(self) -> None:
        """Count what has not arrived as dropped."""
        for reader in (self.reader, *self.others):
            reader.abandon()
