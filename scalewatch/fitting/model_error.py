"""How far off a law is beyond its runs, learnt from how far off it was on the larger of them.

A bootstrap says how a law would scatter had other runs been drawn; it says nothing of a law of the wrong form,
which is what misses the next decade of compute. So the law is fitted to the cheapest part of its runs and asked
about the rest, at three origins. With r = ln(observed / predicted) of a run that lies b e-folds outside the box of
the fitted ones, and g the fall of ln(loss) for each e-fold of compute over them,

    var(r) = k (noise^2 + (share g b)^2),    k = (worth + sum over origins of mean r^2 / var0(r)) / (worth + origins)

and the interval is Student's with worth + origins degrees of freedom: a scaled inverse chi-squared prior for k about
1, updated by one observation an origin, because the runs past one origin err together. noise holds what the
constants leave open and the scatter of runs; var0 is var with k = 1.

An average of laws is judged in the same way, by its own errors at the origins. Before, its laws count as independent
but for what they share, the scatter s of runs about the average: noise^2 = sum w^2 noise^2 + (1 - sum w^2) s^2, and
share is sqrt(sum w^2) times that of a law. On the public families their errors correlate at -0.1 beyond the runs; where
one recipe does not hold for all sizes they go wrong together (0.4 on untuned sweeps), which k says only in part.

Sources: rolling origin after Tashman (2000), International Journal of Forecasting 16; the prior is conjugate,
Gelman et al., Bayesian Data Analysis (3rd ed.), section 2.6; variance of an average, Bates and Granger (1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.fitting.families import Points
from scalewatch.fitting.points import PointFit
from scalewatch.fitting.prediction import EXTRAPOLATION_SHARE, Prediction
from scalewatch.fitting.status import outliers
from scalewatch.laws.size import Parameters

__all__ = [
    "ORIGINS",
    "HoldoutError",
    "HoldoutPrediction",
    "ModelError",
    "average_holdout",
    "law_holdout",
    "rolling_origins",
]

Rows = NDArray[np.int64]

#: Parts of the runs, cheapest first, that a law is fitted to before it is asked about the rest. By hand.
ORIGINS = (0.4, 0.6, 0.8)
#: Least scatter of ln(loss): what seeds alone make of a final loss [e-folds]. By hand.
LEAST_SCATTER = 0.003
#: Level of the interval that a noise is read from. By hand.
_LEVEL = 0.8


@final
@dataclass(frozen=True, slots=True)
class ModelError:
    """What is expected of a law before it is asked about larger runs.

    Both numbers have the highest likelihood on the held-out sizes of 15 public families, fitted to 35, 50 and 70 %
    of the runs; without any one paper share is the same and worth 2.5 to 6 (tests/benchmarks/held_out_sizes.py).

    Attributes:
        share: part of the fall in ln(loss) outside the fitted runs that a law misses, one sd.
        worth: how many origins this is worth.
    """

    share: float = EXTRAPOLATION_SHARE
    worth: float = 4.0

    def judge(self, held: Sequence[HoldoutError]) -> tuple[float, float]:
        """Return k and the degrees of freedom after some origins."""
        off = [float(np.mean(one.error**2 / one.told.variance(self.share))) for one in held]
        freedom = self.worth + len(off)
        return (self.worth + sum(off)) / freedom, freedom


@final
@dataclass(frozen=True, slots=True, eq=False)
class HoldoutPrediction:
    """What a law, or an average of laws, says of some runs.

    Attributes:
        log_loss: ln(loss), shape (n,). noise: sd of it that constants and scatter leave, shape (n,).
        reach: e-folds outside the fitted runs, times the fall of ln(loss) over one, shape (n,).
    """

    log_loss: Floats
    noise: Floats
    reach: Floats

    def variance(self, share: float) -> Floats:
        """Return the variance of ln(loss), k = 1."""
        return np.asarray(self.noise**2 + (share * self.reach) ** 2)

    def half_width(self, share: float, k: float, freedom: float, level: float) -> Floats:
        """Return half the interval of ln(loss)."""
        from scipy.special import stdtrit

        return np.asarray(float(stdtrit(freedom, 0.5 + level / 2)) * np.sqrt(k * self.variance(share)))


@final
@dataclass(frozen=True, slots=True, eq=False)
class HoldoutError:
    """What came of one origin: `error`, ln(observed) - ln(predicted) of the runs past it, and what was `told`."""

    error: Floats
    told: HoldoutPrediction


def rolling_origins(points: Points) -> list[tuple[Rows, Rows]]:
    """Return the rows fitted and the rows held out at each origin, by compute; none where that leaves no two runs."""
    order = np.argsort(points.log_flops, kind="stable")
    cuts = sorted({round(part * len(points)) for part in ORIGINS} & set(range(2, len(points))))
    return [(order[:cut], order[cut:]) for cut in cuts]


def law_holdout(
    fit: PointFit[Any], size: Parameters, log_size: Floats, log_tokens: Floats
) -> tuple[HoldoutPrediction, Prediction]:
    """Return what a fitted law says of runs, shapes (n,), and its prediction without any model error."""
    from scipy.special import ndtri

    plain = fit.predict(size, np.exp(log_tokens), _LEVEL, extrapolation_share=0.0)
    with np.errstate(divide="ignore"):
        half = 0.5 * (np.log(plain.high) - np.log(plain.low)) / float(ndtri(0.5 + _LEVEL / 2))
    reach = fit.fall_per_efold * _outside(fit.points, log_size, log_tokens)
    return HoldoutPrediction(np.log(plain.loss), np.maximum(half, LEAST_SCATTER), reach), plain


def average_holdout(
    told: Sequence[HoldoutPrediction], fits: Sequence[PointFit[Any]], weights: Sequence[float]
) -> HoldoutPrediction:
    """Return what an average says, from what each law says and how far their average is off on the fitted runs."""
    weight = np.array(weights) / sum(weights)
    alone = float(weight @ weight)
    shared = _scatter(weight @ np.array([fit.residuals for fit in fits]), fits, weight)
    noise = np.sqrt(weight**2 @ np.array([one.noise**2 for one in told]) + (1 - alone) * shared**2)
    middle = weight @ np.array([one.log_loss for one in told])
    return HoldoutPrediction(np.asarray(middle), noise, np.sqrt(alone) * told[0].reach)


def _scatter(residuals: Floats, fits: Sequence[PointFit[Any]], weight: Floats) -> float:
    near = np.delete(residuals, outliers(residuals))
    free = len(residuals) - float(weight @ np.array([len(fit.family.constants) for fit in fits]))
    return max(float(np.sqrt(near @ near / max(free, 1.0))), LEAST_SCATTER)


def _outside(points: Points, log_size: Floats, log_tokens: Floats) -> Floats:
    """Return how many e-folds each run lies outside the range of sizes, of tokens or of compute, whichever is most."""
    seen = (points.log_size, points.log_tokens, points.log_size + points.log_tokens)
    asked = (log_size, log_tokens, log_size + log_tokens)
    past = [np.maximum(at - have.max(), have.min() - at) for have, at in zip(seen, asked, strict=True)]
    return np.asarray(np.maximum(np.max(past, axis=0), 0.0))
