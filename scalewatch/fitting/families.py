"""Families of laws over size and tokens: what one way to fit needs to know of each.

A family turns points into a form (log loss as a function of free parameters), starts to minimise it from,
and back into named constants. Inside, logarithms are centred on the data and scales are fitted as the size of
their term there, so a fit does not depend on whether tokens are counted in ones or in billions.

Sources: Hoffmann et al. (2022), equation 2; Kaplan et al. (2020), equations 1.5 and 1.1 to 1.3.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.robust import AbstractResidualModel, JacobianResidualModel, PowerSumResidualModel
from scalewatch.laws.law import Publication
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, MOST, Parameters, SizeKind, total

__all__ = [
    "CHINCHILLA",
    "COMPUTE",
    "COMPUTE_NO_FLOOR",
    "EQUAL_EXPONENTS",
    "FAMILIES",
    "KAPLAN",
    "KAPLAN_WITH_FLOOR",
    "AbstractFamily",
    "KaplanFamily",
    "Points",
    "PowerSumFamily",
    "Prepared",
    "read_points",
]

Variable = Literal["size", "tokens", "flops"]

#: Least and most of an exponent: published ones lie between 0.03 and 1. By hand.
EXPONENTS = (0.005, 3.0)
#: How far a term may lie below and above the least loss, in e-folds. By hand.
TERM_LOG_RANGE = (9.0, 4.0)
#: Exponents that fits start from. By hand.
START_EXPONENTS = (0.1, 0.25, 0.5, 1.0)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Finished runs as points: logarithms of size, tokens and loss, each of shape (n,); `kind` of the sizes."""

    log_size: Floats
    log_tokens: Floats
    log_loss: Floats
    kind: SizeKind

    def __len__(self) -> int:
        """Return how many runs there are."""
        return len(self.log_loss)

    def take(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Points:
        """Return some of the points."""
        return Points(self.log_size[index], self.log_tokens[index], self.log_loss[index], self.kind)

    @property
    def log_flops(self) -> Floats:
        """ln(6 N D) [ln FLOP]."""
        return np.asarray(np.log(FLOPS_PER_PARAMETER_TOKEN) + self.log_size + self.log_tokens)


def read_points(parameters: Parameters | ArrayLike, tokens: ArrayLike, loss: ArrayLike) -> Points:
    """Return finished runs as `Points`.

    Args:
        parameters: shape (n,), or a bare array, which counts as total.
        tokens: shape (n,), count. loss: shape (n,) [nats/token].

    Raises:
        FitError: if the shapes differ, there are no rows, or a number is not positive and finite; it names the row.
    """
    sizes = parameters if isinstance(parameters, Parameters) else total(parameters)
    columns = [("parameters", sizes.count), ("tokens", tokens), ("loss", loss)]
    logs = []
    for name, values in columns:
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise FitError(f"`{name}` must be numbers of shape (n,) (got {values!r:.80}).") from None
        if column.ndim != 1 or len(column) == 0 or len(column) != np.size(sizes.count):
            raise FitError(
                "`parameters`, `tokens` and `loss` must have one shape (n,), n at least 1 "
                f"(`{name}` has {column.shape})."
            )
        bad = np.flatnonzero(~((column > 0) & (column < MOST)))
        if len(bad):
            what = " [nats/token]: a loss of a language model is; leave out the run" if name == "loss" else ""
            raise FitError(
                f"`{name}` must be positive and finite{what} (row {bad[0]} holds {column[bad[0]]:g}, "
                f"{len(bad)} such rows)."
            )
        logs.append(np.log(column))
    return Points(logs[0], logs[1], logs[2], sizes.kind)


class Prepared(ABC):
    """A family at the points it is fitted to: its free parameters have a meaning only here."""

    @property
    @abstractmethod
    def starts(self) -> Floats:
        """Where to minimise from, shape (b, p)."""

    @abstractmethod
    def form(self, log_size: Floats, log_tokens: Floats) -> AbstractResidualModel:
        """Return the law at other points, or at the same ones."""

    @abstractmethod
    def constants(self, theta: Floats) -> Floats:
        """Return the constants of each set, (b, p) -> (b, q), in the order of the family's `constants`."""


class AbstractFamily(ABC):
    """A law whose constants are to be found.

    Attributes:
        name: as people call the law. constants: names of its constants, exponents among them.
        exponents: names of the exponents. floor: name of the irreducible loss, None if there is none.
        variables: what the law reads, of "size", "tokens", "flops". source: where it is from.
    """

    name: str
    constants: tuple[str, ...]
    exponents: tuple[str, ...]
    floor: str | None
    variables: tuple[Variable, ...]
    source: Publication

    @abstractmethod
    def prepare(self, points: Points) -> Prepared:
        """Return the family at `points`."""

    @abstractmethod
    def log_loss(self, constants: Floats, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return ln(loss) for one set of constants (q,) at points (n,) or of one scalar each."""


@final
class PowerSumFamily(AbstractFamily):
    """A sum of powers: loss = sum of scale * variable^-exponent, a term without a variable being the floor.

    Args:
        name: of the law. source: where it is from.
        terms: (scale, exponent, variable) each; exponent and variable None for the floor.
    """

    def __init__(self, name: str, source: Publication, *terms: tuple[str, str | None, Variable | None]) -> None:
        self.name, self.source, self.terms = name, source, terms
        self.exponents = tuple(dict.fromkeys(e for _, e, _ in terms if e is not None))
        self.constants = tuple(scale for scale, _, _ in terms) + self.exponents
        self.floor = next((scale for scale, e, _ in terms if e is None), None)
        self.variables = tuple(dict.fromkeys(v for _, _, v in terms if v is not None))

    def prepare(self, points: Points) -> Prepared:
        """Return the family at `points`."""
        return _PreparedPowers(self, points)

    def log_loss(self, constants: Floats, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return ln of the sum."""
        value = dict(zip(self.constants, constants.tolist(), strict=True))
        terms = []
        for scale, exponent, variable in self.terms:
            power = 0.0 if exponent is None else -value[exponent] * _variable(variable, log_size, log_tokens)
            terms.append(value[scale] * np.exp(power) + 0.0 * (log_size + log_tokens))
        return np.asarray(np.log(np.sum(terms, axis=0)))


def _variable(name: Variable | None, log_size: Floats, log_tokens: Floats) -> Floats:
    if name == "size":
        return log_size
    if name == "tokens":
        return log_tokens
    return np.asarray(np.log(FLOPS_PER_PARAMETER_TOKEN) + log_size + log_tokens)


@final
class _PreparedPowers(Prepared):
    def __init__(self, family: PowerSumFamily, points: Points) -> None:
        self.family, self.points = family, points
        self.centre = [
            0.0 if e is None else float(np.mean(_variable(v, points.log_size, points.log_tokens)))
            for _, e, v in family.terms
        ]
        self.level = float(np.min(points.log_loss))

    def form(self, log_size: Floats, log_tokens: Floats) -> PowerSumResidualModel:
        family, terms = self.family, len(self.family.terms)
        design = np.zeros((terms, len(log_size), terms + len(family.exponents)))
        for k, (_, exponent, variable) in enumerate(family.terms):
            design[k, :, k] = 1.0
            if exponent is not None:
                column = terms + family.exponents.index(exponent)
                design[k, :, column] = self.centre[k] - _variable(variable, log_size, log_tokens)
        free = len(family.exponents)
        least = np.array([self.level - TERM_LOG_RANGE[0]] * terms + [EXPONENTS[0]] * free)
        most = np.array([self.level + TERM_LOG_RANGE[1]] * terms + [EXPONENTS[1]] * free)
        return PowerSumResidualModel(design, least, most)

    @property
    def starts(self) -> Floats:
        points, family, terms = self.points, self.family, len(self.family.terms)
        loss, found = np.exp(points.log_loss), []
        for guess in itertools.product(START_EXPONENTS, repeat=len(family.exponents)):
            columns = []
            for k, (_, exponent, variable) in enumerate(family.terms):
                power = 0.0 if exponent is None else guess[family.exponents.index(exponent)]
                at = _variable(variable, points.log_size, points.log_tokens)
                columns.append(np.exp(power * (self.centre[k] - at)) / loss)
            # given the exponents the scales are linear; a negative one is started small instead
            scales = np.linalg.lstsq(np.stack(columns, axis=1), np.ones(len(loss)), rcond=None)[0]
            found.append([*np.log(np.maximum(scales, 0.02 * np.exp(self.level))), *guess])
        return np.array(found).reshape(-1, terms + len(family.exponents))

    def constants(self, theta: Floats) -> Floats:
        terms, log_scales = len(self.family.terms), []
        for k, (_, exponent, _) in enumerate(self.family.terms):
            power = 0.0 if exponent is None else theta[:, terms + self.family.exponents.index(exponent)]
            log_scales.append(theta[:, k] + power * self.centre[k])
        return np.concatenate([np.exp(np.stack(log_scales, axis=1)), theta[:, terms:]], axis=1)


def _kaplan(equation: str) -> Publication:
    return Publication("Kaplan et al.", 2020, "arXiv 2001.08361", equation)


@final
class KaplanFamily(AbstractFamily):
    """loss = [(Nc/N)^(alpha_N/alpha_D) + Dc/D]^alpha_D, plus E if there is a floor (Kaplan et al. 2020, 1.5).

    Args:
        with_floor: add an irreducible loss E, which Kaplan et al. do not have.
    """

    def __init__(self, *, with_floor: bool = False) -> None:
        self.with_floor = with_floor
        self.name = "kaplan_with_floor" if with_floor else "kaplan"
        self.constants = ("Nc", "Dc", "alpha_N", "alpha_D", *(("E",) if with_floor else ()))
        self.exponents = ("alpha_N", "alpha_D")
        self.floor = "E" if with_floor else None
        self.variables = ("size", "tokens")
        self.source = _kaplan("equation 1.5, and a floor" if with_floor else "equation 1.5")

    def prepare(self, points: Points) -> Prepared:
        """Return the family at `points`."""
        return _PreparedKaplan(self.with_floor, points)

    def log_loss(self, constants: Floats, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return ln of the loss."""
        log_nc, log_dc = np.log(constants[0]), np.log(constants[1])
        alpha_n, alpha_d = float(constants[2]), float(constants[3])
        inner = alpha_d * np.logaddexp((alpha_n / alpha_d) * (log_nc - log_size), log_dc - log_tokens)
        return np.asarray(np.logaddexp(np.log(constants[4]), inner) if self.with_floor else inner)


@final
class _PreparedKaplan(Prepared):
    # free parameters: ln of the size term and of the data term at the centre, alpha_N / alpha_D, alpha_D, ln E
    def __init__(self, with_floor: bool, points: Points) -> None:
        self.with_floor = with_floor
        self.size, self.tokens = float(points.log_size.mean()), float(points.log_tokens.mean())
        self.level, self.middle = float(points.log_loss.min()), float(points.log_loss.mean())

    def form(self, log_size: Floats, log_tokens: Floats) -> AbstractResidualModel:
        return _KaplanForm(log_size - self.size, log_tokens - self.tokens, self.level, self.with_floor)

    @property
    def starts(self) -> Floats:
        found = []
        for ratio, power in itertools.product((0.5, 1.0, 2.0), (0.05, 0.1, 0.25, 0.5)):
            for share in (0.2, 0.6) if self.with_floor else (0.0,):
                each = (self.middle + np.log1p(-share)) / power - np.log(2.0)
                found.append([each, each, ratio, power, *([self.middle + np.log(share)] if share else [])])
        return np.array(found)

    def constants(self, theta: Floats) -> Floats:
        log_nc = np.clip(theta[:, 0] / theta[:, 2] + self.size, -600, 600)
        log_dc = np.clip(theta[:, 1] + self.tokens, -600, 600)
        columns = [np.exp(log_nc), np.exp(log_dc), theta[:, 2] * theta[:, 3], theta[:, 3]]
        return np.stack(columns + ([np.exp(theta[:, 4])] if self.with_floor else []), axis=1)


@final
class _KaplanForm(JacobianResidualModel):
    def __init__(self, size: Floats, tokens: Floats, level: float, with_floor: bool) -> None:
        self.size, self.tokens, self.with_floor = size, tokens, with_floor
        floor = ([level - TERM_LOG_RANGE[0]], [level + TERM_LOG_RANGE[1]]) if with_floor else ([], [])
        self._bounds = (
            np.array([-1e3, -1e3, 0.05, EXPONENTS[0], *floor[0]]),
            np.array([1e3, 1e3, 20.0, EXPONENTS[1], *floor[1]]),
        )

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        return self._bounds

    def jacobian(self, theta: Floats) -> tuple[Floats, Floats]:
        column = [theta[:, k : k + 1] for k in range(theta.shape[1])]
        of_size, of_data = column[0] - column[2] * self.size, column[1] - self.tokens
        inner = np.logaddexp(of_size, of_data)
        share, power = np.exp(of_size - inner), column[3]
        slopes = [power * share, power * (1 - share), -power * share * self.size, inner]
        if not self.with_floor:
            return np.asarray(power * inner), np.stack(slopes, axis=-1)
        whole = np.logaddexp(column[4], power * inner)
        above = np.exp(power * inner - whole)
        return whole, np.stack([above * slope for slope in slopes] + [1 - above], axis=-1)


#: A power of size and one of tokens above a floor (Hoffmann et al. 2022).
CHINCHILLA = PowerSumFamily(
    "chinchilla",
    Publication("Hoffmann et al.", 2022, "arXiv 2203.15556", "equation 2"),
    *(("E", None, None), ("A", "alpha", "size"), ("B", "beta", "tokens")),
)
#: The same with one exponent for size and data (Muennighoff et al. 2023).
EQUAL_EXPONENTS = PowerSumFamily(
    "equal_exponents",
    Publication("Muennighoff et al.", 2023, "arXiv 2305.16264", "equation 2 with alpha = beta, appendix A"),
    *(("E", None, None), ("A", "alpha", "size"), ("B", "alpha", "tokens")),
)
#: A power of compute above a floor: for runs along one frontier (Henighan et al. 2020).
COMPUTE = PowerSumFamily(
    "compute",
    Publication("Henighan et al.", 2020, "arXiv 2010.14701", "equation 1.1"),
    *(("E", None, None), ("F", "gamma", "flops")),
)
#: A pure power of compute.
COMPUTE_NO_FLOOR = PowerSumFamily("compute_no_floor", _kaplan("equation 1.3"), ("F", "gamma", "flops"))
#: One power within another.
KAPLAN = KaplanFamily()
KAPLAN_WITH_FLOOR = KaplanFamily(with_floor=True)
#: Every family, by name.
FAMILIES: dict[str, AbstractFamily] = {
    family.name: family
    for family in (CHINCHILLA, EQUAL_EXPONENTS, COMPUTE, COMPUTE_NO_FLOOR, KAPLAN, KAPLAN_WITH_FLOOR)
}
