"""Which run to train next, so that what is foretold of a target gets surest for its compute.

What is not known of the target and of a run that might be trained is one normal: what each law's parameters leave open,
and how far the laws are apart, both weighed. A run is a measurement of its own loss with the scatter s of runs, so

    var(target) after = var(target) - cov(target, run)^2 / (var(run) + s^2)

and the part of the interval that grows with the distance is told again with the run among the runs. Nothing is assumed
of the loss that will come.

Source: expected reduction of variance, Cohn (1996), Neural Networks 9; of ladders, Li et al. (2026), arXiv 2604.22753.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes
from scalewatch.fitting.outcomes.candidates import SMALL_STEP, Candidate, nearest
from scalewatch.fitting.outcomes.contest import Contest
from scalewatch.fitting.outcomes.search import Found
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN

__all__ = ["NextRun", "next_runs"]

#: Sizes and token counts that are tried, between the least of the runs and the target. By hand.
SIZES, TOKENS = 12, 12


@final
@dataclass(frozen=True, slots=True)
class NextRun:
    """A run that might be trained.

    Attributes:
        parameters, tokens: of it, count, in the columns' unit. flops: 6 N D.
        sd: of ln(loss) of the target after it, 1 being what it is before.
    """

    parameters: float
    tokens: float
    flops: float
    sd: float


def next_runs(
    contest: Contest, runs: Outcomes, names: tuple[str, str], target: Mapping[str, float], budget: float
) -> tuple[NextRun, ...]:
    """Return the runs of which none is cheaper and makes the target surer, cheapest first.

    Args:
        contest: of `runs`. runs: so far. names: of their columns of size and tokens.
        target: column -> value. budget: most compute of the run [FLOP].

    Raises:
        FitError: if no run fits the budget.
    """
    size, tokens = names
    apart = len(contest.axes.axes) > 1
    tried = _tried(runs.columns[size], runs.columns[tokens], target[size], target[tokens], budget, apart=apart)
    grid = {name: np.concatenate([[value], np.full(len(tried), value)]) for name, value in target.items()}
    grid |= {
        size: np.concatenate([[target[size]], tried[:, 0]]),
        tokens: np.concatenate([[target[tokens]], tried[:, 1]]),
    }
    laws = [(score.weight, score.candidate) for score in contest.scores if score.candidate and score.weight]
    weight = np.array([w for w, _ in laws]) / sum(w for w, _ in laws)
    told = [_joint(candidate, grid) for _, candidate in laws]
    said = np.array([one[0] for one in told])
    off = said - weight @ said
    expected = contest.calibration
    joint = expected.constants * np.tensordot(weight, np.array([one[1] for one in told]), axes=1)
    joint += expected.apart * (off * weight[:, None]).T @ off
    joint *= contest.k
    scatter = contest.k * float(weight @ np.array([candidate.scatter**2 for _, candidate in laws]))
    variance = joint[0, 0] - joint[0, 1:] ** 2 / (np.diag(joint)[1:] + scatter)
    share = expected.share * float(np.sqrt(contest.k_reach * (1 + expected.few / contest.runs)))
    far = [_reach(laws, weight, grid, None), *(_reach(laws, weight, grid, i) for i in range(1, len(tried) + 1))]
    before = joint[0, 0] + scatter + (share * far[0]) ** 2
    after = np.maximum(variance, 0.0) + scatter + (share * np.array(far[1:])) ** 2
    found = [
        NextRun(float(n), float(d), float(FLOPS_PER_PARAMETER_TOKEN * n * d), float(sd))
        for (n, d), sd in zip(tried, np.sqrt(after / before), strict=True)
    ]
    return _front(found)


def _tried(sizes: Floats, tokens: Floats, size: float, data: float, budget: float, *, apart: bool) -> Floats:
    n = np.geomspace(float(sizes.min()), max(size, float(sizes.max())), SIZES)
    d = np.geomspace(float(tokens.min()), max(data, float(tokens.max())), TOKENS)
    # where size and tokens rise together, or one stays, only runs on that line can be told of
    grid = np.array([(a, b) for a in n for b in d] if apart else list(zip(n.tolist(), d.tolist(), strict=True)))
    flops = FLOPS_PER_PARAMETER_TOKEN * grid[:, 0] * grid[:, 1]
    # the target itself is the surest run of all, and what the ladder is to save
    kept: Floats = grid[(flops <= budget) & (flops < FLOPS_PER_PARAMETER_TOKEN * size * data * 0.999)]
    if not len(kept):
        least = FLOPS_PER_PARAMETER_TOKEN * n[0] * d[0]
        raise FitError(f"No run fits the budget of {budget:.3g} FLOP: the smallest of the ladder costs {least:.3g}.")
    return kept


def _joint(candidate: Candidate, columns: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Return what a law says of points, (m,), and the covariance of what it leaves open, (m, m)."""
    part = _part(candidate)
    points = part.axes.points(columns)
    middle = part.target(points)
    moved = (part.target(points, part.theta[None, :] + SMALL_STEP * part.factor.T) - middle) / SMALL_STEP
    left = candidate.left.get(None)
    if left is None:
        return middle, moved.T @ moved
    return middle + left.told(points)[0], moved.T @ moved + left.joint(points)


def _part(candidate: Candidate) -> Found:
    part = candidate.parts.get(None)
    if part is None:
        raise FitError("The next run is chosen on a table without labels: take the rows of one with --where.")
    return part


def _reach(
    laws: Sequence[tuple[float, Candidate]], weight: Floats, grid: Mapping[str, Floats], added: int | None
) -> float:
    """Return how far the target lies from the nearest place inside the runs, with one more among them."""
    far = []
    for _, candidate in laws:
        part = _part(candidate)
        points = part.axes.points({name: values[:1] for name, values in grid.items()})
        axes, most = part.axes, part.most_compute
        if added is not None:
            new = axes.points({name: values[added : added + 1] for name, values in grid.items()})
            axes = _wider(axes, {key: float(value[0]) for key, value in new.items()})
            if math.isfinite(most):
                most = max(most, float(new["size"][0] + new["tokens"][0]))
        far.append(abs(float((part.target(points) - part.target(nearest(axes, points, most)))[0])))
    return float(weight @ np.array(far))


def _wider(axes: Axes, run: Mapping[str, float]) -> Axes:
    wider = tuple(
        replace(axis, least=min(axis.least, run[axis.key]), most=max(axis.most, run[axis.key])) for axis in axes.axes
    )
    return replace(axes, axes=wider)


def _front(found: Sequence[NextRun]) -> tuple[NextRun, ...]:
    kept: list[NextRun] = []
    for run in sorted(found, key=lambda run: (run.flops, run.sd)):
        if not kept or run.sd < kept[-1].sd - 1e-3:
            kept.append(run)
    return tuple(kept)
