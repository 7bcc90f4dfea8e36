"""Stairs in a loss where its data are seen again: those so far, and what is known of those to come.

A model that is shown data again remembers some of it, so a training loss falls where an epoch begins, and laws of fresh
data know nothing of it. The stairs so far are measured and taken out of the curve that a law is held against, and those
to come are put back: each like the newest, with a doubt that grows with each. Before the first was seen nobody
knows how much a model remembers: then a forecast holds all that models do, from nothing to half of the loss and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.forecast.mixture import Mixture
from scalewatch.forecast.schedule import AbstractSchedule
from scalewatch.laws import CurveLaw
from scalewatch.run import Run

__all__ = ["NO_STAIRS", "Stairs", "edges_of", "stairs_of", "why_at_first"]

Flags = NDArray[np.bool_]

#: Epochs that a run has at least for its data to be seen again, and at most for its stairs to be told one by one: of
#: more each is a small part of the run, and a law describes their fall. By hand.
REPEATS, MOST_EPOCHS = 1.02, 10.0
#: Stretches of the curve on either side of a stair that tell it; part of an epoch that they are of, and of the steps so
#: far at least. Where stretches are long for an epoch, late in a run or of few rows, one on either side tells a stair
#: once half of the epoch after it was seen, and they are of a whole epoch. By hand.
FEWEST, WINDOW, LEAST_WINDOW, HALF = 2, 0.5, 0.2, 0.5
#: How a loss falls beside its stairs: mean and sd of its logarithm over that of the step; and how far a stretch is off
#: that, relative. By hand.
SLOPE, STRETCH_ERROR = (-0.1, 0.2), 0.003
#: Power of the walk of an epoch that the stair after it goes with: half of what one step on each example would give,
#: for what was learned is also forgotten. How much larger the second stair is than the first, before which all was
#: new. Error of a stair to come, relative: of the first, and its root of each that follows. Error of the
#: way within the rest of an epoch, as a part of a stair: seen again, data may let a loss fall as by the law, stay or
#: rise. By hand, on small runs of three kinds (n-gram models, noisy labels, regressions), where the second is 1.5 times
#: the first and later ones .8 to .9 of the one before; so it is on three others (clicks, ratings, fine-tuning).
OF_WALK, SECOND, STAIR_ERROR, WITHIN = 0.5, 1.5, 0.35, 0.25
#: What the first stair may be before it was seen [log loss], and how likely each is: fine-tuning of few weights shows
#: none, that of all weights a fifth to a third. By hand.
FIRST, LIKELY = np.array([0.0, -0.1, -0.25, -0.5]), np.array([0.6, 0.2, 0.12, 0.08])
#: Error of a stair at least [log loss]: one that was not seen yet may come later. By hand.
LEAST_ERROR = 0.03


@final
class Stairs(NamedTuple):
    """The stairs of a run.

    Attributes:
        steps: last step of each epoch before the last, shape (m,). heights: natural log of the loss after one over that
            before it, shape (m,); those that were not seen as they are expected. sds: of them. seen: how many were.
        now: newest step of the curve. within: error of the way through one epoch [log loss].
    """

    steps: Floats
    heights: Floats
    sds: Floats
    seen: int
    now: float = 0.0
    within: float = 0.0

    def levels(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return mean and sd of the natural log of the level at `steps`, shape (n,), over the newest, each (n,)."""
        at = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        passed = at[:, None] > self.steps[None, :]
        known = np.arange(len(self.steps)) < self.seen
        mean = passed @ self.heights - self.heights[known].sum()
        if not self.seen:
            return mean, np.zeros(len(at))
        share = np.clip((at - self.now) / self.steps[0], 0.0, 1.0)
        # a model that remembers more than expected does so at each: their errors add up
        return mean, np.hypot((passed & ~known) @ self.sds, self.within * np.sqrt(share))

    def raised(self, smooth: list[Mixture], steps: ArrayLike, wide: float) -> list[Mixture]:
        """Return the loss at `steps`, shape (n,), of which `smooth` is what it were at the newest level.

        Args:
            wide: what widths are multiplied by later, which is not for those of the stairs.
        """
        if not self.seen:
            passed = (np.atleast_1d(np.asarray(steps, dtype=np.float64))[:, None] > self.steps[None, :]).sum(axis=1)
            return [self._of_any(m, int(count), wide) if count else m for m, count in zip(smooth, passed, strict=True)]
        mean, sd = self.levels(steps)
        factor = np.exp(mean)
        return [
            Mixture(m.means * f, np.hypot(m.sds, m.means * s / wide) * f, m.weights)
            for m, f, s in zip(smooth, factor.tolist(), sd.tolist(), strict=True)
        ]

    def _of_any(self, smooth: Mixture, count: int, wide: float) -> Mixture:
        """The loss behind so many stairs of which none was seen; the middle is near that of a model without any."""
        factors = 1.0 + np.expm1(FIRST * (1.0 + SECOND * (count - 1))) / wide
        points, weights = np.multiply.outer(factors, smooth.means), np.multiply.outer(LIKELY, smooth.weights)
        return Mixture(points.ravel(), np.multiply.outer(factors, smooth.sds).ravel(), weights.ravel())

    @property
    def notes(self) -> list[str]:
        """What that means for a forecast, a sentence; none where the data are seen once."""
        if len(self.steps) and not self.seen:
            return [
                f"From step {int(self.steps[0]) + 1:,} on its data are seen again, and what a model remembers of them "
                "shows there: the interval holds models that remember nothing and those that remember much."
            ]
        return [self._text] if self.seen else []

    @property
    def _text(self) -> str:
        change, left = math.expm1(float(self.heights[self.seen - 1])), len(self.steps) - self.seen
        told = f"Where epoch {self.seen + 1} began, with data seen before, the loss changed by {100 * change:+.0f} %"
        if not left:
            return f"{told}; no epoch begins after it."
        return f"{told}; {left} more such {'stair is' if left == 1 else 'stairs are'} in what is expected."


#: Those of a run whose data are never seen again, as far as anybody knows. By definition.
NO_STAIRS = Stairs(np.zeros(0), np.zeros(0), np.zeros(0), 0)


def edges_of(run: Run, law: CurveLaw | None) -> Floats:
    """Return the last step of each epoch but the last that a run is planned to have, shape (m,).

    None where they are unknown, too many to be told apart, or a law of smaller runs knows what comes of them.
    """
    length, total = run.steps_per_epoch, run.total_steps
    if law is not None or length is None or total is None or not REPEATS * length <= total <= MOST_EPOCHS * length:
        return np.zeros(0)
    return length * np.arange(1.0, math.ceil(total / length - (REPEATS - 1.0)))


def why_at_first(edges: Floats, end_steps: Sequence[int]) -> str:
    """Return why nothing is forecast while the first stair is being seen, in words; "" before and after it.

    Args:
        edges: as `edges_of` gives them. end_steps: last step of each stretch of the curve so far.
    """
    if not len(edges) or not 0 < sum(end > edges[0] for end in end_steps[-2 * FEWEST :]) <= FEWEST:
        return ""
    return (
        f"since step {int(edges[0]) + 1:,} its data are seen again, and what a model remembers of them shows just now"
    )


def stairs_of(
    edges: Floats, schedule: AbstractSchedule, ends: Floats, means: Floats, losses: Floats, noise: Floats
) -> tuple[Stairs, Flags]:
    """Return the stairs of a curve, and which of its stretches tell of one level alone, that of the last seen included.

    Args:
        edges: as `edges_of` gives them, shape (m,). schedule: of its learning rates.
        ends, means, losses: newest step, mean step and mean loss of each stretch, shape (n,). noise: its relative sd.
    """
    if not len(edges) or not len(ends):
        return NO_STAIRS, np.ones(len(ends), dtype=np.bool_)
    # rows of a stretch are spread evenly: between two sparse ones nothing was seen
    begins = np.maximum(np.concatenate([[0.0], ends[:-1]]), 2.0 * means - ends - 1.0)
    pure: Flags = np.logical_not(((begins[:, None] < edges) & (edges < ends[:, None])).any(axis=1))
    told: list[tuple[float, float]] = []
    for edge in edges.tolist():
        wide = min(max(WINDOW * edges[0], LEAST_WINDOW * edge), edges[0])
        found = _height(edge, pure & (begins >= edge - wide) & (ends <= edge + wide), means, losses, noise)
        if found is None and ends[-1] >= edge + HALF * edges[0]:
            near = pure & (begins >= edge - edges[0]) & (ends <= edge + edges[0])
            found = _height(edge, near, means, losses, noise, 1)
        if found is None:
            break
        told.append(found)
    seen, left = len(told), len(edges) - len(told)
    pure[ends > (edges[seen] if left else math.inf)] = False
    if not told:
        none = np.zeros(len(edges))
        return Stairs(edges, none, none, 0), pure
    passes = np.diff(schedule.at(edges)[0], prepend=0.0)
    newest, count = min(told[-1][0], 0.0), np.arange(1.0, left + 1.0)
    grown = SECOND if seen == 1 else 1.0
    to_come = grown * newest * (passes[seen:] / max(passes[seen - 1], 1e-300)) ** OF_WALK
    errors = np.hypot(to_come * STAIR_ERROR * np.sqrt(count), max(told[-1][1], LEAST_ERROR))
    heights, sds = (
        np.concatenate([part, more]) for part, more in zip(np.array(told).T, (to_come, errors), strict=True)
    )
    return Stairs(edges, heights, sds, seen, float(ends[-1]), WITHIN * abs(newest)), pure


def _height(
    edge: float, near: Flags, means: Floats, losses: Floats, noise: Floats, fewest: int = FEWEST
) -> tuple[float, float] | None:
    """Height of one stair and its error, by a straight line with a step in it; None where too little is there."""
    after = means[near] > edge
    if min(after.sum(), (~after).sum()) < fewest:
        return None
    columns = np.stack([np.ones(len(after)), np.log(means[near] / edge), after.astype(np.float64)])
    weights = 1.0 / (noise[near] ** 2 + STRETCH_ERROR**2)
    known = np.diag([0.0, SLOPE[1] ** -2, 0.0])
    precision = (columns * weights) @ columns.T + known
    covariance = np.linalg.inv(precision)
    fit = covariance @ ((columns * weights) @ np.log(losses[near]) + known @ np.array([0.0, SLOPE[0], 0.0]))
    return float(fit[2]), math.sqrt(float(covariance[2, 2]))
