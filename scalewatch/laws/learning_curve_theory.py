"""Why a learning curve is a power law, and with which exponent: Hutter's model of a Zipf tail.

Features come with probability p_i = i^-(1 + alpha) / zeta(1 + alpha), and a learner errs on what it has not
seen yet. After n samples the expected error is

    E(n) = sum over i of p_i (1 - p_i)^n  ->  c n^-beta,    beta = alpha / (1 + alpha),
    c = zeta(1 + alpha)^(-1 / (1 + alpha)) Gamma(beta) / (1 + alpha)

So a heavy tail (small alpha) learns slowly and no finite exponent is universal: it is a property of the data.
With finitely many features the curve ends in an exponential fall once the rarest has been seen.

Why here: it says which exponent to expect of a corpus before a run is paid for, and a fitted beta far from it
says that something else than rare features limits the model.

Source: Hutter (2021), arXiv 2102.04074, sections 3 and 4. The estimate from counts is the maximum of the
likelihood of counts that are Poisson about a Zipf tail (Karlin 1967, Journal of Mathematics and Mechanics 17).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import positive
from scalewatch.text import percent

__all__ = ["ZipfCurve", "ZipfTail", "fit_zipf_tail"]

#: Features whose terms are added one by one; beyond them the sum is an integral, exact to 1e-9 of it. By hand.
_SUMMED = 20_000
#: Least count of a type that enters the estimate of the tail: types seen once are often errors of spelling. By hand.
LEAST_COUNT = 2
#: Features below which the tail has no exponent worth a number. By hand.
FEWEST_TYPES = 50
#: Sd of ln(count) over 1 + alpha, between which counts may be a Zipf tail; for one it tends to 1. By hand.
NOT_ZIPF = (0.3, 2.0)
#: Least count over `least_count` from which the rare types are missing. By hand.
SEEN_WHOLE = 3.0
#: Exponents 1 + alpha within so many standard errors of 1 may be no tail that sums up. By hand.
SIGMAS = 2.0


@final
@dataclass(frozen=True, slots=True)
class ZipfCurve(Law):
    """Expected error against samples for features with a Zipf tail.

    Attributes:
        alpha: excess of the Zipf exponent over 1, dimensionless, above 0; 1e-3 to 100 is computed.

    Raises:
        ConfigError: if alpha is out of range.

    >>> curve = ZipfCurve(1.0)
    >>> curve.exponent
    0.5
    >>> f"{curve.error(1e6):.4e} {curve.asymptote(1e6):.4e}"
    '6.9099e-04 6.9099e-04'
    """

    KIND: ClassVar = "zipf"
    SOURCE: ClassVar = Publication("Hutter", 2021, "arXiv 2102.04074", "section 3")
    RANGES: ClassVar = {"alpha": (1e-3, 100.0)}
    INVERSE: ClassVar = ("samples",)

    alpha: float

    def __post_init__(self) -> None:
        positive("alpha", self.alpha, "excess of the Zipf exponent over 1", least=1e-3, most=100.0)

    @property
    def exponent(self) -> float:
        """beta = alpha / (1 + alpha), dimensionless, in (0, 1)."""
        return self.alpha / (1.0 + self.alpha)

    @classmethod
    def example(cls) -> ZipfCurve:
        """Return the curve of words of English, whose Zipf exponent is about 2 in the tail (made up)."""
        return cls(1.0)

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """How much has been read."""
        return (Quantity("samples", "count", 1.0, 1e15),)

    @property
    def output(self) -> Quantity:
        """How often the next feature is new."""
        return Quantity("error", "probability", 0.0, 1.0)

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the expected error after `samples`."""
        return self.error(*asked(inputs, "samples"))

    def error(self, samples: ArrayLike) -> Floats:
        """Return E(n), dimensionless: the chance that the next feature has not been seen in n samples.

        Raises:
            ConfigError: if a number of samples is not positive and finite.
        """
        n = np.atleast_1d(positive("samples", samples, "samples, count"))
        power = 1.0 + self.alpha
        top = 1.0 / _zeta(power)
        ranks = np.arange(1.0, _SUMMED + 1.0)
        p = top * ranks**-power
        # the first probability may be 1 to rounding, where alpha is large
        log_rest = np.log1p(-np.minimum(p, 1.0 - 1e-16))
        head = np.exp(n[:, None] * log_rest) @ p
        tail = self._from_rank(n, top, _SUMMED + 0.5)
        return np.asarray((head + tail).reshape(np.shape(samples)))[()]

    def _from_rank(self, n: Floats, top: float, rank: float) -> Floats:
        """Integral over i from `rank` of p exp(-n p), by the substitution u = n p."""
        from scipy.special import gamma, gammainc

        power = 1.0 + self.alpha
        u = n * top * rank**-power
        scale = (n * top) ** (1.0 / power) / (power * n)
        return np.asarray(scale * gamma(self.exponent) * gammainc(self.exponent, u))

    def asymptote(self, samples: ArrayLike) -> Floats:
        """Return c n^-beta, what E(n) tends to.

        Raises:
            ConfigError: if a number of samples is not positive and finite.
        """
        n = positive("samples", samples, "samples, count")
        power = 1.0 + self.alpha
        scale = _zeta(power) ** (-1.0 / power) * math.gamma(self.exponent) / power
        return np.asarray(scale * n**-self.exponent)[()]

    def simulate(self, samples: ArrayLike, repeats: int = 20, seed: int = 0) -> tuple[Floats, Floats]:
        """Draw features and return the mean error after each number of samples, and its standard error.

        Args:
            samples: numbers of samples, whole, shape (k,), at most 1e7. repeats: learners drawn, at least 2.
            seed: of the generator.

        Raises:
            ConfigError: if a number is out of range.
        """
        marks = np.atleast_1d(positive("samples", samples, "samples, count", least=1.0, most=1e7)).astype(np.int64)
        if repeats < 2:
            raise ConfigError(f"`repeats` must be at least 2 (got {repeats}): one learner has no standard error.")
        generator = np.random.default_rng(seed)
        power, zeta = 1.0 + self.alpha, _zeta(1.0 + self.alpha)
        errors = np.empty((repeats, len(marks)))
        for row in errors:
            seen, first = np.unique(generator.zipf(power, int(marks.max())), return_index=True)
            known = seen.astype(np.float64) ** -power / zeta
            row[:] = [1.0 - known[first < mark].sum() for mark in marks]
        return errors.mean(axis=0), errors.std(axis=0, ddof=1) / math.sqrt(repeats)


@final
@dataclass(frozen=True, slots=True)
class ZipfTail:
    """The tail of a corpus and the exponent that it promises.

    Attributes:
        alpha: excess of the Zipf exponent over 1. alpha_sd: its standard error.
        exponent: beta = alpha / (1 + alpha), nan where the tail does not sum up. exponent_sd: its error.
        types: features that entered the estimate.
        notes: reasons not to trust it, a sentence each.
    """

    alpha: float
    alpha_sd: float
    exponent: float
    exponent_sd: float
    types: int
    notes: tuple[str, ...]


def fit_zipf_tail(counts: ArrayLike, least_count: int = LEAST_COUNT) -> ZipfTail:
    """Estimate alpha from how often each feature (token, n-gram, document cluster) occurs.

    Of types that occur at least m times, count x has probability s G(x - s) G(m) / (G(x + 1) G(m - s)) with
    s = 1 / (1 + alpha) and G the gamma function, exactly, so the estimate has no bias from small counts.

    Args:
        counts: occurrences of each type, shape (k,), zero or more, any order.
        least_count: smallest count that is used; larger looks at commoner types only.

    Raises:
        FitError: if counts are no counts, or fewer than 50 types reach `least_count`.
    """
    given = np.asarray(counts, dtype=np.float64)
    if given.ndim != 1 or not np.all(np.isfinite(given)) or np.any(given < 0):
        raise FitError("`counts` must be occurrences of each type, shape (k,), none negative, all finite.")
    if least_count < 1:
        raise FitError(f"`least_count` must be at least 1 (got {least_count}).")
    used = given[given >= least_count]
    if len(used) < FEWEST_TYPES:
        raise FitError(
            f"Only {len(used)} types occur {least_count} times or more, and a tail needs {FEWEST_TYPES}: "
            "count a larger sample, or lower `least_count`."
        )
    power, power_sd = _tail_power(used, float(least_count))
    alpha = power - 1.0
    notes = []
    if power - SIGMAS * power_sd <= 1.0:
        notes.append(
            f"The Zipf exponent {power:.2f} (se {power_sd:.2f}) is not clearly above 1: no sum over endlessly many "
            "features exists, and the curve is set by how many there are; count longer features, such as n-grams."
        )
    if len(used) < 10 * FEWEST_TYPES:
        notes.append(f"Rests on {len(used)} types: the exponent is uncertain by {percent(power_sd / power)} at best.")
    if used.min() >= SEEN_WHOLE * least_count:
        notes.append(
            f"No type occurs less than {used.min():.0f} times, so there is no tail left to see: with finitely many "
            "types the error falls exponentially from here, not as a power."
        )
    spread = float(np.std(np.log(used)))
    if not NOT_ZIPF[0] < spread / power < NOT_ZIPF[1]:
        notes.append(
            f"The counts are not those of a Zipf tail: ln(count) has sd {spread:.2f} where the exponent says "
            f"{power:.2f}; no power law follows from them."
        )
    common = used[used >= 10 * least_count]
    if len(common) >= FEWEST_TYPES:
        upper, upper_sd = _tail_power(common, 10.0 * least_count)
        if abs(upper - power) > 3.0 * math.hypot(power_sd, upper_sd):
            notes.append(
                f"The tail bends: common types alone give {upper:.2f}, not {power:.2f}; the exponent depends on how "
                "much is read, so compare at the same number of samples."
            )
    exponent = alpha / power if alpha > 0 else math.nan
    return ZipfTail(alpha, power_sd, exponent, power_sd / power**2, len(used), tuple(notes))


def _tail_power(counts: Floats, least: float) -> tuple[float, float]:
    """1 + alpha and its standard error, from the types that occur at least `least` times."""
    from scipy.optimize import brentq
    from scipy.special import polygamma, psi

    def score(s: float) -> float:
        return float(1.0 / s - np.mean(psi(counts - s)) + psi(least - s))

    # towards s = least the score falls without bound; at 0 it rises without bound unless all counts are equal
    most = least * (1.0 - 1e-9)
    if score(1e-6) <= 0.0:
        return math.inf, math.inf
    share = float(brentq(score, 1e-6, most))
    information = 1.0 / share**2 - float(np.mean(polygamma(1, counts - share))) + float(polygamma(1, least - share))
    return 1.0 / share, 1.0 / (share**2 * math.sqrt(information * len(counts)))


def _zeta(power: float) -> float:
    from scipy.special import zeta

    return float(zeta(power))
