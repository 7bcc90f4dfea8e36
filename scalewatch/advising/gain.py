"""How much less compute one recipe needs than another for the same loss, with an interval.

The compute-equivalent gain of a change: B needs `share` of A's compute for A's loss. From two curves, B's law
says what B would have ended at had it been s times as long under a schedule of the same shape,

    L_B(s) = P + A (s^-alpha - 1),    P(share <= s) = P(L_B(s) <= L_A)

and from two ladders, what B's laws foretell at s times the compute with as many tokens a parameter. The loss falls so
slowly with compute that a quarter per cent of it is worth several per cent of compute: so what a seed makes of a final
loss counts as well.

Sources: Davidson et al. (2023), arXiv 2312.07413, section 2; Erdil and Besiroglu (2022), arXiv 2212.05153.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.fitting.outcomes.contest import Contest, Foretold
from scalewatch.forecast import Forecast
from scalewatch.forecast.mixture import Mixture
from scalewatch.forecast.posterior import LawPosterior
from scalewatch.forecast.schedule import Future
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN

__all__ = ["MOST_TIMES", "ComputeGain", "gain_of_curves", "gain_of_ladders"]

#: A gain beyond this many times, either way, is not told, and the points between at which the loss is asked. By hand.
MOST_TIMES, POINTS = 32.0, 121
#: Sd of a final loss from seed to seed, relative: .02 to .2 % over the seeds of supercollapse, modded_nanogpt and
#: minigpt. By hand.
SEED_LOG_SD = 0.0015
#: Quantiles that stand for a loss: the middles of so many parts. By hand.
PARTS = 41
#: Level of the interval that an error is read from. By hand.
_LEVEL = 0.8


@final
@dataclass(frozen=True, slots=True)
class ComputeGain:
    """What B needs for a loss of A.

    Attributes:
        loss: of A. compute: of A, in the unit of who asked.
        share: compute of B over it, median; infinite where B does not get there with 32 times as much.
        low, high: its interval; 0 and infinite where it goes beyond 32 times. level: of the interval, in (0, 1).
    """

    loss: float
    compute: float
    share: float
    low: float
    high: float
    level: float


def gain_of_curves(a: Forecast, b: Forecast, b_over_a: float, compute: float, level: float = 0.8) -> ComputeGain:
    """Return the share of A's compute with which B ends where A ends.

    Args:
        a, b: forecasts of the two runs, made at their ends or on the way. b_over_a: planned compute of B over that of
            A. compute: of A. level: of the interval, in (0, 1).

    Raises:
        ConfigError: if `level` or `b_over_a` is out of its range.
    """
    _check(level)
    if not 0.0 < b_over_a < math.inf:
        raise ConfigError(f"`b_over_a` must be a positive ratio of compute (got {b_over_a:g}).")
    parts = (np.arange(PARTS) + 0.5) / PARTS
    target = a.combined(_at_end, measured=True).quantiles(parts)
    times = _times()
    below = [_below(b.combined(partial(_ended, s), measured=True), target) for s in times.tolist()]
    share, low, high = _quantiles(times * b_over_a, np.array(below), level)
    return ComputeGain(float(np.median(target)), compute, share, low, high, level)


def gain_of_ladders(
    a: Contest, b: Contest, names: tuple[str, str], at: tuple[float, float], level: float = 0.8
) -> ComputeGain:
    """Return the share of compute with which B's laws reach what A's foretell at a size and a token count.

    Args:
        a, b: laws of the two ladders, weighed; each reads size and tokens alone. names: of these two columns.
            at: parameters and tokens, count. level: of the interval, in (0, 1).

    Raises:
        ConfigError: if `level` is out of its range.
    """
    _check(level)
    size, tokens = names
    of_a = a.predict({size: np.array([at[0]]), tokens: np.array([at[1]])}, level=_LEVEL)
    times = _times()
    root = np.sqrt(times)
    of_b = b.predict({size: at[0] * root, tokens: at[1] * root}, level=_LEVEL)
    from scipy.special import ndtr

    off = (np.log(of_a.loss) - np.log(of_b.loss)) / np.hypot(_log_sd(of_a), _log_sd(of_b))
    share, low, high = _quantiles(times, np.asarray(ndtr(off)), level)
    return ComputeGain(float(of_a.loss[0]), FLOPS_PER_PARAMETER_TOKEN * at[0] * at[1], share, low, high, level)


def _check(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"`level` must lie between 0 and 1 (got {level!r}), e.g. 0.8 for 80 %.")


def _times() -> Floats:
    return np.geomspace(1.0 / MOST_TIMES, MOST_TIMES, POINTS)


def _at_end(future: Future, law: LawPosterior) -> Mixture:
    return law.at(np.ones(1), future.end_annealing_sum[None, :])[0]


def _ended(times: float, future: Future, law: LawPosterior) -> Mixture:
    """Where the run would have ended, `times` as long, under the same shape of its schedule."""
    end = law.at(np.array([times]), future.end_annealing_sum[None, :])[0]
    # a law misses as much of a way back as of a way ahead
    back = law.fall_error * np.fmax(end.means - law.now, 0.0)
    return Mixture(end.means, np.hypot(end.sds, back), end.weights)


def _below(end: Mixture, target: Floats) -> float:
    """Chance that `end` is below a loss that is as likely each of `target`, with what two seeds make of both."""
    levels, values = end.points().cumulated()
    seeds = math.sqrt(2.0) * SEED_LOG_SD * float(np.median(target)) * _DEVIATES
    return float(np.interp(target[:, None] + seeds[None, :], values, levels, left=0.0, right=1.0).mean())


#: Deviates of a Gaussian that stand for it, equally likely: its quantiles at 1/18, 3/18 ... 17/18. By definition.
_DEVIATES = np.array([-1.5932, -0.9674, -0.5895, -0.2822, 0.0, 0.2822, 0.5895, 0.9674, 1.5932])


def _log_sd(told: Foretold) -> Floats:
    from scipy.special import ndtri

    return np.asarray((np.log(told.high) - np.log(told.low)) / (2.0 * float(ndtri(0.5 + _LEVEL / 2))))


def _quantiles(times: Floats, below: Floats, level: float) -> tuple[float, float, float]:
    """Median and interval of the least multiple by which B is below, from the chance at each."""
    chance = np.maximum.accumulate(below)

    def first(part: float) -> float:
        if chance[-1] < part:
            return math.inf
        if chance[0] > part:
            return 0.0
        rising = np.concatenate([[True], np.diff(chance) > 0])
        return float(np.exp(np.interp(part, chance[rising], np.log(times)[rising])))

    return first(0.5), first(0.5 - level / 2), first(0.5 + level / 2)
