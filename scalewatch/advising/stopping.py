"""Which runs of a sweep to stop: those that hardly can end best, at a risk that is bounded for the whole sweep.

A run is stopped when the chance that it ends below all others, by more than `margin`, is small. The chances of all runs
that were stopped add up to at most `risk`: as far as the intervals of the forecasts hold what they say, the winner is
killed in no more sweeps than that. The risk may be spent in proportion to progress (Lan and DeMets 1983, Biometrika 70,
659: spending functions of sequential tests), because a forecast at a fifth of a run is the one most often wrong.

Why forecasts count as independent: over runs that differ in the learning rate, errors of forecasts on public sweeps do
not cancel (the variance of a difference is 0.7 to 3 times the sum of both, at 20 to 50 % of the run), so no correlation
is taken into account. Runs that differ in the seed only have common errors; between them this rule is slow, not wrong.

Why not current losses: choosing by them (median rule, successive halving) kills the winner of every other public sweep,
because a rate that is high now ends low (tests/benchmarks/sweep_stopping.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import ConfigError
from scalewatch.forecast.forecast import Forecast

__all__ = ["Standing", "Stop", "chances_of_best", "runs_to_stop"]

Floats = NDArray[np.float64]

#: Chance that a stopped run would have been best, over the whole sweep. By hand.
RISK = 0.02
#: Part of the run before which no run is stopped (Choshen et al. 2024: the first tenth misleads, a third is enough).
EARLIEST = 0.2
#: Quantile levels that stand for the distribution of a final loss. By hand.
LEVELS = np.linspace(0.005, 0.995, 199)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a run of a sweep stands.

    Attributes:
        name: of the run. progress: part of its planned steps done, in [0, 1].
        ends: quantiles of its final loss at `LEVELS` [nats/token], shape (199,), not falling.
        spike: whether an incident is open; such a run is not stopped by its forecast, which is not to be trusted now.
    """

    name: str
    progress: float
    ends: Floats
    spike: bool = False

    @classmethod
    def of(cls, name: str, progress: float, forecast: Forecast, *, spike: bool = False) -> Standing:
        """Return the standing of a run with a forecast."""
        return cls(name, progress, forecast.quantiles(LEVELS), spike)

    @classmethod
    def finished(cls, name: str, final_loss: float) -> Standing:
        """Return the standing of a run that has ended at `final_loss` [nats/token]."""
        return cls(name, 1.0, np.full(len(LEVELS), final_loss))


@final
@dataclass(frozen=True, slots=True)
class Stop:
    """One run to stop now.

    Attributes:
        name: of the run. chance: that it would have ended best. progress: part of its steps done.
        saved: part of its planned steps that is not trained.
    """

    name: str
    chance: float
    progress: float

    @property
    def saved(self) -> float:
        """Part of its planned steps that need not be trained."""
        return 1.0 - self.progress


def chances_of_best(standings: Sequence[Standing], margin: float = 0.0) -> list[float]:
    """Return for each run the probability that it ends below all others by more than `margin` [nats/token].

    >>> a, b = Standing.finished("a", 2.0), Standing.finished("b", 2.1)
    >>> chances_of_best([a, b])
    [1.0, 0.0]
    """
    chances = []
    for place, run in enumerate(standings):
        below = np.ones(len(LEVELS))
        for other in (s for n, s in enumerate(standings) if n != place):
            below *= 1.0 - _cdf(other.ends, run.ends + margin)
        chances.append(float(below.mean()))
    return chances


def _cdf(ends: Floats, at: Floats) -> Floats:
    if ends[-1] <= ends[0]:
        return np.where(at >= ends[0], 1.0, 0.0)
    return np.interp(at, ends, LEVELS, left=0.0, right=1.0)


def runs_to_stop(
    standings: Sequence[Standing], *, risk: float = RISK, spent: float = 0.0, margin: float = 0.0
) -> list[Stop]:
    """Return the runs to stop now, the surest first; never all of them.

    Args:
        standings: runs that are not stopped, finished ones too.
        risk: chance of killing the winner, for the whole sweep; spent: the part of it that earlier stops used.
        margin: least advantage in final loss that is worth a run's compute [nats/token].

    Raises:
        ConfigError: if `risk` is no probability, or `margin` negative.
    """
    if not 0.0 < risk < 1.0:
        raise ConfigError(f"`risk` must lie between 0 and 1 (got {risk!r}), e.g. 0.02.")
    if not 0.0 <= margin < np.inf:
        raise ConfigError(f"`margin` must be 0 or more [nats/token] (got {margin!r}).")
    left, stops = list(standings), []
    while len(left) > 1:
        chances = chances_of_best(left, margin)
        open_ = [n for n, run in enumerate(left) if EARLIEST <= run.progress < 1.0 and not run.spike]
        if not open_:
            break
        # of runs without a chance, the one that ends highest first
        least = min(open_, key=lambda n: (chances[n], -float(left[n].ends[len(LEVELS) // 2])))
        if spent + chances[least] > risk * left[least].progress:
            break
        spent += chances[least]
        stops.append(Stop(left[least].name, chances[least], left[least].progress))
        del left[least]
    return stops
