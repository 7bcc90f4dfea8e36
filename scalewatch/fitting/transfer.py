"""Fits the law of transfer: a plane in logarithms, ln D_T = ln k + alpha ln D_F + beta ln N.

Source: Hernandez et al. (2021), arXiv 2102.01293, equation 1.1; standard errors of least squares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.result import Fit
from scalewatch.fitting.status import FitStatus, collinear
from scalewatch.laws.size import Parameters, SizeKind, count_for, non_embedding, positive
from scalewatch.laws.transfer import Transfer

__all__ = ["fit_transfer"]

#: Points that a plane needs for its constants to have errors. By hand.
FEWEST_POINTS = 5
#: Standard error of an exponent, in parts of it, above which it is imprecise, as in checks.py.
MOST_RELATIVE_ERROR = 0.5
#: Sd of ln(D_T) about the plane from which it is none (by hand): a factor of two.
MISFIT = 0.7


def fit_transfer(
    characters: ArrayLike, parameters: Parameters | ArrayLike, effective_characters: ArrayLike
) -> Fit[Transfer]:
    """Fit the law of transfer to pairs of runs that end at one loss, fine-tuned and trained from nothing.

    Args:
        characters: D_F, text that was fine-tuned on, shape (n,). parameters: non-embedding, shape (n,).
        effective_characters: D_E, text from which a model of this size reaches the same loss from nothing, shape (n,).

    Raises:
        FitError: if numbers are not positive, D_E is not above D_F, or the points do not span a plane.
    """
    try:
        size = parameters if isinstance(parameters, Parameters) else non_embedding(parameters)
        count = np.atleast_1d(count_for("The law of transfer", size, SizeKind.NON_EMBEDDING))
        text = np.atleast_1d(positive("characters", characters, "characters"))
        worth = np.atleast_1d(positive("effective_characters", effective_characters, "characters"))
    except ConfigError as fault:
        raise FitError(str(fault)) from None
    if not text.shape == count.shape == worth.shape or text.ndim != 1 or len(text) < FEWEST_POINTS:
        raise FitError(
            f"A law of transfer takes {FEWEST_POINTS} points or more, all columns of one length (got {text.shape}, "
            f"{count.shape}, {worth.shape})."
        )
    if np.any(worth <= text):
        raise FitError(
            f"`effective_characters` must lie above `characters` (row {int(np.argmax(worth <= text))}): what "
            "pre-training is worth comes on top of the fine-tuning text; leave out where it is worth nothing."
        )
    x, y, z = np.log(text), np.log(count), np.log(worth - text)
    if collinear(x, y):
        raise FitError("Text and size rise together, so their effects cannot be told apart: vary one at a time.")
    design = np.stack([np.ones_like(x), x, y], axis=1)
    solution = np.linalg.lstsq(design, z, rcond=None)[0]
    rest = z - design @ solution
    sd = float(np.sqrt(rest @ rest / (len(z) - 3)))
    errors = sd * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    try:
        law = Transfer(*np.exp(solution[:1]).tolist(), *solution[1:].tolist())
    except ConfigError as fault:
        raise FitError(f"The points follow no law of transfer: {fault}") from None
    statuses = []
    if sd > MISFIT:
        statuses.append(FitStatus.MISFIT)
    if np.any(errors[1:] > MOST_RELATIVE_ERROR * solution[1:]):
        statuses.append(FitStatus.IMPRECISE)
    return Fit(
        law=law,
        objective=float(rest @ rest),
        runs=len(z),
        statuses=tuple(statuses) or (FitStatus.OK,),
        notes=(f"What pre-training is worth lies a factor of {np.exp(sd):.2g} off the law (one sd).",),
        standard_errors={
            "scale": float(law.scale * errors[0]),
            "data_exponent": float(errors[1]),
            "size_exponent": float(errors[2]),
        },
    )
