"""What a run that has ended says of its siblings in a sweep: the ratio of the losses stays as it is.

    ln y(end) = ln y(now) + ln leader(end) - ln leader(now) + sd sqrt(ln(end / now)) t

The log ratio of two runs of one model, data, length and shape of schedule wanders, and over equal ratios of steps it
wanders equally far: a random walk in the logarithm of progress. Its scale is learnt from how far the ratio has wandered
so far, with a prior from public sweeps, so that a law which did not hold on the curve so far counts for little.

Why only one shape of schedule: where one run has decayed and the other not, the ratio tells where they are on their
plans (error at a fifth of the run, mean over public sweeps: 4.4 % there against 3.2 % of the run's own forecast; with
one shape 3.4 % against 6.3 %).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats

__all__ = ["SiblingCurve", "SiblingForecast", "sibling_forecast"]

#: Points at which schedules are compared, and how far apart of the peak they may be to be of one shape. By hand.
SHAPE_POINTS, SHAPE_DIFFERS = 200, 0.05
#: Part of the run before which ratios are not compared, the ratio of progress from one comparison to the next, and the
#: part of its progress that each mean spans. By hand.
FIRST, STEP, SPAN = 0.05, 1.25, 0.2
#: Part of the progress over which the present loss is a mean. By hand.
NOW_SPAN = 0.1
#: Prior of the walk: sd of the log ratio over a factor e of progress, and rows of evidence that it counts for. The sd
#: is the likeliest over the pairs of one shape in three public sources (cs336, lr_scheduling, minigpt_muon_adamw); with
#: one of them left out in turn it is .008, .008 and .011 (tests/benchmarks/sweep_stopping.py). The rows are by hand.
WALK_SD, WALK_ROWS = 0.01, 3.0
#: What a comparison counts for: neighbouring means share the noise of one. By hand.
ROW_WEIGHT = 0.5
#: Least sd of a log ratio at the end: seeds alone differ by this. By hand.
LEAST_SD = 0.002
#: The final loss is a mean over this last part of a run. By hand, as everywhere (forecast/forecaster.py).
FINAL_SHARE = 0.02
#: A loss below this is none [nats/token]. By hand.
LEAST_LOSS = 1e-9
#: sd of a second difference over that of one row (1, -2, 1), and of a Gaussian over its median absolute. By definition.
_SECOND_DIFFERENCE, _MEDIAN_TO_SD = math.sqrt(6.0), 1.4826


@final
@dataclass(frozen=True, slots=True, eq=False)
class SiblingCurve:
    """A run of a sweep as its siblings see it.

    Attributes:
        progress: part of the planned steps done at each row, shape (n,), rising, in (0, 1].
        losses: shape (n,), finite and above 0.
        shape: planned learning rate over its peak at 200 equal parts of the run; None if it is unknown.
    """

    progress: Floats
    losses: Floats
    shape: Floats | None

    @classmethod
    def of(
        cls, steps: ArrayLike, losses: ArrayLike, total_steps: int, learning_rates: ArrayLike | None = None
    ) -> SiblingCurve:
        """Return the curve of a run.

        Args:
            steps: shape (n,), in the order of the log; where one comes back, what was after it is forgotten.
            losses: shape (n,) [nats/token]; rows that are not finite or not above 0 are left out.
            total_steps: planned. learning_rates: planned, of steps 1 to `total_steps`; None if unknown.
        """
        at, loss = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
        later = np.minimum.accumulate(at[::-1])[::-1]
        rewound = np.append(at[:-1] >= later[1:], False) if len(at) else np.zeros(0, dtype=bool)
        keep = ~rewound & np.isfinite(loss) & (loss > LEAST_LOSS) & (at > 0)
        shape = None
        if learning_rates is not None:
            rates = np.asarray(learning_rates, dtype=np.float64)
            if len(rates) and rates.max() > 0:
                parts = np.arange(1, SHAPE_POINTS + 1) / SHAPE_POINTS
                shape = np.interp(parts, np.arange(1, len(rates) + 1) / len(rates), rates / rates.max())
        return cls(np.minimum(at[keep] / total_steps, 1.0), loss[keep], shape)

    @property
    def part(self) -> float:
        """Part of the planned steps that it has done; 0 before its first row."""
        return float(self.progress[-1]) if len(self.progress) else 0.0

    @property
    def row_noise(self) -> float:
        """Relative sd of one row about the curve, from the newer half of the rows; 1 % where there are too few."""
        logs = np.log(self.losses[len(self.losses) // 2 :])
        if len(logs) < 4:
            return WALK_SD
        away = np.abs(logs[2:] - 2.0 * logs[1:-1] + logs[:-2])
        return float(np.median(away)) * _MEDIAN_TO_SD / _SECOND_DIFFERENCE

    def log_means(self, parts: Floats, span: float) -> Floats:
        """Return the log of the mean loss over the last `span` of the progress up to each part, shape (n,)."""
        ends = np.maximum(np.searchsorted(self.progress, parts * (1.0 + 1e-9), side="right"), 1)
        starts = np.minimum(np.searchsorted(self.progress, parts * (1.0 - span), side="right"), ends - 1)
        sums = np.concatenate([[0.0], np.cumsum(self.losses)])
        means: Floats = np.log((sums[ends] - sums[starts]) / (ends - starts))
        return means

    def like(self, other: SiblingCurve) -> bool:
        """Whether both are planned on schedules of one shape, or on none that is known."""
        if self.shape is None or other.shape is None:
            return self.shape is other.shape
        return bool(np.abs(self.shape - other.shape).max() <= SHAPE_DIFFERS)


@final
@dataclass(frozen=True, slots=True)
class SiblingForecast:
    """Where a run ends by a sibling: Student's t for the log of its final loss.

    Attributes:
        log_loss: middle, ln(nats/token). log_sd: scale. freedom: degrees of freedom.
    """

    log_loss: float
    log_sd: float
    freedom: float

    def log_quantiles(self, levels: ArrayLike) -> Floats:
        """Return the log of the final loss at `levels`, shape (n,), each in (0, 1)."""
        from scipy.special import stdtrit

        scores: Floats = np.asarray(stdtrit(self.freedom, np.asarray(levels, dtype=np.float64)), dtype=np.float64)
        return self.log_loss + self.log_sd * scores


def sibling_forecast(run: SiblingCurve, leader: SiblingCurve, leader_end: float) -> SiblingForecast | None:
    """Return where `run` ends by a sibling that has ended; None where they cannot be compared.

    Args:
        run: still going, or paused. leader: whole. leader_end: its final loss [nats/token], above 0.

    >>> steps = np.arange(1, 101)
    >>> leader = SiblingCurve.of(steps, 4.0 * steps**-0.1, 100)
    >>> run = SiblingCurve.of(steps[:30], 4.4 * steps[:30]**-0.1, 100)
    >>> round(math.exp(sibling_forecast(run, leader, 4.0 * 100**-0.1).log_loss), 3) == round(4.4 * 100**-0.1, 3)
    True
    """
    now = run.part
    comparable = len(run.losses) > 1 and len(leader.losses) > 1 and 0.0 < leader_end < math.inf
    if not comparable or now <= FIRST or leader.progress[0] > now or not run.like(leader):
        return None
    count = math.floor(math.log(now / FIRST) / math.log(STEP))
    parts: Floats = now * STEP ** np.arange(-count, 1.0)
    both = parts >= max(run.progress[0], leader.progress[0])
    ratio = run.log_means(parts[both], SPAN) - leader.log_means(parts[both], SPAN)
    wandered = np.diff(ratio) ** 2 / math.log(STEP)
    freedom = WALK_ROWS + ROW_WEIGHT * len(wandered)
    variance = (WALK_ROWS * WALK_SD**2 + ROW_WEIGHT * float(wandered.sum())) / freedom
    last_rows = max(FINAL_SHARE * len(run.losses) / now, 1.0)
    noise = run.row_noise / math.sqrt(last_rows)
    here = np.array([now])
    ahead = float((run.log_means(here, NOW_SPAN) - leader.log_means(here, NOW_SPAN))[0])
    sd = math.sqrt(variance * max(-math.log(now), 0.0) + LEAST_SD**2 + noise**2)
    return SiblingForecast(math.log(leader_end) + ahead, sd, freedom)
