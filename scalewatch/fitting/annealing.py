"""Fit of the annealing law to the curves of one model.

Given alpha and the memory the law is linear in (L0, A, C), so it is fitted to three curves in milliseconds.

Source: Tissue, Wang, Wang (2024), arXiv 2408.11029, equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.result import Fit
from scalewatch.fitting.robust import JacobianResidualModel, minimise
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.annealing_law import AnnealingLaw, walk_and_decay
from scalewatch.laws.curve import Curve
from scalewatch.text import percent

__all__ = ["AnnealingFit", "fit_annealing"]

#: Memories that are tried [steps]: lambda 0.99 to 0.9999, the useful range of Tissue et al. (2024, section 3).
MEMORIES = (100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0)
#: Exponents that a fit starts from, and their bounds. By hand.
START_EXPONENTS = (0.2, 0.5, 1.0)
EXPONENTS = (0.005, 3.0)
#: Log residual up to which the objective is a square (Luo et al. 2025, section 4.1).
HUBER = 1e-3
#: Bounds of ln A and ln C against the least loss, in e-folds. By hand.
TERM_LOG_RANGE = (12.0, 6.0)
#: Mean log residual of a curve beyond which the law does not describe it. By hand.
MISFIT = 0.1
#: Part of its peak by which some plan must fall for the fit to say what a decay gains. By hand.
LEAST_DROP = 0.1


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class AnnealingFit(Fit[AnnealingLaw]):
    """A fitted annealing law; its objective is the sum of the Huber loss of the log residuals.

    Attributes:
        memory_objectives: the same for each memory of `MEMORIES` that was tried. rows: how many were used.
    """

    memory_objectives: tuple[float, ...]
    rows: int


def fit_annealing(curves: Sequence[Curve], *, count_warmup: bool = False) -> AnnealingFit:
    """Fit the annealing law to curves of one model, the memory chosen by the objective on these curves.

    Rows before the end of the warm-up are left out. Every curve needs its planned learning rates.

    Args:
        curves: runs of one model, batch size and data; one of them must lower its rate.
        count_warmup: whether a rise of the rate is a negative drop, as in the code of the multi-power law.

    Raises:
        FitError: if no curve can be used, with the reason of each, or none lowers its rate.
    """
    usable, left_out = [], []
    for curve in curves:
        if not isinstance(curve, Curve):
            raise FitError(f"`curves` must be a list of scalewatch.laws.Curve (got a {type(curve).__name__} in it).")
        if curve.run.learning_rates is None:
            left_out.append(f"'{curve.run.name}' has no planned learning rates.")
        else:
            usable.append((curve, np.asarray(curve.run.learning_rates)))
    if not usable:
        raise FitError("No curve can be used for an annealing law: " + (" ".join(left_out) or "there is none."))
    peak = max(float(plan.max()) for _, plan in usable)
    walked, annealed, losses, ends = _rows(usable, peak, count_warmup=count_warmup)
    if len(losses) < 10:
        raise FitError(f"Only {len(losses)} rows lie between warm-up and the end of their plan; a law needs 10.")
    if max(float(1.0 - plan[int(np.argmax(plan)) :].min() / plan.max()) for _, plan in usable) < LEAST_DROP:
        raise FitError("No plan lowers its rate by a tenth, so what a decay gains is unknown: add a run that decays.")
    ends_of = [minimise(*_problem(walked, annealed[:, k], losses), delta=HUBER) for k in range(len(MEMORIES))]
    objectives = [float(optima.objective.min()) for optima in ends_of]
    k = int(np.argmin(objectives))
    at = int(np.argmin(ends_of[k].objective))
    theta, converged = ends_of[k].theta[at], bool(ends_of[k].converged[at])
    form, log_loss, _ = _problem(walked, annealed[:, k], losses)
    residuals = np.abs(form.evaluate(theta[None, :])[0][0] - log_loss)
    worst = max(float(part.mean()) for part in np.split(residuals, ends[:-1]) if len(part))
    amplitude = float(np.exp(theta[1] + theta[3] * np.log(_reference(walked))))
    level, gain, alpha = float(np.exp(theta[0])), float(np.exp(theta[2])), float(theta[3])
    law = AnnealingLaw(level, amplitude, alpha, gain, MEMORIES[k], peak, count_warmup)
    return AnnealingFit(
        law=law,
        objective=objectives[k],
        memory_objectives=tuple(objectives),
        statuses=(_status(worst, alpha, converged),),
        notes=(f"The curve that fits worst is {percent(worst, 2)} off on average.",),
        rows=len(losses),
        runs=len(usable),
        left_out=tuple(left_out),
    )


def _rows(
    usable: Sequence[tuple[Curve, Floats]], peak: float, *, count_warmup: bool
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    walked, annealed, losses = [], [], []
    for curve, plan in usable:
        steps = curve.steps.astype(np.float64)
        own_walk, own_decay, warmup = walk_and_decay(plan, steps, MEMORIES, count_warmup=count_warmup)
        keep = (curve.steps >= warmup) & (curve.steps <= len(plan))
        scale = float(plan.max()) / peak
        walked.append(own_walk[keep] * scale)
        annealed.append(own_decay[keep] * scale)
        losses.append(curve.loss[keep])
    ends = np.cumsum([len(part) for part in losses])
    return np.concatenate(walked), np.concatenate(annealed), np.concatenate(losses), ends


def _reference(walked: Floats) -> float:
    return float(np.exp(np.mean(np.log(walked))))


def _problem(walked: Floats, annealed: Floats, losses: Floats) -> tuple[_AnnealingResiduals, Floats, Floats]:
    """The form, the log losses, and a start for each exponent: given it, the law is linear."""
    log_walk = np.log(walked / _reference(walked))
    least = float(losses.min())
    starts = []
    for alpha in START_EXPONENTS:
        design = np.stack([np.ones_like(losses), np.exp(-alpha * log_walk), -annealed], axis=1) / losses[:, None]
        linear = np.linalg.lstsq(design, np.ones_like(losses), rcond=None)[0]
        starts.append([*np.log(np.maximum(linear, [0.1 * least, 1e-3 * least, 1e-3 * least])), alpha])
    return _AnnealingResiduals(log_walk, annealed, float(np.log(least))), np.log(losses), np.array(starts)


def _status(worst_curve: float, alpha: float, converged: bool) -> FitStatus:
    if worst_curve > MISFIT:
        return FitStatus.MISFIT
    if not converged:
        return FitStatus.NOT_CONVERGED
    if not EXPONENTS[0] * 1.001 < alpha < EXPONENTS[1] * 0.999:
        return FitStatus.EXPONENT_AT_BOUND
    return FitStatus.OK


@final
class _AnnealingResiduals(JacobianResidualModel):
    # free parameters: ln L0, ln A at the mean walk, ln C, alpha
    def __init__(self, log_walk: Floats, annealed: Floats, level: float) -> None:
        self.log_walk, self.annealed = log_walk, annealed
        below, above = TERM_LOG_RANGE
        self._bounds = (
            np.array([level - below] * 3 + [EXPONENTS[0]]),
            np.array([level + 1.0, level + above, level + above, EXPONENTS[1]]),
        )
        self._least = np.exp(level) * 1e-2

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        return self._bounds

    def jacobian(self, theta: Floats) -> tuple[Floats, Floats]:
        level, amplitude, gain = (np.exp(theta[:, k : k + 1]) for k in range(3))
        power = amplitude * np.exp(-theta[:, 3:4] * self.log_walk)
        gained = gain * self.annealed
        # a prediction below zero has no logarithm: it is held at a small loss, and its slope leads back up
        loss = np.maximum(level + power - gained, self._least)
        slopes = [level / loss, power / loss, -gained / loss, -self.log_walk * power / loss]
        return np.log(loss), np.stack(slopes, axis=-1)
