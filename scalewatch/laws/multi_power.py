"""The multi-power law of a whole loss curve under a learning-rate schedule.

With e(k) the learning rate of step k and e(0) = 0, the loss after s steps is

    L(s) = L0 + A S(s)^-alpha - B sum over k <= s of (e(k-1) - e(k)) G(e(k)^-gamma S_k(s))
    S(s) = sum of e(1..s),    S_k(s) = sum of e(k..s),    G(x) = 1 - (1 + C x)^-beta

Every drop of the rate gains B per unit of rate, slowly: S_k is how far the run has walked since that drop. The
warm-up is a negative drop, as in the authors' code: it adds up to B times the peak, and L0 is lower for it. So
constants belong to a convention, and this file has one: a plan starts from a rate of zero.

Why chunks: one loss is a sum over all steps before it, so a curve costs points times steps. Drops are added up
in chunks of 64 steps, each at its mean, except the last ones before a point; that is within 3e-5 nats on the
published curves at a sixtieth of the cost.

Source: Luo et al. (2025), arXiv 2503.12811, equation 2; constants from the README of their repository
(thu-yao-01-luo/MultiPowerLaw), in the digits of its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.law import Publication, ScheduleLaw
from scalewatch.laws.size import positive

__all__ = ["MultiPowerLaw", "ScheduleTerms", "schedule_terms"]

Integers = NDArray[np.int64]

#: Steps whose drops are added up. By hand.
CHUNK_STEPS = 64
#: Chunks that a plan has at least, so that those of a short one are short. By hand.
LEAST_CHUNKS = 375
#: Chunks before a point that are still taken step by step: a fresh drop is not yet smooth in S_k. By hand.
FRESH_CHUNKS = 1
#: A rate counts as at least this part of the peak in e^-gamma: plans that end at zero would divide by it. By hand.
LEAST_RATE_SHARE = 1e-9
#: Points times chunks that are worked through at a time. By hand.
_BLOCK = 1 << 20
#: Longest horizon, as a multiple of the longest fitted one, that the law was shown to predict (72,000 steps from fits
#: of 24,000: within 0.8 % at the end, on the curves of Luo et al. 2025).
MOST_HORIZON = 3.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class ScheduleTerms:
    """What the law needs to know of a plan at some steps: one entry for each chunk of drops behind a point.

    Attributes:
        walked: S at the points [steps x rate], shape (n,).
        starts: where the entries of each point begin, shape (n,).
        drop: fall of the rate in the chunk, negative in warm-up, shape (m,).
        log_rate: ln of the rate there, shape (m,).
        since: S_k at its point [steps x rate], shape (m,).
    """

    walked: Floats
    starts: Integers
    drop: Floats
    log_rate: Floats
    since: Floats


def schedule_terms(learning_rates: ArrayLike, steps: ArrayLike, chunk_steps: int = CHUNK_STEPS) -> ScheduleTerms:
    """Return the terms of a plan at `steps`.

    Args:
        learning_rates: planned rate of steps 1..T, shape (T,), none negative, not all zero.
        steps: steps completed, whole, 1 to T, shape (n,).
        chunk_steps: steps whose drops are added up, fewer on plans below 24,000 steps; 1 for the exact sum, at a
            cost of points times steps.

    Raises:
        ConfigError: if the plan is no plan, or a step lies outside it.
    """
    rates, at = _plan(learning_rates), _steps(steps, np.size(learning_rates))
    if chunk_steps < 1:
        raise ConfigError(f"`chunk_steps` must be at least 1 (got {chunk_steps}).")
    chunk_steps = min(chunk_steps, max(len(rates) // LEAST_CHUNKS, 1))
    walked = np.cumsum(rates)
    before = np.concatenate([[0.0], walked[:-1]])
    drop = np.concatenate([[0.0], rates[:-1]]) - rates
    changed = np.flatnonzero(drop)
    log_rate = np.log(np.maximum(rates, LEAST_RATE_SHARE * rates.max()))
    first = _chunks(changed, drop, chunk_steps)
    groups = _grouped(changed, first, drop, log_rate, before)
    # a point takes whole chunks that ended before it, and the changes since then one by one
    last = np.concatenate([first[1:], [len(changed)]]) - 1
    seen = np.searchsorted(changed, at, side="left")
    whole = np.maximum(np.searchsorted(last, seen, side="left") - (FRESH_CHUNKS if chunk_steps > 1 else 0), 0)
    fresh = np.where(whole < len(first), first[np.minimum(whole, len(first) - 1)], len(changed))
    counts = whole + (seen - fresh)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    is_whole = place < np.repeat(whole, counts)
    single = np.where(is_whole, 0, place - np.repeat(whole, counts) + np.repeat(fresh, counts))
    one = changed[single]
    group = np.where(is_whole, place, 0)
    behind = np.where(is_whole, groups[2][group], before[one])
    return ScheduleTerms(
        walked=walked[at - 1],
        starts=starts.astype(np.int64),
        drop=np.where(is_whole, groups[0][group], drop[one]),
        log_rate=np.where(is_whole, groups[1][group], log_rate[one]),
        since=np.repeat(walked[at - 1], counts) - behind,
    )


def _chunks(changed: Integers, drop: Floats, chunk_steps: int) -> Integers:
    """Where in `changed` a chunk begins: at every so many steps, and where falling turns to rising."""
    number = changed // chunk_steps
    turns = np.sign(drop[changed[1:]]) != np.sign(drop[changed[:-1]])
    return np.concatenate([[0], 1 + np.flatnonzero((np.diff(number) > 0) | turns)]).astype(np.int64)


def _grouped(
    changed: Integers, first: Integers, drop: Floats, log_rate: Floats, before: Floats
) -> tuple[Floats, Floats, Floats]:
    weight = drop[changed]
    total = np.add.reduceat(weight, first)
    rate = np.add.reduceat(weight * log_rate[changed], first) / total
    behind = np.add.reduceat(weight * before[changed], first) / total
    return np.asarray(total), np.asarray(rate), np.asarray(behind)


@final
@dataclass(frozen=True, slots=True)
class MultiPowerLaw(ScheduleLaw):
    """The multi-power law with its seven constants.

    Attributes:
        level: L0 [nats/token]. amplitude: A [nats/token (steps x rate)^alpha]. alpha: exponent of the walk.
        gain: B [nats/token per unit of learning rate]. sharpness: C [rate^gamma / (steps x rate)].
        beta: exponent of G. gamma: exponent of the rate in it.

    Raises:
        ConfigError: if a constant is not positive and finite.

    >>> law = MultiPowerLaw.published("100M")
    >>> rates = 3e-4 * np.minimum(np.arange(1, 24_001) / 2_160, 1.0)
    >>> f"{law.losses(rates, [24_000])[0]:.3f}"
    '3.033'
    """

    KIND: ClassVar = "multi_power"
    SOURCE: ClassVar = Publication("Luo et al.", 2025, "arXiv 2503.12811", "equation 2")
    RANGES: ClassVar = dict.fromkeys(
        ("level", "amplitude", "alpha", "gain", "sharpness", "beta", "gamma"), (1e-30, 1e30)
    )

    level: float
    amplitude: float
    alpha: float
    gain: float
    sharpness: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        for name in ("level", "amplitude", "alpha", "gain", "sharpness", "beta", "gamma"):
            positive(name, getattr(self, name), "constant of the multi-power law")

    @classmethod
    def published(cls, size: str) -> MultiPowerLaw:
        """Return the fit of Luo et al. (2025) for their "25M", "100M" or "400M" model.

        Of peak 3e-4 with 2,160 warm-up steps, on cosine, constant and two-stage plans of 24,000 and 16,000 steps.

        Raises:
            ConfigError: if there is no such size.
        """
        if size not in _PUBLISHED:
            raise ConfigError(f"`size` must be one of {', '.join(_PUBLISHED)} (got {size!r:.80}).")
        return cls(*_PUBLISHED[size])

    @classmethod
    def example(cls) -> MultiPowerLaw:
        """Return the published fit for 100M parameters."""
        return cls.published("100M")

    def losses(self, learning_rates: ArrayLike, steps: ArrayLike, chunk_steps: int = CHUNK_STEPS) -> Floats:
        """Return the loss [nats/token] after `steps` of a plan, shape (n,).

        Args:
            learning_rates: planned rate of steps 1..T, shape (T,). steps: steps completed, 1 to T, shape (n,).
            chunk_steps: steps whose drops are added up; 1 for the exact sum.

        Raises:
            ConfigError: if the plan is no plan, or a step lies outside it.
        """
        at = _steps(steps, np.size(learning_rates))
        most = max(1, _BLOCK // max(LEAST_CHUNKS, np.size(learning_rates) // max(chunk_steps, 1)))
        parts = [
            self.at(schedule_terms(learning_rates, at[start : start + most], chunk_steps))
            for start in range(0, len(at), most)
        ]
        return np.concatenate(parts)

    def at(self, terms: ScheduleTerms) -> Floats:
        """Return the loss [nats/token] at the points of `terms`, shape (n,)."""
        rest = terms.drop * (1.0 - self._kept(terms)[1])
        return self.level + self.amplitude * terms.walked**-self.alpha - self.gain * _per_point(rest, terms)

    def _kept(self, terms: ScheduleTerms) -> tuple[Floats, Floats]:
        x = self.sharpness * np.exp(-self.gamma * terms.log_rate) * terms.since
        log_base = np.log1p(x)
        return log_base, np.exp(-self.beta * log_base)

    def log_slopes(self, terms: ScheduleTerms) -> tuple[Floats, Floats]:
        """Return the loss, shape (n,), and its derivatives by the logarithm of each constant, shape (7, n)."""
        log_base, kept = self._kept(terms)
        power = self.amplitude * terms.walked**-self.alpha
        gained = self.gain * _per_point(terms.drop * (1.0 - kept), terms)
        # d kept / d ln x = -beta x (1 + x)^(-beta - 1), and x / (1 + x) = 1 - exp(-log_base)
        bend = self.beta * kept * -np.expm1(-log_base)
        by_x = self.gain * _per_point(terms.drop * bend, terms)
        by_rate = self.gain * _per_point(terms.drop * bend * terms.log_rate, terms)
        by_beta = self.gain * _per_point(terms.drop * kept * log_base, terms)
        slopes = [
            np.full(len(power), self.level),
            power,
            -self.alpha * np.log(terms.walked) * power,
            -gained,
            -by_x,
            -self.beta * by_beta,
            self.gamma * by_rate,
        ]
        return self.level + power - gained, np.array(slopes)

    def rescaled(self, factor: float) -> MultiPowerLaw:
        """Return the same law for rates given in another unit: all rates multiplied by `factor`.

        Raises:
            ConfigError: if `factor` is not positive and finite.
        """
        by = float(positive("factor", factor, "new rate over old rate"))
        return MultiPowerLaw(
            self.level,
            self.amplitude * by**self.alpha,
            self.alpha,
            self.gain / by,
            self.sharpness * by ** (self.gamma - 1.0),
            self.beta,
            self.gamma,
        )

    def range_notes(self, steps: int, fitted_steps: int) -> tuple[str, ...]:
        """Return a sentence if a plan of `steps` is longer than what a fit on `fitted_steps` was shown to predict."""
        if steps > MOST_HORIZON * fitted_steps:
            return (
                f"The plan is {steps / fitted_steps:.1f}x as long as the longest fitted run; the law was checked up to "
                f"{MOST_HORIZON:.0f}x: fit it on a longer run.",
            )
        return ()


def _per_point(values: Floats, terms: ScheduleTerms) -> Floats:
    # cumulative sums rather than reduceat: a point in front of the first change has no entry
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.concatenate([terms.starts[1:], [len(values)]])
    return np.asarray(total[ends] - total[terms.starts])


def _plan(learning_rates: ArrayLike) -> Floats:
    rates = np.asarray(learning_rates, dtype=np.float64)
    if rates.ndim != 1 or len(rates) == 0 or not np.all(np.isfinite(rates)) or rates.min() < 0 or rates.max() <= 0:
        raise ConfigError(
            "`learning_rates` must be the planned rates, shape (T,), finite, none negative, not all zero."
        )
    return rates


def _steps(steps: ArrayLike, planned: int) -> Integers:
    at = np.atleast_1d(np.asarray(steps, dtype=np.float64))
    if at.ndim != 1 or len(at) == 0 or not np.all((at >= 1) & (at <= planned) & (at == np.floor(at))):
        raise ConfigError(f"`steps` must be whole, from 1 to the {planned} planned steps, shape (n,).")
    return at.astype(np.int64)


#: (L0, A, alpha, B, C, beta, gamma) of each model (Luo et al. 2025, README of their repository).
_PUBLISHED = {
    "25M": (3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257),
    "100M": (2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644),
    "400M": (2.37474466, 0.65421216, 0.42878731, 523.42464371, 2.02462735, 0.59350493, 0.63472457),
}
