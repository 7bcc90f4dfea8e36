"""What is said about the end of a run: a number, its interval, and the way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError
from scalewatch.forecast.law_gap import LawGap
from scalewatch.forecast.posterior import LawPosterior, Mixture
from scalewatch.forecast.schedule import AbstractSchedule, Future

__all__ = ["Forecast", "LawGap"]

Floats = NDArray[np.float64]

#: Points at which curves are drawn.
CURVE_POINTS = 512


@final
@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """The forecast of a run's final loss, as made at `step`.

    Attributes:
        step: newest step it knows of; 0 for a prediction made before the run.
        total_steps: step that it is a forecast for.
        final_loss: median of the final training loss [nats/token].
        law_gap: how far the run is off its law; None without a law.
        schedule_known: whether the learning rates to come were known.
        notes: what had to be assumed or lies outside the law's range, a sentence each.
    """

    step: int
    total_steps: int
    final_loss: float
    law_gap: LawGap | None
    schedule_known: bool
    notes: tuple[str, ...]
    _branches: tuple[tuple[Future, LawPosterior], ...]
    _schedule: AbstractSchedule
    _spread: float
    _end_noise: float

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) of the final loss [nats/token] that hold it with probability `level`.

        Raises:
            ConfigError: if `level` is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"`level` must lie between 0 and 1 (got {level!r}), e.g. 0.8 for 80 %.")
        low, _, high = self._band(self._end(), level)
        return low, high

    def curve(self, steps: ArrayLike | None = None, level: float = 0.8) -> tuple[Floats, Floats, Floats]:
        """Return (mid, low, high) of the loss at `steps`, each of shape (n,) [nats/token].

        Without `steps`, at 512 points from the first settled step to the planned end.
        """
        wanted = self.grid() if steps is None else np.atleast_1d(np.asarray(steps, dtype=np.float64))
        walked, annealed = self._schedule.at(np.clip(wanted, 1.0, self.total_steps))
        rows = [
            posterior.at(np.maximum(walked, 1e-9) / future.end_walked, annealed) for future, posterior in self._branches
        ]
        bands = [self._band([row[n] for row in rows], level) for n in range(len(wanted))]
        low, mid, high = np.array(bands).reshape(-1, 3).T
        return mid, low, high

    def grid(self) -> Floats:
        """Return the steps of `curve`, shape (512,)."""
        start = min(max(self._schedule.settled_step, 0.01 * self.total_steps, 1.0), self.total_steps - 1.0)
        return np.linspace(max(start, 1.0), self.total_steps, CURVE_POINTS)

    def probability_below(self, loss: float) -> float:
        """Return the probability that the final loss is below `loss` [nats/token]."""
        levels = np.linspace(0.005, 0.995, 199)
        values = self._merged(self._end()).quantiles(levels)
        return float(np.interp(loss, values, levels, left=0.0, right=1.0))

    def quantiles(self, levels: ArrayLike) -> Floats:
        """Return the quantiles of the final loss [nats/token] at `levels`, shape (n,), each in (0, 1)."""
        return self._merged(self._end()).quantiles(np.asarray(levels, dtype=np.float64))

    def combined(self, of: Callable[[Future, LawPosterior], Mixture], *, measured: bool = False) -> Mixture:
        """Return what `of` makes of the posterior in each future, as one mixture as wide as the intervals are.

        Args:
            of: a quantity of one future. measured: add the noise with which the final loss is measured.
        """
        parts = [of(future, posterior) for future, posterior in self._branches]
        noise = self._end_noise / self._spread if measured else 0.0
        return self._merged([Mixture(part.means, np.hypot(part.sds, noise), part.weights) for part in parts])

    @property
    def likeliest(self) -> tuple[Future, LawPosterior]:
        """The likeliest future of the schedule, and what is known of the curve in it."""
        return max(self._branches, key=lambda branch: branch[0].probability)

    def _end(self) -> list[Mixture]:
        ends = [p.at(np.ones(1), f.end_annealed[None, :])[0] for f, p in self._branches]
        # the outcome is a mean of few rows and no forecast knows their noise; undo the spread, which is not for it
        return [Mixture(end.means, np.hypot(end.sds, self._end_noise / self._spread), end.weights) for end in ends]

    def _merged(self, ends: list[Mixture]) -> Mixture:
        """One mixture of a quantity in each future; the spread is that of a posterior, so each future has its own."""
        return _merge(
            [(f.probability, end.drawn_in(self._spread)) for (f, _), end in zip(self._branches, ends, strict=True)]
        )

    def _band(self, ends: list[Mixture], level: float) -> tuple[float, float, float]:
        tails = np.array([0.5 - level / 2, 0.5, 0.5 + level / 2])
        low, mid, high = self._merged(ends).quantiles(tails).tolist()
        return low, mid, high


def _merge(parts: list[tuple[float, Mixture]]) -> Mixture:
    if len(parts) == 1:
        return parts[0][1]
    return Mixture(
        means=np.concatenate([m.means for _, m in parts]),
        sds=np.concatenate([m.sds for _, m in parts]),
        weights=np.concatenate([p * m.weights for p, m in parts]),
    )
