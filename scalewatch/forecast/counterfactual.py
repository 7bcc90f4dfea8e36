"""What the run would end at with another schedule: counterfactuals by the posterior of its law.

Given its shape h, the law says y(end) = P + A z_h(end), and the schedule enters z_h alone. So a difference between two
schedules is A (z_h(one) - z_h(other)): P, the error that all forecasts of one run share, cancels, and so does the law's
own misfit as far as the two ends are alike.

Why some answers are widened: a law of schedules is fitted on rates up to the run's own peak. What a higher rate does to
stability it cannot say, and what it says of the loss is marked and given an error as large as the difference itself.

Source: Tissue et al. (2024), arXiv 2408.11029; choosing among schedules by such a law had no regret on the published
curves of the multi-power law (four schedules, from 20 % of the run on).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.advice import EvidenceGrade
from scalewatch.errors import ConfigError
from scalewatch.forecast.candidate_schedules import CandidateSchedule, hold
from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.forecaster import Forecaster
from scalewatch.forecast.mixture import Mixture
from scalewatch.forecast.posterior import LawPosterior
from scalewatch.forecast.schedule import Future, walk_on
from scalewatch.laws import AnnealingState

__all__ = ["Outcome", "Position", "position", "what_if"]

Floats = NDArray[np.float64]

#: A rate this far above the highest so far is a higher one. By hand.
HIGHER = 1.01
#: Part of the peak rate that must have been taken away before a run says itself what a decay gains. By hand.
DECAY_SEEN = 0.1
#: Length over that of the plan from which the prior of what is left is one of another run. By hand.
FAR_LONGER = 2.0
#: Steps that schedules are weighed against each other over, each of them an array of so many [steps]: by hand, 80 MB.
MOST_AHEAD = 10_000_000


@final
@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """Where a run stands, for writing alternatives.

    Attributes:
        step: steps completed. total_steps: planned. rate: learning rate of the newest step.
        peak: highest rate so far. rest: rates still planned, shape (total_steps - step,); the present rate where no
            plan is known. planned: whether one is. decayed: part of the peak rate taken away so far, in [0, 1].
    """

    step: int
    total_steps: int
    rate: float
    peak: float
    rest: Floats
    planned: bool
    decayed: float

    @property
    def left(self) -> int:
        """Steps still to come."""
        return self.total_steps - self.step

    def caveats(self, how_to_say: str) -> list[str]:
        """Return what is to be known of any comparison from here, a sentence each.

        Args:
            how_to_say: how a person says which schedule the run follows.
        """
        notes = []
        if not self.planned:
            notes.append(f"The plan is not known, so all is compared with holding the present rate: {how_to_say}.")
        if self.decayed < DECAY_SEEN:
            notes.append("The rate has hardly decayed yet: what a decay gains is taken from other runs, and so wide.")
        return notes


@final
@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a schedule would end at.

    Attributes:
        name: of the schedule. total_steps: at its end. tokens: until then, None if unknown.
        final_loss: median [nats/token]. difference: the same less that of the plan [nats/token]; negative is better.
        evidence_grade: B where the law was calibrated on such schedules, C where it is used outside of them.
        notes: what the law cannot tell here, a sentence each.
    """

    name: str
    total_steps: int
    tokens: float | None
    final_loss: float
    difference: float
    evidence_grade: EvidenceGrade
    notes: tuple[str, ...]
    _loss: Mixture
    _difference: Mixture

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) of the final loss, not below zero."""
        low, high = _interval(self._loss, level)
        return max(low, 0.0), max(high, 0.0)

    def difference_interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) of the difference to the plan [nats/token], with the common error cancelled."""
        return _interval(self._difference, level)

    def probability_below(self, loss: float) -> float:
        """Return the probability that it ends below `loss` [nats/token]."""
        levels = np.linspace(0.005, 0.995, 199)
        return float(np.interp(loss, self._loss.quantiles(levels), levels, left=0.0, right=1.0))


def position(forecaster: Forecaster) -> Position | None:
    """Return where the run stands; None before its first step, without a planned end, or at it."""
    schedule, run = forecaster.schedule, forecaster.run
    step, total = forecaster.blocks.last_step, run.total_steps
    if schedule is None or total is None or not 0 < step < total or total - step > MOST_AHEAD:
        return None
    state, unit = schedule.reached(step)
    plan = run.learning_rates if forecaster.follows_plan else None
    rate = float(state.rate)
    rest = np.full(total - step, rate) if plan is None else np.asarray(plan[step:], dtype=np.float64)
    peak = max(state.peak, 1e-300)
    return Position(step, total, rate, state.peak, rest, plan is not None, 1.0 - rate / peak if unit > 0 else 0.0)


def what_if(
    forecaster: Forecaster, alternatives: Sequence[CandidateSchedule], baseline: CandidateSchedule | None = None
) -> list[Outcome]:
    """Return what the run ends at as planned, first, and with each alternative.

    Where the plan is not known, the first holds the present rate to the end; `baseline` puts another one in its place,
    and all differences are to it. Takes some milliseconds, and the steps of
    the run once: for fixed moments, not for each step.

    Raises:
        ConfigError: if nothing can be said yet: too early, no planned end, or the run is over.
    """
    now, forecast = position(forecaster), forecaster.forecast()
    if now is None or forecast is None or not math.isfinite(forecast.final_loss):
        raise ConfigError(
            "Nothing can be said of other schedules: the run must be past its warm-up, before its end, and have a "
            "planned length (`total_steps`)."
        )
    plan = CandidateSchedule("as planned", now.rest) if now.planned else hold(now.rate, now.left)
    first = plan if baseline is None else baseline
    schedule = forecaster.schedule
    if schedule is None:
        raise RuntimeError("a position needs a schedule")
    state, unit = schedule.reached(now.step)
    ends = [_end(state.copy(), unit, each.rates) for each in (first, *alternatives)]
    return [
        _outcome(forecaster, forecast, now, alternative, end, ends[0])
        for alternative, end in zip((first, *alternatives), ends, strict=True)
    ]


def _end(state: AnnealingState, unit: float, rates: Floats) -> tuple[float, Floats]:
    """S and D after `rates` from a state on, in the unit of the run's posterior."""
    walk_on(state, rates)
    return state.walked / unit, np.array(state.annealed) / unit


def _outcome(
    forecaster: Forecaster,
    forecast: Forecast,
    now: Position,
    alternative: CandidateSchedule,
    end: tuple[float, Floats],
    plan_end: tuple[float, Floats],
) -> Outcome:
    notes, widening = _range(now, alternative)

    def loss(future: Future, posterior: LawPosterior) -> Mixture:
        return posterior.at(np.array([end[0] / future.end_lr_sum]), end[1][None, :])[0]

    def difference(future: Future, posterior: LawPosterior) -> Mixture:
        return _difference(future, posterior, end, plan_end)

    apart = forecast.combined(difference)
    whole = forecast.combined(loss, measured=True)
    if widening:
        more = widening * abs(apart.mean)
        apart = Mixture(apart.means, np.hypot(apart.sds, more), apart.weights)
        whole = Mixture(whole.means, np.hypot(whole.sds, more), whole.weights)
    total = now.step + len(alternative.rates)
    return Outcome(
        name=alternative.name,
        total_steps=total,
        tokens=forecaster.run.tokens_at(total),
        final_loss=_median(whole),
        difference=_median(apart),
        evidence_grade=EvidenceGrade.C if notes else EvidenceGrade.B,
        notes=notes,
        _loss=whole,
        _difference=apart,
    )


def _difference(
    future: Future, posterior: LawPosterior, end: tuple[float, Floats], other: tuple[float, Floats]
) -> Mixture:
    walked = np.array([end[0], other[0]]) / future.end_lr_sum
    x = posterior.prior.regressors(walked, np.stack([end[1], other[1]]))
    z = x[0] - x[1]
    # the law errs alike at ends that are alike: none of it is left at one and the same, all of it at a full decay
    apart = min(abs(math.log(max(walked[0], 1e-9) / max(walked[1], 1e-9))) + float(np.abs(end[1] - other[1]).max()), 1)
    variance = np.maximum(posterior.covariance[2], 0.0) * z**2 + 2.0 * apart * posterior.misfit**2
    gained = posterior.prior.gained(np.stack([end[1], other[1]]))
    return Mixture(posterior.remaining * z - (gained[0] - gained[1]), np.sqrt(variance), posterior.weights)


def _range(now: Position, alternative: CandidateSchedule) -> tuple[tuple[str, ...], float]:
    """What the law cannot tell of a schedule, and how many times the difference its error is more."""
    notes, widening = [], 0.0
    rates, highest = alternative.rates, float(alternative.rates.max())
    if highest > HIGHER * now.peak:
        notes.append(
            f"{alternative.name}: {highest / now.peak:.3g} times the highest rate so far. No law of schedules tells "
            "whether the run stays stable there, nor what it would end at."
        )
        widening = 1.0
    elif float(np.maximum(np.diff(np.concatenate([[now.rate], rates])), 0.0).sum()) > (HIGHER - 1.0) * now.peak:
        notes.append(f"{alternative.name}: the rate rises again, and the law was calibrated on rates that fall.")
        widening = 0.5
    total = now.step + len(rates)
    if total > FAR_LONGER * now.total_steps:
        notes.append(f"{alternative.name}: {total / now.total_steps:.2g} times as long as planned, out of its range.")
        widening = max(widening, 0.5)
    return tuple(notes), widening


def _interval(mixture: Mixture, level: float) -> tuple[float, float]:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"`level` must lie between 0 and 1 (got {level!r}), e.g. 0.8 for 80 %.")
    low, high = mixture.quantiles(np.array([0.5 - level / 2, 0.5 + level / 2])).tolist()
    return low, high


def _median(mixture: Mixture) -> float:
    return float(mixture.quantiles(np.array([0.5]))[0])
