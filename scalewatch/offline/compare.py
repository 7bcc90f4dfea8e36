"""Whether two runs have the same loss curve: paired by step, tested on means over blocks.

Two runs that see the same batches in the same order share their noise: the residuals of their losses correlate at
.999, and the difference of their log losses has a standard deviation of .0005 a row where each row alone has .014
(three GPT-100M runs of 33,908 steps). So the difference is what is tested, in log loss, which is relative to the
loss. Runs on other batches are compared by the same means; the interval is then as wide as their noise makes it.

Rows of a difference are not independent. The error of a block's mean is therefore taken from how much neighbouring
blocks differ from each other, where that is more than their rows say (batch means; Conway 1963), and widened where
blocks follow their neighbours. On pairs of equal runs of 40 to 2,000 rows with white, t(3) and AR(.6) noise the 95 %
interval held the truth in 94 to 100 % of cases; with AR(.9), which is longer than a block of 200 rows / 32, in 81 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import LogError
from scalewatch.observation import Observation

__all__ = [
    "TOLERANCE_PAIRED",
    "TOLERANCE_UNPAIRED",
    "Comparison",
    "ComparisonOutcome",
    "Difference",
    "Pairing",
    "Series",
    "compare_curves",
    "series",
]

#: Relative difference of loss that is none, for runs of the same batches: repeats of one speed run with the same
#: data order end 0.00 to 0.16 % apart (modded-nanogpt, 7 pairs), as sums are made in another order each time.
TOLERANCE_PAIRED = 0.003
#: The same for runs of other batches: seeds of one recipe end 0.04 to 0.34 % apart, and the difference is known to
#: 0.2 to 1.8 % (four recipes of 57M parameters, 12 pairs).
TOLERANCE_UNPAIRED = 0.01
#: Correlation of the residuals from which on two runs are taken to have seen the same batches.
SAME_BATCHES = 0.8
#: Blocks that the common stretch is cut into, and rows that a block needs.
BLOCKS, BLOCK_ROWS = 32, 4
#: Paired rows without which nothing is said.
FEWEST_ROWS = 12
#: Part of the common stretch, from its start, that is not judged: the loss falls so fast that one step is per cents.
SETTLED = 0.05
#: Blocks at the end whose mean is the answer: the last quarter.
LAST_BLOCKS = BLOCKS // 4
#: Coverage of the interval, and chance that any block of two equal runs is called different.
LEVEL, FALSE_ALARM = 0.95, 0.01
#: A median of deviations knows a scale as well as a standard deviation of this part of the values (Rousseeuw and
#: Croux 1993).
MEDIAN_EFFICIENCY = 0.37
#: Correlation of neighbouring blocks that is accounted for at most, what 32 blocks without any show by chance (one
#: standard error), and blocks without which it cannot be told.
MOST_RHO, DOUBT_RHO, FEWEST_BLOCKS = 0.6, 0.3, 12
#: Rows of one run that are held.
MOST_ROWS = 5_000_000


@final
class ComparisonOutcome(StrEnum):
    """What a comparison comes to."""

    SAME = "same"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@final
class Series(NamedTuple):
    """Rows of one run: steps (increasing), tokens (NaN where unknown) and losses [nats], each of shape (n,)."""

    steps: Floats
    tokens: Floats
    losses: Floats


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """How far a run's loss is from a reference's over the last quarter of what they share.

    Attributes:
        relative: loss of the run over that of the reference, less 1. low, high: its 95 % interval.
        nats: the same difference [nats]. tolerance: relative difference that was taken for none.
    """

    relative: float
    low: float
    high: float
    nats: float
    tolerance: float


@final
@dataclass(frozen=True, slots=True)
class Pairing:
    """Which rows of a run and of a reference were compared.

    Attributes:
        rows: rows compared. paired_by: `step`, `tokens`, or either `interpolated`.
        correlation: of the residuals. same_batches: whether it says that they share batches.
        first, last: steps of the run between which it was judged.
        nonfinite: rows of the run without a finite loss where the reference has one.
    """

    rows: int
    paired_by: str
    correlation: float
    same_batches: bool
    first: int
    last: int
    nonfinite: int


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against a reference.

    Attributes:
        outcome: at the end of the common stretch. difference: there. pairing: of what.
        since: step from which on the runs differ until the end; None if they do not.
        stretches: (first step, last step, relative difference) of what differed on the way and came back.
    """

    outcome: ComparisonOutcome
    difference: Difference
    pairing: Pairing
    since: int | None
    stretches: tuple[tuple[int, int, float], ...]

    @property
    def differs(self) -> bool:
        """Whether the curves are not the same: at the end, on the way, or because one is not finite."""
        return self.outcome is ComparisonOutcome.DIFFERENT or bool(self.stretches) or self.pairing.nonfinite > 0


def series(rows: Iterable[Observation]) -> Series:
    """Return the rows of a run that count: where it went back, what was written later.

    Raises:
        LogError: if there are more than 5 million.
    """
    by_step: dict[int, tuple[float, float]] = {}
    newest = -math.inf
    for row in rows:
        if row.step < newest:
            for step in [s for s in by_step if s > row.step]:
                del by_step[step]
        newest = row.step
        by_step[row.step] = (math.nan if row.tokens is None else row.tokens, row.loss)
        if len(by_step) > MOST_ROWS:
            raise LogError(f"A run to compare must have at most {MOST_ROWS:,} rows: write every tenth.")
    steps = np.array(sorted(by_step), dtype=np.float64)
    pairs = np.array([by_step[int(step)] for step in steps], dtype=np.float64).reshape(-1, 2)
    return Series(steps, pairs[:, 0], pairs[:, 1])


def compare_curves(run: Series, reference: Series, tolerance: float | None = None) -> Comparison:
    """Hold a run against a reference.

    Args:
        run, reference: as `series` gives them. tolerance: relative difference of loss that is none; None for .3 %
            where both saw the same batches, 1 % where they did not.

    Raises:
        LogError: if they share too few rows.
    """
    at, mine, theirs, how = _paired(run, reference)
    settled = at >= at[0] + SETTLED * (at[-1] - at[0]) if len(at) else np.zeros(0, dtype=bool)
    at, mine, theirs = at[settled], mine[settled], theirs[settled]
    reference_fine = np.isfinite(theirs) & (theirs > 0)
    fine = reference_fine & np.isfinite(mine) & (mine > 0)
    nonfinite = int(np.sum(reference_fine & ~fine))
    at, mine, theirs = at[fine], mine[fine], theirs[fine]
    if len(at) < FEWEST_ROWS:
        raise LogError(
            f"The runs share {len(at)} rows with a loss, and a comparison needs {FEWEST_ROWS}: they need steps (or "
            "tokens) in common, after the first twentieth."
        )
    difference = np.log(mine) - np.log(theirs)
    count = max(min(BLOCKS, len(at) // BLOCK_ROWS), 3)
    edges = np.linspace(0, len(at), count + 1).astype(int)
    means = np.add.reduceat(difference, edges[:-1]) / np.diff(edges)
    errors = _block_errors(difference, means, np.diff(edges))
    correlation = _correlation(np.log(mine), np.log(theirs), edges)
    same = how in ("step", "tokens") and correlation > SAME_BATCHES
    allowed = tolerance if tolerance is not None else TOLERANCE_PAIRED if same else TOLERANCE_UNPAIRED
    last = max(count * LAST_BLOCKS // BLOCKS, 1)
    middle = float(means[-last:].mean())
    reach = _quantile(LEVEL, count) * _wander(means) * float(np.sqrt(np.mean(errors[-last:] ** 2) / last))
    outcome = _outcome(middle - reach, middle + reach, math.log1p(allowed))
    since, stretches = _stretches(at, edges, means, errors, math.log1p(allowed), outcome)
    tail = slice(int(edges[-last - 1]), None)
    return Comparison(
        outcome=outcome,
        difference=Difference(
            relative=math.expm1(middle),
            low=math.expm1(middle - reach),
            high=math.expm1(middle + reach),
            nats=float(theirs[tail].mean()) * math.expm1(middle),
            tolerance=allowed,
        ),
        pairing=Pairing(len(at), how, correlation, same, int(at[0]), int(at[-1]), nonfinite),
        since=since,
        stretches=stretches,
    )


def _paired(run: Series, reference: Series) -> tuple[Floats, Floats, Floats, str]:
    """Steps of the run, its loss and the reference's there, and how they were paired."""
    if not len(run.steps) or not len(reference.steps):
        return np.zeros(0), np.zeros(0), np.zeros(0), "step"
    by_tokens = _other_batch_size(run, reference)
    mine_at, theirs_at = (run.tokens, reference.tokens) if by_tokens else (run.steps, reference.steps)
    name = "tokens" if by_tokens else "step"
    _, i, j = np.intersect1d(mine_at, theirs_at, return_indices=True)
    low, high = max(mine_at[0], theirs_at[0]), min(mine_at[-1], theirs_at[-1])
    fewer = min(int(np.sum((x >= low) & (x <= high))) for x in (mine_at, theirs_at))
    if len(i) >= FEWEST_ROWS and 2 * len(i) >= fewer:
        return run.steps[i], run.losses[i], reference.losses[j], name
    inside = (mine_at >= low) & (mine_at <= high)
    fine = np.isfinite(reference.losses)
    if not inside.any() or fine.sum() < 2:
        return np.zeros(0), np.zeros(0), np.zeros(0), name
    between = np.interp(mine_at[inside], theirs_at[fine], reference.losses[fine])
    return run.steps[inside], run.losses[inside], between, f"{name}, interpolated"


def _other_batch_size(run: Series, reference: Series) -> bool:
    """Whether equal steps are unequal numbers of tokens."""
    known = [np.isfinite(x.tokens).all() and (np.diff(x.tokens) > 0).all() for x in (run, reference)]
    if not all(known) or min(len(run.steps), len(reference.steps)) < 2:
        return False
    each = [float((x.tokens[-1] - x.tokens[0]) / (x.steps[-1] - x.steps[0])) for x in (run, reference)]
    return abs(each[0] / each[1] - 1.0) > 0.01


def _block_errors(difference: Floats, means: Floats, rows: NDArray[np.int64]) -> Floats:
    """Standard error of each block's mean, from its rows or from its neighbours, whichever is more."""
    # first differences, so that a curve that drifts or jumps once is not taken for noise
    row_sd = _robust_sd(np.diff(difference)) / math.sqrt(2.0)
    block_sd = _robust_sd(np.diff(means)) / math.sqrt(2.0)
    return np.maximum(row_sd / np.sqrt(rows), block_sd)


def _wander(means: Floats) -> float:
    """How much farther a mean of blocks is off than if the blocks were independent, at least 1.

    For blocks that follow an AR(1) of coefficient rho, differences over two blocks have 1 + rho times the variance
    of those over one; the variance of a mean is then (1 + rho) / (1 - rho)**2 times half of the latter.
    """
    if len(means) < FEWEST_BLOCKS:
        return 1.0
    one, two = _robust_sd(np.diff(means)), _robust_sd(means[2:] - means[:-2])
    rho = min(max((two / one) ** 2 - 1.0 - DOUBT_RHO, 0.0), MOST_RHO) if one > 0 else 0.0
    return math.sqrt(1.0 + rho) / (1.0 - rho)


def _robust_sd(values: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _correlation(mine: Floats, theirs: Floats, edges: NDArray[np.int64]) -> float:
    """Correlation of what is left of two curves when their fall is taken out."""
    residuals = []
    for values in (mine, theirs):
        bend = np.diff(values, n=2)  # straight pieces have none
        residuals.append(bend - np.median(bend))
    limits = [4 * _robust_sd(r) for r in residuals]  # one shared spike is no shared noise
    a, b = (np.clip(r, -limit, limit) for r, limit in zip(residuals, limits, strict=True))
    size = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / size if size > 0 else 1.0 if np.array_equal(mine, theirs) else 0.0


def _quantile(level: float, blocks: int) -> float:
    """Two-sided quantile of Student's t for an error that was taken from differences of blocks, by Hill (1970)."""
    z, dof = NormalDist().inv_cdf(0.5 + level / 2), max(MEDIAN_EFFICIENCY * (blocks - 1), 2.0)
    return z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)


def _outcome(low: float, high: float, tolerance: float) -> ComparisonOutcome:
    if low > tolerance or high < -tolerance:
        return ComparisonOutcome.DIFFERENT
    return ComparisonOutcome.SAME if -tolerance <= low and high <= tolerance else ComparisonOutcome.UNDECIDED


def _stretches(
    at: Floats, edges: NDArray[np.int64], means: Floats, errors: Floats, tolerance: float, outcome: ComparisonOutcome
) -> tuple[int | None, tuple[tuple[int, int, float], ...]]:
    """Since when the runs differ, and where they did and came back."""
    reach = _quantile(1.0 - FALSE_ALARM / len(means), len(means)) * errors
    sign = np.where(means - reach > tolerance, 1, np.where(means + reach < -tolerance, -1, 0))
    found: list[tuple[int, int]] = []
    for block, side in enumerate(sign.tolist()):
        if side and found and found[-1][1] == block - 1 and sign[block - 1] == side:
            found[-1] = (found[-1][0], block)
        elif side:
            found.append((block, block))
    since: int | None = None
    if outcome is ComparisonOutcome.DIFFERENT:
        # it reaches to the end, though one of its blocks alone may be too noisy to say so
        side = 1 if means[-1] > 0 else -1
        first = len(means)
        while first and side * means[first - 1] > tolerance:
            first -= 1
        since = int(at[edges[min(first, len(means) - 1)]])
        found = [(a, b) for a, b in found if b < first]
    came_back = [
        (int(at[edges[a]]), int(at[edges[b + 1] - 1]), math.expm1(float(means[a : b + 1].mean()))) for a, b in found
    ]
    return since, tuple(came_back)
