"""Finds the parameters of a shape: most likely after the runs, and after what was expected of them.

Minimised is sum rho(r / s) + sum ((theta - middle) / sd)^2 / 2, with r = predicted - observed ln(loss), rho Huber's at
1.345 and s the scatter of the runs, which is found in rounds.

Source: Huber (1964), Annals of Mathematical Statistics 35.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes, Points
from scalewatch.fitting.outcomes.shape import Shape, Values
from scalewatch.fitting.robust import JacobianResidualModel, minimise

__all__ = ["Found", "find"]

#: Huber's threshold in standard deviations: 95 % efficient for normal residuals (Huber 1964).
HUBER_SDS = 1.345
#: Scatter of ln(loss) that is expected of runs [e-folds], and how many runs that is worth. By hand.
SCATTER, WORTH = 0.005, 2.0
#: Scatter below which none is believed [e-folds]: rounding of a table. By hand.
LEAST_SCATTER = 1e-4
#: Starts that are tried, those of them that are followed, and runs that starts are tried on. By hand.
STARTS, FOLLOWED, TRIED_ON = 14, 2, 240
#: Rounds in which the scatter is found again. By hand.
ROUNDS = 3
#: Steps of the first search, and of those that follow. By hand.
FIRST_STEPS, STEPS = 25, 60
#: Step of a derivative, in standard deviations of what is expected. By hand.
DERIVATIVE = 1e-5
#: Parameters lie within so many standard deviations of what is expected. By hand.
MOST_SDS = 8.0
#: Scale that keeps a row of expectation within Huber's square. By hand.
SMALL = 1e-6
#: What an impossible loss counts as, before its logarithm is taken. By hand.
LEAST_LOSS = 1e-12
#: Median of |r| of a normal deviate, in standard deviations. By definition.
NORMAL_MEDIAN = 0.6745


@final
@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A shape with its parameters found.

    Attributes:
        shape, axes: what was fitted, and to which. theta: its parameters in standard deviations of what was expected,
        shape (p,). scatter: sd of a residual. residuals: observed - predicted of what is fitted, shape (n,).
        factor: L with theta + L z, z normal, for what is left open, shape (p, p).
        free: how many parameters the runs settle, of the p.
        most_compute: size + tokens of the dearest run, on the axes.
    """

    shape: Shape
    axes: Axes
    theta: Floats
    scatter: float
    residuals: Floats
    factor: Floats
    free: float
    most_compute: float

    def target(self, points: Points, theta: Floats | None = None) -> Floats:
        """Return what the law says at points, (m,), or for sets of parameters (b, p): (b, m)."""
        form = _Form(self.shape, self.axes, points)
        return form.target(self.theta[None, :])[0] if theta is None else form.target(theta)

    @property
    def values(self) -> dict[str, float]:
        """Its parameters by name."""
        expected = self.shape.expected(self.axes)
        return {
            name: one.middle + one.sd * float(t) for (name, one), t in zip(expected.items(), self.theta, strict=True)
        }


@final
class _Form(JacobianResidualModel):
    """A shape at points, as a function of its parameters in standard deviations, with a row of expectation for each."""

    def __init__(self, shape: Shape, axes: Axes, points: Points) -> None:
        self.shape, self.axes, self.points = shape, axes, points
        expected = shape.expected(axes)
        self.names = tuple(expected)
        self.middle = np.array([one.middle for one in expected.values()])
        self.sd = np.array([one.sd for one in expected.values()])
        self.scatter = SCATTER

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """So many standard deviations either side."""
        return np.full(len(self.names), -MOST_SDS), np.full(len(self.names), MOST_SDS)

    def target(self, theta: Floats) -> Floats:
        """Return what is fitted, (b, p) -> (b, n)."""
        raw = self.middle + self.sd * theta
        values: Values = {name: raw[:, i : i + 1] for i, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            loss = self.shape.loss(values, self.points, self.axes)
            if self.axes.relative:
                return np.asarray(np.log(np.nan_to_num(np.maximum(loss, LEAST_LOSS), nan=1e12, posinf=1e12)))
            return np.asarray(np.nan_to_num(loss / self.axes.spread, nan=1e12, posinf=1e12, neginf=-1e12))

    def jacobian(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return rows of the runs in scatters, then rows of expectation, and their derivatives."""
        sets, free = theta.shape
        moved = theta[:, None, :] + DERIVATIVE * np.concatenate([np.zeros((1, free)), np.eye(free)])
        made = self.target(moved.reshape(-1, free)).reshape(sets, free + 1, -1)
        slopes = (made[:, 1:] - made[:, :1]) / DERIVATIVE
        here = np.concatenate([made[:, 0] / self.scatter, SMALL * theta], axis=1)
        own = np.broadcast_to(SMALL * np.eye(free), (sets, free, free))
        return here, np.concatenate([slopes.transpose(0, 2, 1) / self.scatter, own], axis=1)


def find(shape: Shape, axes: Axes, runs: Outcomes, near: Found | None = None) -> Found:
    """Return a shape with its parameters found.

    Args:
        shape: of the law. axes: of the table. runs: what is fitted.
        near: the same law of a table that holds these runs, where its search need not be made again.

    Raises:
        FitError: if nothing finite came out.
    """
    points, target = axes.points(runs.columns, runs.group), axes.target(runs.loss)
    form = _Form(shape, axes, points)
    free = len(form.names)
    starts = _starts(shape, axes, runs, near)
    theta, residuals = starts[0], target
    for round_ in range(ROUNDS):
        ends = _minimise(form, target, starts, STEPS)
        best = int(np.argmin(ends[1]))
        theta = ends[0][best]
        residuals = target - form.target(theta[None, :])[0]
        settled = free if round_ == 0 else _settled(form, theta)[1]
        form.scatter = _scatter(residuals, settled)
        starts = theta[None, :]
    if not np.all(np.isfinite(residuals)):
        raise FitError(f"The {shape.name} law gives no finite loss at these runs.")
    factor, settled = _settled(form, theta)
    dear = {"size", "tokens"} <= set(points)
    most = float(np.max(points["size"] + points["tokens"])) if dear else np.inf
    return Found(shape, axes, theta, form.scatter, residuals, factor, settled, most)


def _starts(shape: Shape, axes: Axes, runs: Outcomes, near: Found | None) -> Floats:
    few = runs
    if len(runs) > TRIED_ON:
        order = np.argsort(runs.loss, kind="stable")
        few = runs.take(order[np.linspace(0, len(runs) - 1, TRIED_ON).astype(int)])
    form, target = _Form(shape, axes, axes.points(few.columns, few.group)), axes.target(few.loss)
    # wide at first: far from the runs all residuals are large, and what is expected would be all that counts
    form.scatter = max(float(np.std(target)) * 0.1, SCATTER)
    free, rng = len(form.names), np.random.default_rng(0)
    if near is None:
        others, followed = rng.standard_normal((STARTS - 1, free)), FOLLOWED
    else:
        there = dict(zip(near.shape.expected(near.axes), near.theta.tolist(), strict=True))
        others, followed = np.array([[there.get(name, 0.0) for name in form.names]]), 1
    theta, reached = _minimise(form, target, np.concatenate([np.zeros((1, free)), others]), FIRST_STEPS)
    return np.asarray(theta[np.argsort(reached)[:followed]])


def _minimise(form: _Form, target: Floats, starts: Floats, steps: int) -> tuple[Floats, Floats]:
    free = starts.shape[1]
    observed = np.concatenate([target / form.scatter, np.zeros(free)])
    weights = np.concatenate([np.ones(len(target)), np.full(free, SMALL**-2)])
    ends = minimise(
        form,
        observed,
        starts,
        weights=np.broadcast_to(weights, (len(starts), len(weights))),
        delta=HUBER_SDS,
        tolerance=1e-7,
        most_steps=steps,
    )
    return ends.theta, np.nan_to_num(ends.objective, nan=np.inf)


def _scatter(residuals: Floats, free: float) -> float:
    """Return the sd of a residual: robust, for the parameters that were settled, and pulled to what is expected."""
    count = len(residuals)
    robust = float(np.median(np.abs(residuals))) / NORMAL_MEDIAN
    clipped = np.minimum(np.abs(residuals), HUBER_SDS * 2 * max(robust, LEAST_SCATTER))
    # of few runs the median is near zero where the law goes through them
    square = float(clipped @ clipped) if count >= 4 * free else float(residuals @ residuals)
    left = max(count - free, 0.0)
    return max(float(np.sqrt((square + WORTH * SCATTER**2) / (left + WORTH))), LEAST_SCATTER)


def _settled(form: _Form, theta: Floats) -> tuple[Floats, float]:
    """Return a factor of the covariance after the runs, and how many parameters they settle."""
    free = len(theta)
    _, slopes = form.jacobian(theta[None, :])
    rows = slopes[0][:-free]
    information = rows.T @ rows
    values, vectors = np.linalg.eigh(np.nan_to_num(information) + np.eye(free))
    factor = vectors / np.sqrt(np.maximum(values, 1.0))
    return np.asarray(factor), float(np.sum(1 - 1 / np.maximum(values, 1.0)))
