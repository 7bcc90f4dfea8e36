"""In which way a curve leaves the one that was promised, since when, and how likely that is by chance.

What the run is above its promise, y [nats/token] over the stretches of its curve, is under chance a Gaussian with
the covariance that the law's own error, its misfit and batch noise give it,

    C = F F' + m^2 L L' (min(x, x') + dx 1[=]) + diag(noise^2),    x = ln(step / step of the first stretch)

Five ways to leave are templates g: an offset from the start (1), a step since s (1[t >= s]), a drift since s
((x - x_s)+), a wrong slope (ln u / u_0, u the walk) and a wrong asymptote (1 - (u / u_0)^-alpha). Generalised least
squares gives each its size and its z = g'C^-1 y / sqrt(g'C^-1 g). A template that the law's own error can make is not
seen by it: the level of a law is uncertain, so an offset has to be large; its shape is known better, so a drift need
not.

Source: likelihood ratio of a known signal in coloured noise, e.g. Kay (1998), Fundamentals of Statistical Signal
Processing II, section 4.4; the choice among ways is by posterior odds with equal priors, ways that had a step to
choose paying its logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChangeShape", "ResidualChange", "classify_change", "tail"]

Floats = NDArray[np.float64]

#: Stretches of the curve that a way to leave can be told from; a run is off its law after as many
#: (`law_residual_detector.py`). By hand.
FEWEST_STRETCHES = 4
#: Newest stretches of which a step or a drift has at least so many: one is a bad stretch. By hand.
LATEST_SINCE = 2
#: How far a healthy run wanders from the shape of its law, relative, per square root of an e-fold of steps: at least
#: this, and at least as much as whole runs scatter. Chosen so that none of 77 public runs is off the law of a ladder
#: of its family, in steps of .003, .005 (tests/benchmarks/forecast.py --only off-law).
LEAST_WANDER = 0.005
#: Independent tests that the search over ways and steps is worth, and runs that `LEAST_WANDER` is worth as evidence.
#: By hand.
SEARCHED, WORTH = 8.0, 8
#: Least relative noise of a stretch: no two are equal to better. By hand.
LEAST_NOISE = 1e-6
#: No chance is told that is smaller. By hand.
LEAST_CHANCE = 1e-6


@final
class ChangeShape(StrEnum):
    """How a run leaves its law; each a few words that follow "the run has"."""

    OFFSET = "offset from the start"
    STEP = "step"
    DRIFT = "drift"
    SLOPE = "wrong slope"
    ASYMPTOTE = "wrong asymptote"


@final
@dataclass(frozen=True, slots=True)
class ResidualChange:
    """The likeliest way in which a run is off its law.

    Attributes:
        way: which. way_probability: of this way among all, given that the run is off, in (0, 1].
        since_step: first step of it; the first stretch that was compared unless it is a step or a drift.
        nats: what it has come to by now [nats/token].
        sigmas: the same in standard errors of the law and the noise.
        chance: probability that a run of this recipe looks like this by chance, in [1e-6, 1].
    """

    way: ChangeShape
    way_probability: float
    since_step: int
    nats: float
    sigmas: float
    chance: float


def classify_change(
    steps: Floats,
    walked: Floats,
    off: Floats,
    level: Floats,
    noise: Floats,
    factors: Floats,
    shape: tuple[float, float, int],
) -> ResidualChange | None:
    """Return the likeliest way in which a curve leaves its promise, None if there are too few stretches.

    Args:
        steps: mean step of each stretch, shape (n,), rising. walked: S / S(end) there.
        off: loss less the promised one [nats/token]. level: the promised loss. noise: sd of `off` from batch noise.
        factors: curves of the law's error, shape (n, f) [nats/token].
        shape: exponent of the walk, wander of the law's runs about its shape, degrees of freedom of their scatter.
    """
    if len(steps) < FEWEST_STRETCHES:
        return None
    alpha, wander, freedom = shape
    x = np.log(steps / steps[0])
    wandered = max(wander, LEAST_WANDER) * level
    walk = np.minimum(x[:, None], x[None, :]) + float(np.median(np.diff(x))) * np.eye(len(x))
    own = np.diag(noise**2 + LEAST_NOISE**2 * level**2)
    root = np.linalg.cholesky(factors @ factors.T + np.outer(wandered, wandered) * walk + own)
    templates, ways, since = _templates(x, walked, alpha)
    white = np.linalg.solve(root, np.column_stack([off, templates]))
    energy = np.maximum((white[:, 1:] ** 2).sum(axis=0), 1e-300)
    z = (white[:, 1:].T @ white[:, 0]) / np.sqrt(energy)
    evidence = _evidence(z, ways)
    way = max(evidence, key=lambda each: evidence[each])
    best = max((n for n in range(len(z)) if ways[n] is way), key=lambda n: abs(float(z[n])))
    total = sum(math.exp(value - evidence[way]) for value in evidence.values())
    return ResidualChange(
        way=way,
        way_probability=1.0 / total,
        since_step=math.ceil(float(steps[since[best]])),
        nats=float(z[best] / math.sqrt(energy[best]) * templates[-1, best]),
        sigmas=float(z[best]),
        chance=min(max(SEARCHED * tail(float(z[best]), freedom + WORTH), LEAST_CHANCE), 1.0),
    )


def _templates(x: Floats, walked: Floats, alpha: float) -> tuple[Floats, list[ChangeShape], list[int]]:
    """The columns of all ways, shape (n, q), with the way of each and the stretch at which it begins."""
    columns = [np.ones_like(x), np.log(walked / walked[0]), 1.0 - (walked / walked[0]) ** -alpha]
    ways, since = [ChangeShape.OFFSET, ChangeShape.SLOPE, ChangeShape.ASYMPTOTE], [0, 0, 0]
    for begins in range(2, len(x) - LATEST_SINCE + 1):
        after = np.arange(len(x)) >= begins
        columns += [after.astype(np.float64), np.where(after, x - x[begins - 1], 0.0)]
        ways += [ChangeShape.STEP, ChangeShape.DRIFT]
        since += [begins, begins]
    return np.stack(columns, axis=1), ways, since


def _evidence(z: Floats, ways: list[ChangeShape]) -> dict[ChangeShape, float]:
    """Log evidence of each way up to a constant: half of z squared, averaged over the steps it may begin at."""
    evidence = {}
    for way in ChangeShape:
        half = 0.5 * z[[each is way for each in ways]] ** 2
        if len(half):
            most = float(half.max())
            evidence[way] = most + math.log(float(np.exp(half - most).mean()))
    return evidence


def tail(sigmas: float, freedom: int) -> float:
    """Return the probability that Student's t with `freedom` degrees lies further out than `sigmas`, either side.

    Abramowitz and Stegun (1964), eqs. 26.7.3 and 26.7.4; beyond 100 degrees Gaussian.
    """
    if freedom > 100:
        return math.erfc(abs(sigmas) / math.sqrt(2.0))
    angle = math.atan2(abs(sigmas), math.sqrt(freedom))
    cosine, term, total = math.cos(angle), 1.0, 0.0
    if freedom % 2:
        term = cosine
        for k in range(1, (freedom + 1) // 2):
            total += term
            term *= cosine**2 * (2 * k) / (2 * k + 1)
        return max(1.0 - 2.0 / math.pi * (angle + math.sin(angle) * total), 0.0)
    for k in range(1, freedom // 2 + 1):
        total += term
        term *= cosine**2 * (2 * k - 1) / (2 * k)
    return max(1.0 - math.sin(angle) * total, 0.0)
