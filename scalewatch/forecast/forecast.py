"""What is said about the end of a run: a number, its interval, and the way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError
from scalewatch.forecast.epochs import NO_STAIRS, Stairs
from scalewatch.forecast.law_residual import LawResidual
from scalewatch.forecast.mixture import LEAST_WEIGHT, Mixture, WeightedPoints
from scalewatch.forecast.posterior import LawPosterior
from scalewatch.forecast.schedule import AbstractSchedule, Future
from scalewatch.shown import card_of
from scalewatch.text import percent

__all__ = ["Branch", "Forecast", "LawResidual"]

Floats = NDArray[np.float64]

#: Points at which curves are drawn. By hand.
CURVE_POINTS = 512
#: Weight of a law below which it is not named. By hand.
LEAST_TOLD = 0.01
#: Points at which a curve is computed; between more of them it is drawn straight. By hand.
EXACT_POINTS = 160
#: Levels of an interval, and those of the mixture that hold as much: half of the runs of the average public source end
#: nearer to the median than the mixture says, for most runs are easier than the few it is as wide for. Chosen on the
#: runs of tests/benchmarks/forecast.py.
CALIBRATION = ((0.0, 0.5, 0.8, 1.0), (0.0, 0.36, 0.8, 1.0))


@final
class Branch(NamedTuple):
    """What one law says in one future.

    Attributes:
        law: name of the law. weight: how much is given to it in this future; all weights sum to 1.
        future: of the schedule. posterior: what the curve so far leaves of the law.
        spread: how wide its intervals are over the posterior.
    """

    law: str
    weight: float
    future: Future
    posterior: LawPosterior
    spread: float


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
        surprise: how much wider its intervals are than usual, at least 1, for what came was not what had been forecast.
        notes: what had to be assumed or lies outside the law's range, a sentence each.
    """

    step: int
    total_steps: int
    final_loss: float
    law_gap: LawResidual | None
    schedule_known: bool
    surprise: float
    notes: tuple[str, ...]
    _branches: tuple[Branch, ...]
    _schedule: AbstractSchedule
    _end_noise: float
    _stairs: Stairs = NO_STAIRS
    #: The end once it was asked for: a screen asks for several intervals of it.
    _at_end: list[WeightedPoints] = field(default_factory=list)

    _repr_html_ = card_of

    @property
    def weights(self) -> dict[str, float]:
        """How much each of the competing laws counts, by its name, the most first; sums to 1."""
        found: dict[str, float] = {}
        for branch in self._branches:
            found[branch.law] = found.get(branch.law, 0.0) + branch.weight
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def laws_text(self) -> str:
        """The competing laws and their weights, the most first, in a line; those below one per cent are left out."""
        return "; ".join(f"{name} ({percent(weight)})" for name, weight in self.weights.items() if weight >= LEAST_TOLD)

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) of the final loss [nats/token] that hold it with probability `level`.

        Raises:
            ConfigError: if `level` is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"`level` must lie between 0 and 1 (got {level!r}), e.g. 0.8 for 80 %.")
        low, high = self.quantiles([0.5 - level / 2, 0.5 + level / 2]).tolist()
        return low, high

    def curve(self, steps: ArrayLike | None = None, level: float = 0.8) -> tuple[Floats, Floats, Floats]:
        """Return (mid, low, high) of the loss at `steps`, each of shape (n,) [nats/token].

        Without `steps`, at 512 points from the first settled step to the planned end.
        """
        wanted = self.grid() if steps is None else np.atleast_1d(np.asarray(steps, dtype=np.float64))
        if len(wanted) > EXACT_POINTS:
            few = np.unique(np.quantile(wanted, np.linspace(0.0, 1.0, EXACT_POINTS)))
            low, mid, high = (np.interp(wanted, few, part) for part in self._bands_at(few, level))
        else:
            low, mid, high = self._bands_at(wanted, level)
        return mid, low, high

    def _bands_at(self, wanted: Floats, level: float) -> tuple[Floats, Floats, Floats]:
        rows = self._rows_at(wanted)
        bands = [self._band([row[n] for row in rows], level) for n in range(len(wanted))]
        low, mid, high = np.array(bands).reshape(-1, 3).T
        return low, mid, high

    def _rows_at(self, wanted: Floats) -> list[list[Mixture]]:
        """The loss at each of some steps, as each branch has it."""
        walked, annealed = self._schedule.at(np.clip(wanted, 1.0, self.total_steps))
        walked, found = np.maximum(walked, 1e-9), []
        for branch in self._branches:
            smooth, wide = branch.posterior.at(walked / branch.future.end_lr_sum, annealed), self._wide(branch)
            found.append(self._stairs.raised(smooth, wanted, wide) if len(self._stairs.steps) else smooth)
        return found

    def quantiles_at(self, step: float, levels: ArrayLike) -> Floats:
        """Return the quantiles of the loss at `step` [nats/token] at `levels`, shape (n,), each in (0, 1)."""
        end = self._points([row[0] for row in self._rows_at(np.array([step]))])
        return np.maximum(end.quantiles(_calibrated(np.asarray(levels, dtype=np.float64))), 0.0)

    def grid(self) -> Floats:
        """Return the steps of `curve`, shape (512,)."""
        start = min(max(self._schedule.settled_step, 0.01 * self.total_steps, 1.0), self.total_steps - 1.0)
        return np.linspace(max(start, 1.0), self.total_steps, CURVE_POINTS)

    def probability_below(self, loss: float) -> float:
        """Return the probability that the final loss is below `loss` [nats/token]."""
        levels = np.linspace(0.005, 0.995, 199)
        values = self.quantiles(levels)
        return float(np.interp(loss, values, levels, left=0.0, right=1.0))

    def quantiles(self, levels: ArrayLike) -> Floats:
        """Return the quantiles of the final loss [nats/token] at `levels`, shape (n,), each in (0, 1)."""
        if not self._at_end:
            self._at_end.append(self._points(self._end()))
        # laws are of losses above zero, and straight lines in (P, A) know no such bound
        return np.maximum(self._at_end[0].quantiles(_calibrated(np.asarray(levels, dtype=np.float64))), 0.0)

    def combined(self, of: Callable[[Future, LawPosterior], Mixture], *, measured: bool = False) -> Mixture:
        """Return what `of` makes of the posterior in each future, as one mixture as wide as the intervals are.

        Args:
            of: a quantity of one future. measured: add the noise with which the final loss is measured.
        """
        parts = [of(branch.future, branch.posterior) for branch in self._branches]
        return self._merged(self._noisy(parts) if measured else [self._at_last(part) for part in parts])

    @property
    def likeliest(self) -> tuple[Future, LawPosterior]:
        """The likeliest law in the likeliest future, and what is known of the curve in it."""
        best = max(self._branches, key=lambda branch: branch.weight)
        return best.future, best.posterior

    def _end(self) -> list[Mixture]:
        return self._noisy([branch.posterior.at_end() for branch in self._branches])

    def _noisy(self, ends: list[Mixture]) -> list[Mixture]:
        # the outcome is a mean of few rows and no forecast knows their noise; undo the spread, which is not for it
        noise = [self._end_noise / self._wide(branch) for branch in self._branches]
        ends = [self._at_last(end, self._wide(branch)) for end, branch in zip(ends, self._branches, strict=True)]
        return [Mixture(e.means, np.hypot(e.sds, n), e.weights) for e, n in zip(ends, noise, strict=True)]

    def _at_last(self, end: Mixture, wide: float = np.inf) -> Mixture:
        """What is said of the end, at the level of the last epoch; the error of that is told apart from the spread."""
        return self._stairs.raised([end], [self.total_steps], wide)[0] if len(self._stairs.steps) else end

    def _merged(self, ends: list[Mixture]) -> Mixture:
        """One mixture of what each branch says; the spread is that of a posterior, so each branch has its own."""
        parts = zip(self._branches, ends, strict=True)
        return _merge([(branch.weight, end.drawn_in(self._wide(branch))) for branch, end in parts])

    def _points(self, ends: list[Mixture]) -> WeightedPoints:
        """The same for its quantiles: what they leave out need not be drawn in."""
        parts = zip(self._branches, ends, strict=True)
        heaviest = [branch.weight * float(end.weights.max()) for branch, end in parts]
        kept = [n for n, weight in enumerate(heaviest) if weight > LEAST_WEIGHT * max(heaviest)]
        drawn = [(self._branches[n].weight, ends[n].drawn_in(self._wide(self._branches[n]))) for n in kept]
        return _merge(drawn).points()

    def _wide(self, branch: Branch) -> float:
        return branch.spread * self.surprise

    def _band(self, ends: list[Mixture], level: float) -> tuple[float, float, float]:
        tails = np.array([0.5 - level / 2, 0.5, 0.5 + level / 2])
        low, mid, high = np.maximum(self._points(ends).quantiles(_calibrated(tails)), 0.0).tolist()
        return low, mid, high


def _calibrated(levels: Floats) -> Floats:
    """The levels of the mixture that hold what `levels`, each in (0, 1), say (Kuleshov et al. 2018)."""
    tail = 2.0 * levels - 1.0
    found: Floats = 0.5 + 0.5 * np.sign(tail) * np.interp(np.abs(tail), *CALIBRATION)
    return found


def _merge(parts: list[tuple[float, Mixture]]) -> Mixture:
    if len(parts) == 1:
        return parts[0][1]
    return Mixture(
        means=np.concatenate([m.means for _, m in parts]),
        sds=np.concatenate([m.sds for _, m in parts]),
        weights=np.concatenate([p * m.weights for p, m in parts]),
    )
