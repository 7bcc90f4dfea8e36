"""Fits the law of repeated data: what a token is worth that a model has seen before.

In two steps, as in the paper: E, A, B and the exponent from the runs that saw every token once, then what repeats and
excess parameters are worth, R_D* and R_N*, from the others. Fitted together, a wrong exponent is made up for by R*.

Source: Muennighoff et al. (2023), arXiv 2305.16264, section 5 and appendix A.
"""

from __future__ import annotations

import itertools
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.families import EQUAL_EXPONENTS, read_points
from scalewatch.fitting.points import HUBER_DELTA, fit_family
from scalewatch.fitting.quasi_posterior import quasi_posterior
from scalewatch.fitting.result import Fit
from scalewatch.fitting.robust import JacobianResidualModel, minimise
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.repeated_data import RepeatedData
from scalewatch.laws.size import Parameters, SizeKind, total
from scalewatch.text import percent

__all__ = ["fit_repeated_data"]

#: R_D* and R_N* that a fit starts from [epochs, multiples of U_N], and their bounds (by hand, not tuned).
STARTS = (1.0, 5.0, 25.0)
BOUNDS = (0.05, 1e4)
#: Repeated runs that a fit needs: as many again as the constants that they settle (by hand).
FEWEST_REPEATED = 4
#: Epochs up to which a run counts as one that saw every token once. By hand.
ONE_EPOCH = 1.01
#: Step of a derivative in ln R*. By hand.
STEP = 1e-5
#: Mean |log residual| of the repeated runs from which the law does not describe them, as in checks.py.
MISFIT = 0.04


def fit_repeated_data(
    parameters: Parameters | ArrayLike, tokens: ArrayLike, unique_tokens: ArrayLike, loss: ArrayLike, *, seed: int = 0
) -> Fit[RepeatedData]:
    """Fit the law of repeated data to finished runs, some of which saw their tokens once and others several times.

    Args:
        parameters: total, shape (n,). tokens: repeats included, shape (n,), count.
        unique_tokens: different ones, shape (n,), count. loss: shape (n,) [nats/token]. seed: of the standard errors.

    Raises:
        FitError: if the input is no table of positive numbers, or too few runs saw their tokens once or repeatedly.
    """
    points, unique = (
        read_points(parameters, tokens, loss),
        np.exp(read_points(parameters, unique_tokens, loss).log_tokens),
    )
    if points.kind is not SizeKind.TOTAL:
        raise FitError(f"The law of repeated data counts total parameters (got {points.kind}).")
    size, data = np.exp(points.log_size), np.exp(points.log_tokens)
    repeated = data > ONE_EPOCH * unique
    if repeated.sum() < FEWEST_REPEATED:
        raise FitError(
            f"Only {int(repeated.sum())} runs saw a token more than once (`tokens` above `unique_tokens`), and what a "
            f"repeat is worth takes {FEWEST_REPEATED}: add runs of several epochs."
        )
    try:
        fresh = points.take(~repeated)
        first = fit_family(EQUAL_EXPONENTS, total(size[~repeated]), data[~repeated], np.exp(fresh.log_loss))
    except FitError as fault:
        raise FitError(f"The runs that saw every token once do not carry a law: {fault}") from None
    level = {**first.values, "beta": first.values["alpha"]}
    form = _Repeats(level, size[repeated], data[repeated], unique[repeated])
    observed = points.log_loss[repeated]
    starts = np.log(list(itertools.product(STARTS, STARTS)))
    ends = minimise(form, observed, starts, delta=HUBER_DELTA)
    best = int(np.argmin(ends.objective))
    theta = ends.theta[best]
    off = float(np.mean(np.abs(form.evaluate(theta[None, :])[0][0] - observed)))
    spread = np.std(quasi_posterior(form, observed, theta, np.arange(len(observed)), HUBER_DELTA, seed), axis=0)
    decays = np.exp(theta)
    errors = {"token_decay": float(decays[0] * spread[0]), "parameter_decay": float(decays[1] * spread[1])}
    judged = _judged(theta, off, bool(ends.converged[best])) + list(zip(first.statuses, first.notes, strict=False))
    return Fit(
        law=RepeatedData(**level, token_decay=float(decays[0]), parameter_decay=float(decays[1])),
        objective=float(ends.objective[best]),
        runs=len(points),
        statuses=tuple(dict.fromkeys(status for status, _ in judged)) or (FitStatus.OK,),
        notes=(
            f"The law is {percent(off, 2)} off on average over {len(observed)} runs with repeats.",
            *(n for _, n in judged),
        ),
        standard_errors={**first.standard_errors, **errors},
    )


def _judged(theta: Floats, off: float, converged: bool) -> list[tuple[FitStatus, str]]:
    judged = []
    if off > MISFIT:
        judged.append((FitStatus.MISFIT, ""))
    if not converged:
        judged.append((FitStatus.NOT_CONVERGED, "The best start did not converge."))
    names = [name for name, value in zip(("R_D*", "R_N*"), theta, strict=True) if not _inside(float(value))]
    if names:
        judged.append((FitStatus.AT_BOUND, f"{' and '.join(names)} on the bound: no run tells what that is."))
    return judged


def _inside(value: float) -> bool:
    return bool(np.log(BOUNDS[0]) + 1e-3 < value < np.log(BOUNDS[1]) - 1e-3)


@final
class _Repeats(JacobianResidualModel):
    # free parameters: ln R_D*, ln R_N*
    def __init__(self, level: dict[str, float], size: Floats, tokens: Floats, unique: Floats) -> None:
        self.level, self.size, self.tokens, self.unique = level, total(size), tokens, unique
        self._bounds = (np.full(2, np.log(BOUNDS[0])), np.full(2, np.log(BOUNDS[1])))

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        return self._bounds

    def jacobian(self, theta: Floats) -> tuple[Floats, Floats]:
        here = np.array([self._log_loss(row) for row in theta])
        ahead = [np.array([self._log_loss(row + STEP * side) for row in theta]) for side in np.eye(2)]
        return here, np.stack([(other - here) / STEP for other in ahead], axis=-1)

    def _log_loss(self, theta: Floats) -> Floats:
        of_tokens, of_size = np.exp(np.clip(theta, *np.log(BOUNDS))).tolist()
        law = RepeatedData(**self.level, token_decay=of_tokens, parameter_decay=of_size)
        return np.asarray(np.log(law.loss(self.size, self.tokens, self.unique)))
