"""A sweep as a race that can be taken back: which runs go on, which are paused, which need never be resumed.

    every run goes to a fifth of its steps; the one that is forecast to end lowest is finished; then, one after the
    other, the run that is expected to gain most over the best so far goes on, until all that are left together are
    expected to gain less than `budget`

What a run may gain is E max(0, ln best - ln y(end)) under its forecast, a part of the loss; the sum over all runs that
are stopped bounds the expected regret: by how much the best run that is left ends above the best of all. It is counted
anew at each look from the runs as they stand, also of those that were paused or stopped, so nothing has to be
remembered, and a run that was stopped too early is resumed.

Of many runs the two that stood lowest at a fifth are both followed to three fifths, whatever is forecast of them: where
a sweep has hardly begun to learn at a fifth, no curve shows which run will, and that which moved first is most often
it. Of few runs that would cost all that there is to save.

A run's forecast is its own, and, once a sibling has ended, that of the sibling (`forecast/siblings.py`): a mixture in
which each law weighs by how sure it is, 1 over its variance.

Why pausing: the leader's end is a number and no forecast, so that each of the others is judged against it alone, and
errors that all forecasts share no longer decide (freeze-thaw: Swersky, Snoek and Adams 2014, arXiv 1406.3896). Why an
expected gain and no chance of killing the winner: of two runs that end a hundredth of a per cent apart either may go.
Why not current losses: choosing by them (median rule, successive halving) stops the winner of every other public sweep,
because a rate that is high now ends low (tests/benchmarks/sweep_stopping.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.siblings import NOW_SPAN, SiblingCurve, sibling_forecast

__all__ = ["BUDGET", "EARLIEST", "LEVELS", "Race", "Standing", "Step", "Verdict", "judge"]

#: Regret that is expected at most, as a part of the loss: what two seeds of one run differ by. By hand, and the most
#: that kept the worst regret below a hundredth nat on public sweeps.
BUDGET = 0.0015
#: Part of the run before which no run is judged (Choshen et al. 2024: the first tenth misleads, a third is enough).
EARLIEST = 0.2
#: Quantile levels that stand for the distribution of a final loss. By hand.
LEVELS = np.linspace(0.005, 0.995, 199)
#: Places of `LEVELS` one sd below and above the middle of a Gaussian (.16, .84), and of the middle. By definition.
_BELOW, _ABOVE, _MIDDLE = 31, 167, 99
#: Least width of a forecast, as a part of the loss: a law that is surer is not believed to be. By hand.
LEAST_WIDTH = 1e-5
#: Runs from which the two that stood lowest are both followed, and how far: a twentieth of the sweep. By hand.
MANY, FOLLOWED = 8, 0.6
#: A loss below this is none [nats/token]. By hand.
LEAST_LOSS = 1e-9


@final
class Step(StrEnum):
    """What a run of a sweep does next."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    ENDED = "ended"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a run of a sweep stands.

    Attributes:
        name: of the run. progress: part of its planned steps done, in [0, 1].
        ends: quantiles of its final loss at `LEVELS` by its own forecast [nats/token], shape (199,), not falling; of
            one that has ended its final loss; None where no law says where it ends.
        curve: as its siblings see it; None keeps the run out of what they say. now: present loss [nats/token].
        ended: whether it is over. lost: whether it is beyond saving. spike: whether an incident is open; such a run is
            not stopped by its forecast, which is not to be trusted now.
    """

    name: str
    progress: float
    ends: Floats | None
    curve: SiblingCurve | None = None
    now: float = math.nan
    ended: bool = False
    lost: bool = False
    spike: bool = False

    @classmethod
    def of(cls, name: str, progress: float, forecast: Forecast | None) -> Standing:
        """Return the standing of a run that is going on, with its own forecast."""
        return cls(name, progress, None if forecast is None else forecast.quantiles(LEVELS))

    @classmethod
    def finished(cls, name: str, final_loss: float, curve: SiblingCurve | None = None) -> Standing:
        """Return the standing of a run that has ended at `final_loss` [nats/token]."""
        return cls(name, 1.0, np.full(len(LEVELS), final_loss), curve, final_loss, ended=True)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is to be done with one run.

    Attributes:
        name: of the run. step: what it does next.
        ends: quantiles of its final loss at `LEVELS` [nats/token], siblings heard; None where nobody knows.
        gain: what it is expected to gain over the best, as a part of the loss; infinite where nobody knows, None of one
            that has ended or is lost. chance: that it would gain more than the budget, in [0, 1].
        sibling: the run that has ended whose curve it was compared with; "" for none.
    """

    name: str
    step: Step
    ends: Floats | None
    gain: float | None
    chance: float | None
    sibling: str

    @property
    def middle(self) -> float | None:
        """Median of its final loss [nats/token]."""
        return None if self.ends is None else float(self.ends[_MIDDLE])


@final
@dataclass(frozen=True, slots=True, eq=False)
class Race:
    """What is to be done with the runs of a sweep now.

    Attributes:
        verdicts: one a run, in the order in which they were given. budget: of the regret, as a part of the loss.
        leader: the run that is best, or is forecast to be; "" where nobody knows.
    """

    verdicts: tuple[Verdict, ...]
    budget: float
    leader: str

    @property
    def expected_regret(self) -> float:
        """By how much the best run that is left is expected to end above the best of all, as a part of the loss."""
        return sum(v.gain for v in self.verdicts if v.step is Step.STOP and v.gain is not None)

    @property
    def chance(self) -> float:
        """Chance that this is more than the budget, at most, in [0, 1]."""
        return min(sum(v.chance for v in self.verdicts if v.step is Step.STOP and v.chance is not None), 1.0)

    def named(self, step: Step) -> list[str]:
        """Return the names of the runs that do this next."""
        return [v.name for v in self.verdicts if v.step is step]


def judge(standings: Sequence[Standing], *, budget: float = BUDGET, at_once: int = 1) -> Race:
    """Say of each run of a sweep whether it goes on, is paused or is stopped; the best is never stopped.

    Args:
        standings: all runs: ended, going on, paused and stopped. budget: of the regret, as a part of the loss.
        at_once: runs that may go on at a time. More of them end sooner and cost more.

    Raises:
        ConfigError: if `budget` is no part of a loss, or `at_once` below 1.

    >>> spread = 0.01 * (LEVELS - 0.5)
    >>> race = judge([Standing.finished("a", 2.0), Standing("b", 0.5, 2.2 + spread), Standing("c", 0.5, 1.9 + spread)])
    >>> [str(verdict.step) for verdict in race.verdicts]
    ['ended', 'stop', 'run']
    """
    if not 0.0 < budget < 1.0:
        raise ConfigError(f"`budget` must lie between 0 and 1, as a part of the loss (got {budget!r}), e.g. 0.001.")
    if at_once < 1:
        raise ConfigError(f"`at_once` must be 1 or more (got {at_once!r}).")
    ended = [s for s in standings if s.ended and not s.lost and LEAST_LOSS < _end(s) < math.inf]
    heard = [_heard(standing, ended) for standing in standings]
    steps = [_settled(standing) for standing in standings]
    judged = [n for n, step in enumerate(steps) if step is Step.PAUSE]
    if ended:
        leader = standings.index(min(ended, key=_end))
        rivals = judged
    else:
        leader = min(judged, key=lambda n: _order(standings[n], heard[n][0]), default=-1)
        rivals = [n for n in judged if n != leader]
        if leader >= 0:
            steps[leader] = Step.RUN
            at_once -= 1
    best = heard[leader][0] if leader >= 0 else None
    gains = {n: _gain(standings[n], heard[n][0], best, budget) for n in rivals}
    spent = 0.0
    for n in sorted(rivals, key=lambda n: gains[n][0]):
        spent += gains[n][0]
        if spent > budget:
            break
        steps[n] = Step.STOP
    second = _second(standings, steps) if ended else None
    if second is not None:
        steps[second] = Step.PAUSE
    going = [n for n in rivals if steps[n] is Step.PAUSE]
    going.sort(key=lambda n: -gains[n][0] if ended else _order(standings[n], heard[n][0]))
    for n in going[: max(at_once, 0)]:
        steps[n] = Step.RUN
    verdicts = []
    for n, (standing, (logs, sibling)) in enumerate(zip(standings, heard, strict=True)):
        gain, chance = gains.get(n, (None, None))
        ends = None if logs is None else np.exp(logs)
        verdicts.append(Verdict(standing.name, steps[n], ends, gain, chance, sibling))
    return Race(tuple(verdicts), budget, standings[leader].name if leader >= 0 else "")


def _second(standings: Sequence[Standing], steps: Sequence[Step]) -> int | None:
    """Which of the two that stood lowest at a fifth would be stopped, the lower first; None of few runs, or of none."""
    if len(standings) < MANY:
        return None
    stood = {n: _at_a_fifth(s) for n, s in enumerate(standings) if not s.lost}
    two = sorted((n for n, loss in stood.items() if math.isfinite(loss)), key=lambda n: stood[n])[:2]
    return next((n for n in two if steps[n] is Step.STOP and standings[n].progress < FOLLOWED), None)


def _at_a_fifth(standing: Standing) -> float:
    """Log of the loss at a fifth, or before; NaN where it is not known."""
    if standing.curve is None or not len(standing.curve.losses):
        return math.nan
    return float(standing.curve.log_means(np.array([EARLIEST]), NOW_SPAN)[0])


def _settled(standing: Standing) -> Step:
    """What a run does that is not judged; one that is, is paused until it was."""
    if standing.lost and not standing.ended:
        return Step.STOP
    if standing.ended:
        return Step.ENDED
    return Step.PAUSE if standing.progress >= EARLIEST else Step.RUN


def _order(standing: Standing, logs: Floats | None) -> tuple[float, bool, float]:
    """Sort key of who is to end first: the furthest, else who is forecast to end lowest, last those nobody knows of."""
    # a leader that was chosen is finished, also where its forecast fails on the way: tenths, for logs end a row apart
    ahead = -round(standing.progress, 1)
    if logs is None or standing.spike:
        return ahead, True, standing.now if math.isfinite(standing.now) else math.inf
    return ahead, False, float(logs[_MIDDLE])


def _end(standing: Standing) -> float:
    """Median of the final loss by a run's own forecast, or its final loss [nats/token]; NaN where nobody knows."""
    return math.nan if standing.ends is None else float(standing.ends[_MIDDLE])


def _heard(standing: Standing, ended: Sequence[Standing]) -> tuple[Floats | None, str]:
    """The log of the final loss at `LEVELS` by a run's own law and the surest of its siblings, and who that is."""
    own = None if standing.ends is None else np.log(np.maximum(standing.ends, LEAST_LOSS))
    if standing.ended or standing.curve is None:
        return own, ""
    found = [
        (forecast.log_sd, other.name, forecast)
        for other in ended
        if other.curve is not None
        if (forecast := sibling_forecast(standing.curve, other.curve, _end(other))) is not None
    ]
    if not found:
        return own, ""
    _, name, forecast = min(found, key=lambda each: each[:2])
    logs = forecast.log_quantiles(LEVELS)
    return (logs if own is None else _mixed(own, logs)), name


def _mixed(*laws: Floats) -> Floats:
    """Quantiles of a mixture of laws at `LEVELS`; each weighs 1 over the square of its width."""
    widths = [max(float(logs[_ABOVE] - logs[_BELOW]), LEAST_WIDTH) for logs in laws]
    values = np.concatenate(laws)
    weights = np.repeat([width**-2 for width in widths], len(LEVELS))
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(LEVELS, cumulated / weights.sum(), values[order])


def _gain(standing: Standing, logs: Floats | None, best: Floats | None, budget: float) -> tuple[float, float]:
    """What a run is expected to gain over the best, and the chance that it is more than the budget."""
    if logs is None or best is None or standing.spike:
        return math.inf, 1.0
    # the best is a number once a run has ended: then one of its quantiles is as good as all
    ends = best[:1] if best[0] == best[-1] else best
    gain = ends[:, None] - logs[None, :]
    return float(np.maximum(gain, 0.0).mean()), float((gain > budget).mean())
