"""What makes a fit suspicious, found in its points, its residuals and its constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import FitError
from scalewatch.laws.families import AbstractFamily, Points
from scalewatch.laws.fit_status import FitStatus, collinear, mixed_units, not_independent, outliers, robust_sd
from scalewatch.laws.robust import AbstractForm

__all__ = ["judge_constants", "judge_points", "judge_residuals"]

Floats = NDArray[np.float64]
Judged = list[tuple[FitStatus, str]]

#: Runs a constant needs for its error to mean anything.
RUNS_PER_CONSTANT = 1.5
#: Robust sd of the log residuals above which the law does not describe its runs.
MOST_SCALE = 0.1
#: Standard error of an exponent, in parts of it, above which it is imprecise.
MOST_RELATIVE_ERROR = 0.5
#: Distance from a bound, in parts of the exponent or e-folds of the floor, that counts as being on it.
ON_BOUND = 1e-3
#: Irreducible loss below this part of the least loss is none.
LEAST_FLOOR = 0.01


def judge_points(family: AbstractFamily, points: Points, labels: NDArray[np.int64]) -> Judged:
    """Return what the points lack before anything is fitted.

    Raises:
        FitError: if there are fewer runs than constants.
    """
    judged: Judged = []
    free, runs = len(family.constants), int(labels.max()) + 1
    if min(len(points), runs) < free:
        raise FitError(
            f"Too few runs: the {family.name} law has {free} constants and got {min(len(points), runs)} runs; add "
            "runs, or fit a law with fewer constants."
        )
    if runs < RUNS_PER_CONSTANT * free:
        judged.append((FitStatus.TOO_FEW_RUNS, f"{runs} runs for {free} constants."))
    size, tokens = "size" in family.variables, "tokens" in family.variables
    if size and np.ptp(points.log_size) < 1e-3:
        judged.append((FitStatus.SIZES_EQUAL, f"All sizes are {np.exp(points.log_size[0]):.4g}."))
    elif tokens and np.ptp(points.log_tokens) < 1e-3:
        judged.append((FitStatus.TOKENS_EQUAL, f"All runs saw {np.exp(points.log_tokens[0]):.4g} tokens."))
    elif size and tokens and collinear(points.log_size, points.log_tokens):
        line = float(np.corrcoef(points.log_size, points.log_tokens)[0, 1])
        judged.append((FitStatus.COLLINEAR, f"ln(size) and ln(tokens) correlate at {line:.4f}."))
    elif np.ptp(points.log_flops) < 1e-3 and "flops" in family.variables:
        judged.append((FitStatus.SIZES_EQUAL, "All runs cost equally much compute."))
    return judged


def judge_residuals(residuals: Floats, points: Points, labels: NDArray[np.int64]) -> Judged:
    """Return what the residuals, ln(observed) - ln(predicted), say against the law or its runs."""
    judged: Judged = []
    far = outliers(residuals)
    if mixed_units(residuals):
        judged.append((FitStatus.MIXED_UNITS, f"Residuals span {np.ptp(residuals):.2f} e-folds in two groups."))
    elif robust_sd(residuals) > MOST_SCALE:
        judged.append((FitStatus.MISFIT, f"Half of the residuals exceed {robust_sd(residuals) / 1.48:.0%}."))
    elif len(far):
        rows = ", ".join(str(row) for row in far[:8])
        judged.append((FitStatus.OUTLIERS, f"{len(far)} runs are more than 6 % off: rows {rows}."))
    if len(np.unique(labels)) == len(labels) and not_independent(residuals, points.log_size):
        judged.append((FitStatus.NOT_INDEPENDENT, "Residuals of one size correlate above 0.5."))
    return judged


def judge_constants(
    family: AbstractFamily,
    form: AbstractForm,
    theta: Floats,
    values: dict[str, float],
    errors: dict[str, float],
    least_loss: float,
) -> Judged:
    """Return which constants ended at a bound, or hardly determined."""
    judged: Judged = []
    least, most = form.bounds
    bound = (theta - least < ON_BOUND * np.maximum(np.abs(least), 1.0)) | (most - theta < ON_BOUND * np.abs(most))
    floor = family.floor
    vanished = floor is not None and values[floor] < LEAST_FLOOR * least_loss
    if vanished:
        judged.append((FitStatus.FLOOR_AT_BOUND, f"{floor} = {values[floor or '']:.3g} nats/token."))
    if bound.sum() > (1 if vanished else 0):
        names = ", ".join(f"{name} = {values[name]:.3g}" for name in family.exponents)
        judged.append((FitStatus.EXPONENT_AT_BOUND, f"{names}."))
    for name in family.exponents:
        if not errors[name] <= MOST_RELATIVE_ERROR * values[name]:
            judged.append((FitStatus.IMPRECISE, f"{name} = {values[name]:.3g} +- {errors[name]:.2g}."))
            break
    return judged
