"""A log as the past of a run: read once, planned as its options say, and watched up to any part of it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from scalewatch.columns import Columns, any_given
from scalewatch.errors import ConfigError, LogError
from scalewatch.laws import CurveLaw
from scalewatch.logs import AbstractLog
from scalewatch.logs.columns import scale_of
from scalewatch.logs.planned_length import length_beside
from scalewatch.observation import Observation
from scalewatch.offline.assumed_schedule import SCHEDULES, AssumedSchedule, assume_schedule
from scalewatch.offline.replayed import Settings, notes
from scalewatch.run import Run
from scalewatch.text import no_control

__all__ = ["SCHEDULES", "UNITS", "AssumedSchedule", "RunHistory", "planned", "read"]

#: What a loss may be logged in.
UNITS = ("nats", "bits", "perplexity")
_TOLD = {
    "perplexity": "The loss is a perplexity: its logarithm is taken, in nats.",
    "bits": "The loss is in bits: times ln 2, in nats of whatever it counts.",
}
#: A loss in nats above that of guessing among a million words is none: ln 1e6.
MOST_NATS = math.log(1e6)
#: Part of the rows after which a loss in nats is below that, whatever the initialisation.
SETTLED_ROWS = 0.05


@final
@dataclass(slots=True)
class RunHistory:
    """What a log tells of a run, as columns; NaN where a number is missing.

    Attributes:
        name: of the run. known: the run as the log describes it.
        steps, losses, rates, grad_norms: in the order of the log; losses in nats. told: sentences on how it was read.
        law, registered, watched: what the log holds of them, as in `AbstractLog`.
    """

    name: str
    known: Run
    steps: array[int]
    losses: array[float]
    rates: array[float]
    grad_norms: array[float]
    told: list[str] = field(default_factory=list)
    law: CurveLaw | None = None
    registered: Mapping[str, Any] | None = None
    watched: bool = False

    @property
    def last_step(self) -> int:
        """Newest step."""
        return max(self.steps)

    def columns(self, first: int, end: int) -> Columns:
        """Return the rows from `first` to before `end`."""
        rates, norms = (_given(column[first:end]) for column in (self.rates, self.grad_norms))
        nothing = [None] * (len(Observation._fields) - 4)
        return Columns([self.steps[first:end], self.losses[first:end], rates, norms, *nothing])

    def observation(self, row: int) -> Observation:
        """Return one row."""
        rate, norm = self.rates[row], self.grad_norms[row]
        return Observation(
            self.steps[row],
            self.losses[row],
            None if math.isnan(rate) else rate,
            None if math.isnan(norm) else norm,
        )


def _given(column: Sequence[float]) -> list[float | None] | None:
    """A column with None in the place of what is missing; None if nothing is there."""
    values = [None if math.isnan(value) else value for value in column]
    return values if any_given(values) else None


def read(log: AbstractLog, unit: str | None) -> RunHistory:
    """Read a log to its end.

    Args:
        log: of one run. unit: of its loss where its column does not say it; None for that.

    Raises:
        ConfigError: if `unit` is none, or the column says another.
        LogError: if it holds no row, or its loss cannot be in nats.
    """
    if unit is not None and unit not in UNITS:
        raise ConfigError(f"`--unit` must be one of {', '.join(UNITS)} (got {unit!r:.40}).")
    column = log.columns.get("loss", "")
    if unit is not None and scale_of(column, "loss") != ("linear", 1.0):
        raise ConfigError(f"`--unit` is not needed: '{column}' says its unit itself, and is read in nats already.")
    past = RunHistory(no_control(log.name), log.run, array("q"), array("d"), array("d"), array("d"))
    for row in log.rows():
        past.steps.append(row.step)
        past.losses.append(_converted(row.loss, unit))
        past.rates.append(math.nan if row.learning_rate is None else row.learning_rate)
        past.grad_norms.append(math.nan if row.grad_norm is None else row.grad_norm)
    past.told.extend(notes(log))
    past.known = replace(past.known, steps_per_epoch=log.run.steps_per_epoch)
    past.law, past.registered, past.watched = log.law, log.registered, log.watched
    if not past.steps or past.last_step < 1:
        raise LogError(f"{log.path}: holds no row with a step and a loss.")
    beside = None if past.known.total_steps is not None else length_beside(log.path)
    if beside is not None and beside[0] >= past.last_step:
        past.known = replace(past.known, total_steps=beside[0])
        where = "the first lines of the log" if beside[1] == log.path.name else f"{beside[1]} beside the log"
        past.told.append(f"The planned length, {beside[0]:,} steps, is that of {where}.")
    if unit in _TOLD:
        past.told.append(_TOLD[unit])
        if unit == "perplexity":
            past.known = replace(past.known, loss_unit="nats/token")
    else:
        _check_nats(log.path, past)
    return past


def _converted(loss: float, unit: str | None) -> float:
    if unit == "bits":
        return loss * math.log(2)
    if unit != "perplexity":
        return loss
    return math.log(loss) if 0.0 < loss < math.inf else math.nan


def _check_nats(path: Path, past: RunHistory) -> None:
    settled = past.losses[int(SETTLED_ROWS * len(past.losses)) :]
    finite = [y for y in settled if math.isfinite(y)]
    if not finite or float(np.median(finite[: max(len(finite) // 10, 1)])) <= MOST_NATS:
        return
    if not past.known.is_text:
        past.told.append("If the loss is a perplexity, say --unit perplexity.")
        return
    raise LogError(
        f"{path}: its loss is {finite[0]:.4g} after the first twentieth, more than guessing among a million words "
        f"costs ({MOST_NATS:.1f} nats): if it is a perplexity, say --unit perplexity; else name the column of the "
        "loss (--column loss=NAME)."
    )


def planned(past: RunHistory, settings: Settings, schedule: str | None) -> AssumedSchedule:
    """Return the run as planned: its length and its learning rates.

    Args:
        past: of the run. settings: with the length, where somebody said it. schedule: one of `SCHEDULES`; None for what
            the log knows. What was watched without planned rates is taken so: its later rates were not known then.

    Raises:
        ConfigError: if the schedule is none, or the length is less than a plan has.
    """
    if schedule is None and past.watched and past.known.learning_rates is None:
        schedule = "unknown"
    return assume_schedule(past.name, past.known, past.steps, past.rates, settings.total_steps, schedule)
