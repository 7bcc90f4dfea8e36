"""Collapse: runs of all sizes of one good recipe follow one curve, once loss and progress are normalised.

    ell(x) = (L(x) - L0) / (L(1) - L0),    x = part of the run done

    Delta(x) = sd over sizes and seeds of ell / mean of ell           (collapse deviation)
    sigma(x) = mean over sizes of sd over seeds of (L - L0) / mean    (noise floor)

Where Delta < sigma the curves agree better with each other than two seeds of one size do, because each is
divided by its own final loss, which shares its noise: supercollapse. Where they do not collapse, the recipe is
not scaled right: parameterisation, learning rate or data exponent.

What it is for, in a run: a run that leaves the curve of its smaller siblings is ill, often long before its
loss looks it (`diagnose_collapse`), and until it does, the siblings tell where it ends (`early_align`).

Why Celerity's L0 = 0 for the alignment: one free number, the final loss, and it fits best there.

Sources: Qiu et al. (2025), arXiv 2507.02119, equations 2 to 5; Bergsma et al. (2025), arXiv 2509.25087.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.laws.curve import Curve

__all__ = ["Collapse", "CollapseRun", "FittedFloor", "fit_floor", "measure_collapse", "progress_of"]

#: Grid of progress on which curves are compared: from 2 % of the run. By hand.
FIRST_PROGRESS = 0.02
GRID_POINTS = 980
#: Log residual up to which the objective of the floor is a square (Qiu et al. 2025, appendix).
HUBER = 1e-3
#: Values of the floor that are tried, as parts of the least loss, and how often the grid closes in on the best.
#: By hand.
FLOOR_GRID = 81
FLOOR_ROUNDS = 6
#: Reweightings of one line: the objective is then still by less than a part in a thousand. By hand.
REWEIGHTINGS = 60
#: Objective over the best one up to which a floor is as good: one mean absolute residual in ten. By hand.
AS_GOOD = 1.1
#: Fewest sizes and seeds that a deviation and a noise floor mean something for: by definition, a deviation needs two.
FEWEST_SIZES = 2
FEWEST_SEEDS = 2


@final
@dataclass(frozen=True, slots=True, eq=False)
class CollapseRun:
    """One finished run of a ladder.

    Attributes:
        size: parameters, in any one count: it only tells sizes apart. seed: tells runs of one size apart.
        progress: part of the run's compute done at each row, in (0, 1], rising, the last being 1, shape (n,).
        loss: at each row [nats/token], validation or smoothed training loss, shape (n,).

    Raises:
        FitError: if the arrays do not match, are not finite, or the run is not finished.
    """

    size: float
    seed: int | str
    progress: Floats
    loss: Floats

    def __init__(self, size: float, seed: int | str, progress: ArrayLike, loss: ArrayLike) -> None:
        at, losses = np.asarray(progress, dtype=np.float64), np.asarray(loss, dtype=np.float64)
        name = f"Run of size {size:g}, seed {seed}"
        if at.ndim != 1 or at.shape != losses.shape or len(at) < 2:
            raise FitError(f"{name}: `progress` and `loss` must have one shape (n,), n at least 2.")
        if not (np.all(np.isfinite(losses)) and np.all(np.isfinite(at)) and np.isfinite(size) and size > 0):
            raise FitError(f"{name}: size, progress and loss must be finite; leave out a run that diverged.")
        if np.any(np.diff(at) <= 0) or at[0] < 0 or abs(at[-1] - 1.0) > 0.01:
            raise FitError(
                f"{name}: `progress` must rise to 1, the planned end (it ends at {at[-1]:.3g}): collapse compares "
                "finished runs; for a run in progress use `early_align`."
            )
        assign = object.__setattr__
        assign(self, "size", float(size))
        assign(self, "seed", seed)
        assign(self, "progress", at)
        assign(self, "loss", losses)

    @property
    def final_loss(self) -> float:
        """Loss of the last row [nats/token]."""
        return float(self.loss[-1])

    def normalised(self, floor: float, progress: ArrayLike) -> Floats:
        """Return ell at `progress`, dimensionless, shape (m,).

        Raises:
            FitError: if the floor is not below the final loss.
        """
        if not floor < self.final_loss:
            raise FitError(f"The floor {floor:g} must lie below the final loss {self.final_loss:g} of every run.")
        above = np.interp(np.asarray(progress, dtype=np.float64), self.progress, self.loss) - floor
        return np.asarray(above / (self.final_loss - floor))


def progress_of(curve: Curve, total_steps: float) -> tuple[Floats, Floats]:
    """Return the progress and the loss [nats/token] of a curve's blocks, shape (n,), and of its end.

    Args:
        curve: of a run. total_steps: at which its progress is 1.
    """
    _, steps, loss, _ = curve.blocks().arrays()
    if steps[-1] < curve.steps[-1]:
        steps, loss = np.append(steps, curve.steps[-1]), np.append(loss, loss[-1])
    return steps / total_steps, loss


@final
@dataclass(frozen=True, slots=True)
class FittedFloor:
    """L0 of final losses against compute, L = a C^-b + L0.

    Attributes:
        floor: L0 [nats/token], 0 or more. low, high: floors that fit nearly as well [nats/token].
        exponent: b, dimensionless. notes: reasons not to trust it, a sentence each.
    """

    floor: float
    low: float
    high: float
    exponent: float
    notes: tuple[str, ...]


def fit_floor(compute: ArrayLike, final_loss: ArrayLike) -> FittedFloor:
    """Fit L0 to the final losses of a ladder, the seeds of one size averaged first.

    Args:
        compute: of each run, any unit, shape (n,). final_loss: [nats/token], shape (n,).

    Raises:
        FitError: if numbers are not positive, or there are fewer than three sizes.
    """
    budgets, losses = np.asarray(compute, dtype=np.float64), np.asarray(final_loss, dtype=np.float64)
    if budgets.ndim != 1 or budgets.shape != losses.shape:
        raise FitError(f"`compute` and `final_loss` must have one shape (n,) (got {budgets.shape}, {losses.shape}).")
    fine = (budgets > 0) & (losses > 0) & np.isfinite(budgets) & np.isfinite(losses)
    sizes, label = np.unique(budgets, return_inverse=True)
    if not fine.all() or len(sizes) < 3:
        raise FitError(
            f"A floor needs positive finite losses at three or more budgets (got {len(sizes)}): add a size, or "
            "give the floor."
        )
    means = np.bincount(label, losses) / np.bincount(label)
    log_budget = np.log(sizes) - np.mean(np.log(sizes))
    low, high = 0.0, float(means.min()) * (1.0 - 1e-6)
    floors, costs = np.empty(0), np.empty(0)
    for _ in range(FLOOR_ROUNDS):
        # towards the least loss the power law is bent ever harder: an even grid, then closer about the best
        grid = np.linspace(low, high, FLOOR_GRID)
        floors, costs = np.append(floors, grid), np.append(costs, _given_floors(grid, log_budget, means)[0])
        best, step = float(floors[np.argmin(costs)]), (high - low) / (FLOOR_GRID - 1)
        low, high = max(best - 2 * step, 0.0), min(best + 2 * step, float(means.min()) * (1.0 - 1e-6))
    exponent = float(_given_floors(np.array([best]), log_budget, means)[1][0])
    near = floors[costs <= AS_GOOD * costs.min() + 1e-12]
    notes = []
    if best == 0.0:
        notes.append(
            "The losses show no floor: it went to zero, as it does when the ladder is short; add a larger size."
        )
    if float(np.ptp(near)) > 0.1 * float(means.min()):
        notes.append(
            f"Floors from {near.min():.3g} to {near.max():.3g} fit as well: deviations of late progress depend on it."
        )
    if len(sizes) < 4:
        notes.append("Three budgets for three constants: the fit is exact and shows no error; add a size.")
    return FittedFloor(best, float(near.min()), float(near.max()), exponent, tuple(notes))


def _given_floors(floors: Floats, log_budget: Floats, means: Floats) -> tuple[Floats, Floats]:
    """Objective and exponent of the best power law above each floor, (f,), by reweighted least squares."""
    above, share = np.log(means - floors[:, None]), (means - floors[:, None]) / means
    weights = share**2
    for _ in range(REWEIGHTINGS):
        total = weights.sum(axis=1, keepdims=True)
        centre = (weights * log_budget).sum(axis=1, keepdims=True) / total
        middle = (weights * above).sum(axis=1, keepdims=True) / total
        moved = log_budget - centre
        slope = (weights * moved * (above - middle)).sum(axis=1) / (weights * moved**2).sum(axis=1)
        fitted = middle + slope[:, None] * moved
        size = np.abs(np.log(np.exp(fitted) + floors[:, None]) - np.log(means))
        # the parabola that touches the Huber loss from above, in units of ln(loss)
        weights = share**2 * HUBER / np.maximum(size, HUBER)
    inner = np.minimum(size, HUBER)
    return np.asarray(np.sum(inner * (size - 0.5 * inner), axis=1)), np.asarray(-slope)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Collapse:
    """How well a ladder collapses.

    Attributes:
        floor: L0 that was used [nats/token]. progress: x, shape (m,).
        curve: mean of ell, shape (m,). deviation: Delta, shape (m,). noise_floor: sigma, shape (m,), nan if no
            size has two seeds.
        supercollapse_share: part of the grid on which Delta < sigma, nan without a noise floor.
        sizes, runs: how many. duplicates: rows of one size and seed that were left out.
        notes: reasons not to trust it, a sentence each.
    """

    floor: float
    progress: Floats
    curve: Floats
    deviation: Floats
    noise_floor: Floats
    supercollapse_share: float
    sizes: int
    runs: int
    duplicates: int
    notes: tuple[str, ...]

    def at(self, progress: float) -> tuple[float, float]:
        """Return Delta and sigma at `progress`."""
        return (
            float(np.interp(progress, self.progress, self.deviation)),
            float(np.interp(progress, self.progress, self.noise_floor)),
        )

    def ratio_at(self, progress: float) -> float:
        """Return Delta / sigma at `progress`; below 1 is supercollapse."""
        ratio = self.deviation / self.noise_floor
        return float(np.interp(progress, self.progress, ratio))


def measure_collapse(
    runs: Sequence[CollapseRun], floor: float | None = None, compute: ArrayLike | None = None
) -> Collapse:
    """Measure how well runs of several sizes collapse.

    Runs of one size and seed are counted once: public logs hold exact copies.

    Args:
        runs: finished runs of one recipe, two or more sizes, best with several seeds each.
        floor: L0 [nats/token]; None to fit it with `fit_floor`.
        compute: of each run, any unit, shape (n,); needed to fit the floor.

    Raises:
        FitError: if there are fewer than two sizes, or the floor is neither given nor can be fitted.
    """
    kept: dict[tuple[float, int | str], int] = {}
    for index, run in enumerate(runs):
        kept.setdefault((run.size, run.seed), index)
    chosen = [runs[index] for index in kept.values()]
    sizes = np.array([run.size for run in chosen])
    if len(np.unique(sizes)) < FEWEST_SIZES:
        raise FitError("Collapse compares sizes, and all runs have one: add a size.")
    notes: list[str] = []
    if floor is None:
        if compute is None or np.shape(compute) != (len(runs),):
            raise FitError("Without `floor`, `compute` must hold the compute of each run, shape (n,).")
        budgets = np.asarray(compute, dtype=np.float64)[list(kept.values())]
        fitted = fit_floor(budgets, [run.final_loss for run in chosen])
        floor = fitted.floor
        notes.extend(fitted.notes)
    grid = np.linspace(FIRST_PROGRESS, 1.0, GRID_POINTS, endpoint=False)
    ell = np.array([run.normalised(floor, grid) for run in chosen])
    noise = []
    for size in np.unique(sizes):
        own = ell[sizes == size] * np.array([[r.final_loss - floor] for r in chosen if r.size == size])
        if len(own) >= FEWEST_SEEDS:
            noise.append(own.std(axis=0) / own.mean(axis=0))
    if not noise:
        notes.append("No size has two seeds, so there is no noise floor to compare with: repeat the smallest size.")
    sigma = np.mean(noise, axis=0) if noise else np.full(len(grid), np.nan)
    deviation = ell.std(axis=0) / ell.mean(axis=0)
    return Collapse(
        floor=floor,
        progress=grid,
        curve=ell.mean(axis=0),
        deviation=deviation,
        noise_floor=sigma,
        supercollapse_share=float(np.mean(deviation < sigma)) if noise else float("nan"),
        sizes=len(np.unique(sizes)),
        runs=len(chosen),
        duplicates=len(runs) - len(chosen),
        notes=tuple(notes),
    )
