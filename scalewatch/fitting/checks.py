"""What makes a fit suspicious, found in its points, its residuals and its constants."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.families import AbstractFamily, Points
from scalewatch.fitting.homogeneity import recipe_mismatches
from scalewatch.fitting.mixed_units import UnitMismatch
from scalewatch.fitting.robust import AbstractResidualModel
from scalewatch.fitting.shape_of_residuals import ResidualShape, residual_shape
from scalewatch.fitting.status import FitStatus, collinear, not_independent, outliers, scatter
from scalewatch.text import percent

__all__ = ["judge_constants", "judge_points", "judge_residuals"]

Judged = list[tuple[FitStatus, str]]
Names = Sequence[str] | None

#: Runs a constant needs for its error to mean anything. By hand.
RUNS_PER_CONSTANT = 1.5
#: Mean |log residual| from which runs are hardly of one recipe, or the law hardly of them: 0.04 to 0.54 % in fourteen
#: public sets of one recipe (0.5 % for the points of Hoffmann et al. 2022) and 1.3 % or more in mixed ones. The isoFLOP
#: runs of Porian et al. 2024 have 1.3 to 5.9 % in each setting, and 0.4 to 0.9 % from 10 tokens per parameter on.
#: By hand, between them.
MOST_OF_ONE_RECIPE = 0.01
#: The same from which the law does not describe its runs: seeds alone move a final loss by up to 4 % (Choshen et al.
#: 2024), and twice the compute lowers it by 2 to 6 %, so such a law cannot tell a run from one of twice its cost.
MOST_SCATTER = 0.04
#: Standard error of an exponent, in parts of it, above which it is imprecise. By hand.
MOST_RELATIVE_ERROR = 0.5
#: Distance from a bound, in parts of the exponent or e-folds of the floor, that counts as being on it. By hand.
ON_BOUND = 1e-3
#: Irreducible loss below this part of the least loss is none. By hand.
LEAST_FLOOR = 0.01
#: Bytes of a token below which a factor is none of bits per byte: no tokenizer has so few. By hand.
BITS_BYTES = 1.5
#: Runs that a note lists. By hand.
MOST_LISTED = 8


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
    judged += [(FitStatus.SCATTERED, note) for note in recipe_mismatches(points, MOST_OF_ONE_RECIPE)]
    return judged


def judge_residuals(
    residuals: Floats, points: Points, labels: NDArray[np.int64], unit: UnitMismatch | None, names: Names
) -> Judged:
    """Return what the residuals, ln(observed) - ln(predicted), and a second unit say against the law or its runs.

    `names` are those of the runs; without them a note counts rows from 0.
    """
    judged: Judged = []
    far, off = outliers(residuals), scatter(residuals)
    if unit is not None:
        judged.append((FitStatus.MIXED_UNITS, _of_unit(unit, len(points), names)))
    elif off > MOST_SCATTER:
        judged.append((FitStatus.MISFIT, f"The law is {percent(off, 1)} off on average over its own runs."))
    elif off > MOST_OF_ONE_RECIPE:
        judged.append((FitStatus.SCATTERED, f"{percent(off, 1)} off on average; half a percent is usual."))
    shape = None if unit is not None or off > MOST_SCATTER else residual_shape(residuals, points)
    if shape is not None:
        judged.append((FitStatus.WRONG_SHAPE, _of_shape(shape)))
    if len(far) and unit is None and off <= MOST_SCATTER:
        judged.append((FitStatus.OUTLIERS, f"{_runs(len(far))} more than 6 % off: {_listed(far, names)}."))
    if len(np.unique(labels)) == len(labels) and not_independent(residuals, points.log_size):
        judged.append((FitStatus.NOT_INDEPENDENT, "Residuals of one size correlate above 0.5."))
    return judged


def _of_unit(unit: UnitMismatch, count: int, names: Names) -> str:
    bytes_per_token = 1.0 / (math.log(2) * min(unit.factor, 1.0 / unit.factor))
    guess = f" (bits per byte, at {bytes_per_token:.2g} bytes a token?)" if bytes_per_token > BITS_BYTES else ""
    return (
        f"{len(unit.rows)} of {count} runs are {unit.factor:.2f} times the others at equal size and tokens{guess}: "
        f"{_listed(unit.rows, names)}."
    )


def _of_shape(shape: ResidualShape) -> str:
    return (
        f"ln(observed / predicted) correlates with ln(tokens / parameters) at {shape.smallest:+.2f} in the smallest "
        f"quarter of the sizes and {shape.largest:+.2f} in the largest; its smooth part is {shape.moved:.1%} (sd)."
    )


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def _listed(rows: NDArray[np.int64], names: Names) -> str:
    more = f" and {len(rows) - MOST_LISTED} more" if len(rows) > MOST_LISTED else ""
    few = rows[:MOST_LISTED].tolist()
    if names is not None:
        return ", ".join(f"'{names[row]:.60}'" for row in few) + more
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(map(str, few)) + more


def judge_constants(
    family: AbstractFamily,
    form: AbstractResidualModel,
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
