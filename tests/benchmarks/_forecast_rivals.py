"""What others forecast a final loss with: restated here in their plain forms, none knows an interval."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence

import numpy as np
from _forecast_runs import Floats, Logged

from scalewatch.laws import schedule_features

Rival = Callable[[Logged, int, Sequence[Logged]], float]

EXPONENTS = np.linspace(0.05, 1.5, 30)
#: Exponent, gain of a full decay over A in units of one step's walk, and memory [steps] of the annealing law as three
#: 25M curves of multipowerlaw have it (Tissue et al. 2024, eq. 1): it has seen the end of runs that it is scored on.
TYPICAL_SHAPE, MEMORY_STEPS = (0.464, 0.0046), 500.0
LADDER_SHAPES = [(float(a), float(r)) for a in np.linspace(0.2, 1.0, 9) for r in np.geomspace(5e-4, 5e-2, 13)]
#: Rows past the warm-up that a line needs, and how far beyond its end the curve is still on its way.
FEWEST_ROWS, WARMUP_STRETCH = 8, 1.2
#: Rows of a curve that a shape is judged by.
JUDGED_ROWS = 200


def last_value(run: Logged, rows: int, _: Sequence[Logged]) -> float:
    """The mean over the newest twentieth of the rows."""
    return float(run.losses[int(0.95 * rows) : rows].mean())


def power_law(run: Logged, rows: int, _: Sequence[Logged]) -> float:
    """L0 + A step^-a through all but the first tenth of the rows: what a notebook does, blind to the schedule."""
    first = rows // 10
    steps, losses = run.steps[first:rows] + 1.0, run.losses[first:rows]
    best, told = np.inf, np.nan
    for exponent in EXPONENTS.tolist():
        line, misfit = _line(steps**-exponent, losses)
        if misfit < best and line[0] >= 0:
            best, told = misfit, float(line[0] + line[1] * (run.steps[-1] + 1.0) ** -exponent)
    return told


def annealing_law(run: Logged, rows: int, ladder: Sequence[Logged]) -> float:
    """Level and amplitude of the annealing law through this run's rows, the shape of its ladder or a typical one."""
    shape = _ladder_shape(ladder) if ladder else TYPICAL_SHAPE
    fall, settled = _fall(run, shape)
    keep = settled[:rows]
    if keep.sum() < FEWEST_ROWS:
        return float("nan")
    line, _ = _line(fall[:rows][keep], run.losses[:rows][keep])
    return float(line[0] + line[1] * fall[-1])


_shapes: dict[tuple[str, ...], tuple[float, float]] = {}


def _ladder_shape(ladder: Sequence[Logged]) -> tuple[float, float]:
    key = tuple(each.run.name for each in ladder)
    if key not in _shapes:
        _shapes[key] = min(LADDER_SHAPES, key=lambda shape: sum(_misfit(each, shape) for each in ladder))
    return _shapes[key]


def _misfit(run: Logged, shape: tuple[float, float]) -> float:
    fall, settled = _fall(run, shape)
    at = np.flatnonzero(settled)
    at = at[:: max(1, len(at) // JUDGED_ROWS)]
    return _line(fall[at], run.losses[at])[1] if len(at) >= FEWEST_ROWS else 0.0


_features: dict[str, tuple[Floats, Floats]] = {}


def _fall(run: Logged, shape: tuple[float, float]) -> tuple[Floats, Floats]:
    plan = run.run.learning_rates
    assert plan is not None
    if run.run.name not in _features:
        walked, annealed = schedule_features(plan, np.array([MEMORY_STEPS])).at(run.steps)
        _features[run.run.name] = walked, annealed[:, 0]
    walked, annealed = _features[run.run.name]
    exponent, ratio = shape
    return np.maximum(walked, 1e-3) ** -exponent - ratio * annealed, run.steps >= WARMUP_STRETCH * np.argmax(plan)


def _line(x: Floats, losses: Floats) -> tuple[Floats, float]:
    """Level and slope of least relative error, and that error, mean squared."""
    design = np.stack([np.ones_like(x), x], axis=1) / losses[:, None]
    line = np.linalg.lstsq(design, np.ones_like(losses), rcond=None)[0]
    return line, float(np.mean((design @ line - 1.0) ** 2))


RIVALS: dict[str, Rival] = {"last value": last_value, "power law": power_law, "annealing law": annealing_law}


def simple_scaling_laws() -> str:
    """Why there is no row for simple-scaling-laws, a sentence."""
    if sys.version_info < (3, 12):
        return f"simple-scaling-laws: not installable on this Python ({sys.version.split()[0]}; it needs 3.12)."
    if importlib.util.find_spec("simple_scaling_laws") is None:
        return "simple-scaling-laws: not installed (pip install simple-scaling-laws)."
    return "simple-scaling-laws: installed, but not scored: its interface could not be tried when this was written."
