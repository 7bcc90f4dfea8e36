"""One run under watch, whatever loop trains it: what is measured goes to the session, and at last everything closes.

A loop says before each of its steps, and after it, what it has; a hook of a trainer and a hand-written loop say the
same. Each part runs through the guard: a fault of ours costs one warning and the part that failed, never the training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from threading import get_ident
from time import perf_counter
from typing import Any, final

from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.phases import NOTES
from scalewatch_torch.ranks import RankReader
from scalewatch_torch.sensors import Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint
from scalewatch_torch.watching.cost import Cost
from scalewatch_torch.watching.endings import sigterm_held_back
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions
from scalewatch_torch.watching.shutdown import Shutdown
from scalewatch_torch.watching.step_metrics import StepMetrics

__all__ = ["Watch"]

#: How long a checkpoint waits for losses that are still on the device [s]; it waits for the weights anyway.
CHECKPOINT_SECONDS = 10.0
#: Fast steps are observed some together: code that runs once a step finds the caches of the processor full of the
#: training, and takes three times as long as right after itself. Not where acts may follow at once, and not where a
#: loss is no number. At most so many steps, or as many as there are in so long [s]: slower steps are observed one by
#: one. By hand, measured (tests/benchmarks/lightning_overhead.py).
STEPS_TOGETHER, TOGETHER_SECONDS = 32, 0.03
#: How long the end of a run waits for them [s]: a device that hangs must not hold the exit.
END_SECONDS = 0.3


@final
class _Norms:
    """When the gradient norm is taken: once in so many steps, until it turns out that it cannot be."""

    def __init__(self, every: int, why_not: Callable[[], str | None], step: int) -> None:
        self._every = every
        self._why_not = why_not
        self._taken_at = step

    def is_due(self, step: int) -> bool:
        """Whether it is time for the norm of this step; once for each."""
        due = bool(self._every) and step % self._every == 0 and step != self._taken_at
        if due:
            self._taken_at = step
        return due

    def given_up(self) -> str:
        """Return why the norm cannot be taken, and ask for none any more; "" where it can."""
        why = self._why_not()
        if why is not None:
            self._every = 0
        return why or ""


@final
class _Together:
    """Which fast steps wait to be observed some together."""

    def __init__(self) -> None:
        self._waiting, self._taken_at = 0, 0.0

    def add(self, now: float) -> bool:
        """Count a step; whether there is no need to observe it yet."""
        self._waiting += 1
        return self._waiting < STEPS_TOGETHER and now - self._taken_at < TOGETHER_SECONDS

    def taken(self, now: float) -> None:
        """All that waited are observed."""
        self._waiting, self._taken_at = 0, now


@final
class Watch:
    """Watches one run on the process that reads it.

    Args:
        session: takes the observations.
        metrics: measures the steps.
        sensors: look into the model.
        guard: what every part runs through.
        checkpoint: makes the state, and keeps that of the end.
        norm_every: steps between two gradient norms, 0 for none.
        why_no_norm: says why the norm cannot be taken here, None if it can.

    Attributes:
        newest: the newest step that was observed, None for none.
    """

    def __init__(
        self,
        session: Session | Sessions,
        metrics: StepMetrics,
        *,
        sensors: Sensors,
        guard: Guard,
        checkpoint: Checkpoint,
        norm_every: int,
        why_no_norm: Callable[[], str | None],
    ) -> None:
        self.session = session
        self.metrics = metrics
        self.newest: Observation | None = None
        self._sensors = sensors
        self._guard = guard
        self._checkpoint = checkpoint
        self._norms = _Norms(norm_every, why_no_norm, metrics.step)
        self._cost = Cost(metrics.step)
        self._together = _Together()
        self._names_due = 1
        self._thread = get_ident()
        NOTES.tell_first(self)

    def before_step(self) -> None:
        """Read the learning rate of the step that is about to be taken, and every so often its gradient norm."""
        began = perf_counter()
        self._guard.call("learning rate", self.metrics.before_step)
        self._norm_if_due()
        if self._sensors.on:
            self._sensors.before_step()
        self._cost.seconds += perf_counter() - began

    def before_clip(self) -> None:
        """Take the gradient norm, if it is time for one: where gradients are clipped before `before_step`."""
        began = perf_counter()
        self._norm_if_due()
        self._cost.seconds += perf_counter() - began

    def _norm_if_due(self) -> None:
        if self._norms.is_due(self.metrics.step + 1):
            self._guard.call("gradient norm", self._norm)

    def _norm(self) -> None:
        why_not = self._norms.given_up()
        if not why_not:
            self.metrics.norm()
            return
        self.session.note(f"note: the gradient norm is not watched: {why_not}.")

    def after_batch(self, read: Callable[..., None], *arguments: Any) -> None:
        """Have `read` give the batch to `metrics`, and observe the steps whose values have arrived."""
        began = perf_counter()
        if self._sensors.on:
            self._sensors.after_forward()
        self._guard.call("loss", self._observe, read, arguments)
        self._cost.seconds += perf_counter() - began

    def _observe(self, read: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        read(*arguments)
        now = perf_counter()
        soon = self._together.add(now)
        reader = self.metrics.reader
        if soon and not reader.gathers and self.session.acting is None and not reader.urgent:
            return
        self._together.taken(now)
        self._take(None)

    def before_note(self) -> None:
        """Observe the steps so far: the phase that is noted now begins after them."""
        if get_ident() == self._thread:
            self.take_arrived()

    def wants_names(self) -> bool:
        """Whether it is time for `learn_logged`, once: names turn up early in a run, so it is less and less often."""
        step = self.metrics.step
        if step < self._names_due:
            return False
        self._names_due = 2 * step + 1  # here, for nobody is told of names once that part has failed
        return True

    def learn_logged(self, names: Iterable[str]) -> None:
        """Take note of what is logged with the loss, from the next step on."""
        self.take_arrived()
        self.session.learn_logged(names)

    def take_arrived(self) -> None:
        """Observe the steps whose values have arrived since: an exchange between ranks has brought some."""
        began = perf_counter()
        self._guard.call("loss", self._take, None)
        self._cost.seconds += perf_counter() - began

    def _take(self, flush_seconds: float | None) -> None:
        for series, observation in self.metrics.take(flush_seconds):
            if series == 0:
                self.newest = observation
                self.session.observe(self._sensors.add_to(observation))
            elif isinstance(self.session, Sessions):
                self.session.observe(observation, series)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint: plain numbers, strings, lists and dicts."""
        self._guard.call("loss", self._take, CHECKPOINT_SECONDS)
        return self._guard.call("checkpoint", self._checkpoint.collect, self.session, self.metrics) or {}

    def finish(self, ended: str) -> None:
        """Close: what is under way is read, the verdict told, everything on the disk. `ended` says how it came."""
        with sigterm_held_back():
            self._finish(ended)

    def _finish(self, ended: str) -> None:
        session, metrics = self.session, self.metrics
        closing = Shutdown(self._guard)
        closing.call("loss", self._take, END_SECONDS)
        closing.call("loss", self._take_alone)
        closing.again("precursors", self._sensors.detach)
        closing.again("loss", metrics.abandon)
        if metrics.validation_loss is not None:  # there is no next observation for it to come with
            closing.call("journal", session.write_validation, metrics.step, metrics.validation_loss)
        self._checkpoint.state = closing.call("checkpoint", self._checkpoint.collect, session, metrics)
        closing.again("end", session.close, metrics.step, ended, closing.call("cost", self._rows) or [])

    def release(self) -> None:
        """Let go of threads and files, also where `finish` could not."""
        self.session.release()

    def _take_alone(self) -> None:
        """After a crash there are steps that only this rank knows: their losses scatter more than a mean does."""
        reader = self.metrics.reader
        alone = reader.alone() if isinstance(reader, RankReader) else []
        for observation in alone:
            if not math.isfinite(observation.loss):
                self.session.observe(self._sensors.add_to(observation))
        if alone:
            losses = ", ".join(f"{observation.loss:.4g}" for observation in alone)
            steps = f"{alone[0].step:,} to {alone[-1].step:,}"
            self.session.note(f"note: steps {steps} were not shared between ranks; on rank 0 the loss was {losses}.")

    def _rows(self) -> list[tuple[str, str]]:
        observed, reader = self.session.observed, self.metrics.reader
        taken = self.metrics.step - self._cost.first_step
        watched = f"{observed:,} of {taken:,} steps"
        if reader.without_loss:
            watched += f"; {reader.without_loss:,} had no loss"
        if reader.dropped:
            watched += f"; {reader.dropped:,} never arrived from the device"
        rows = [("watched", watched)] if observed != taken else []
        if isinstance(reader, RankReader):
            rows += reader.table_rows()
        if self.metrics.validation_loss is not None:
            rows.append(("validation loss", f"{self.metrics.validation_loss:.4g} after the last step"))
        return rows + self._cost.rows(taken)
