"""Chinchilla's law as a file: the fitted constants, what is not known about them, and what the fit had to say.

A law without its errors is a claim without them, so the file holds the sets of constants that the bootstrap drew:
from them every interval comes back, of a loss, of an exponent, of the best size for a budget.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import LawFileError
from scalewatch.fitting.points import PointFit
from scalewatch.fitting.prediction import Evidence, Prediction
from scalewatch.fitting.status import FitStatus, worst
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, SizeKind, count_for, positive
from scalewatch.strict_json import (
    check_fields,
    choice,
    fields_within,
    least_and_most,
    numbers_within,
    read_record,
    sentences,
    write_record,
)

__all__ = ["SavedChinchilla", "load_chinchilla", "save_chinchilla"]

#: Version of what stands in the file of Chinchilla's law. By definition.
SCHEMA = 1
KIND = "chinchilla_law"
#: Sets of constants that are kept: their quantiles are then known to 0.02 of the probability. By hand.
MOST_DRAWS = 1_000
#: Letters of the sentence on where a law is from. By hand.
SOURCE_LETTERS = 400

_CONSTANTS = ("E", "A", "B", "alpha", "beta")
#: Constant -> (least, most). By hand.
_CONSTANT_RANGES = ((0.0, 1e6), (1e-30, 1e60), (1e-30, 1e60), (1e-4, 10.0), (1e-4, 10.0))
_RANGES: dict[str, tuple[float, float]] = {
    "scale": (0.0, 10.0),
    "fall_per_efold": (0.0, 10.0),
    "runs": (1, 1e7),
}
_OTHERS = ("schema", "kind", "constants", "draws", "size_kind", "source")
_SPANS = ("sizes", "tokens", "flops", "losses")
_LISTS = ("statuses", "notes", "left_out")


@final
@dataclass(frozen=True, slots=True, eq=False)
class SavedChinchilla:
    """A law of final losses with all that is known of its errors.

    Attributes:
        law: at its best constants.
        draws: sets of constants (E, A, B, alpha, beta) that stand for what is not known, shape (b, 5).
        scale: standard deviation of ln(loss) of a run about the law.
        fall_per_efold: how much ln(loss) fell for each e-fold of compute over the fitted runs.
        runs: how many it rests on. flops: least and most compute of them [FLOP].
        losses: least and most final loss of them [nats/token].
        statuses: what the fit had to say, worst first. notes: the same with numbers.
        left_out: what the fit did not use and why, a sentence each.
    """

    law: Chinchilla
    draws: Floats
    scale: float
    fall_per_efold: float
    runs: int
    flops: tuple[float, float]
    losses: tuple[float, float]
    statuses: tuple[FitStatus, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, fit: PointFit[Chinchilla], left_out: Sequence[str] = ()) -> SavedChinchilla:
        """Return what is worth keeping of a fit."""
        least, most = np.array(_CONSTANT_RANGES).T
        draws = fit.draws[np.all((fit.draws >= least) & (fit.draws <= most), axis=1)]
        if len(draws) > MOST_DRAWS:
            draws = draws[np.linspace(0, len(draws) - 1, MOST_DRAWS).astype(int)]
        log_flops, log_loss = fit.points.log_flops, fit.points.log_loss
        return cls(
            law=fit.law,
            draws=draws,
            scale=fit.scale,
            fall_per_efold=fit.fall_per_efold,
            runs=len(fit.points),
            flops=(float(np.exp(log_flops.min())), float(np.exp(log_flops.max()))),
            losses=(float(np.exp(log_loss.min())), float(np.exp(log_loss.max()))),
            statuses=tuple(sorted(fit.statuses, key=list(FitStatus).index, reverse=True)),
            notes=fit.notes,
            left_out=tuple(left_out),
        )

    @property
    def status(self) -> FitStatus:
        """The worst that is to be said."""
        return worst(self.statuses)

    def interval_of(self, derived: Callable[[Floats], Floats], level: float = 0.8) -> tuple[float, float]:
        """Return the interval of what `derived` makes of sets of constants, (b, 5) -> (b,); not usable: -inf, inf.

        Raises:
            ConfigError: if `level` is not within (0, 1).
        """
        return self._evidence.interval_of(self.draws, derived, level)

    def predict(self, size: Parameters, tokens: ArrayLike, level: float = 0.8) -> Prediction:
        """Predict the loss of new runs, each with an interval that includes the scatter of runs, as `Fit.predict`.

        Args:
            size: parameters of the kind fitted. tokens: count; both broadcast. level: of the interval.

        Raises:
            ConfigError: if `size` counts something else, a number is not positive or `level` is not within (0, 1).
        """
        count = count_for("The fitted Chinchilla law", size, self.law.kind)
        seen = positive("tokens", tokens, "tokens, count")
        shape = np.broadcast_shapes(np.shape(count), np.shape(seen))
        n, d = (np.broadcast_to(np.asarray(v), shape).ravel() for v in (count, seen))
        middle = np.log(self.law.loss(Parameters(n, self.law.kind), d))
        floor, scale_n, scale_d, alpha, beta = (self.draws[:, i : i + 1] for i in range(5))
        sets = np.log(floor + scale_n * n**-alpha + scale_d * d**-beta)
        return self._evidence.predict(middle, sets, np.log(FLOPS_PER_PARAMETER_TOKEN * n * d), level, shape)

    @property
    def _evidence(self) -> Evidence:
        freedom = float(max(self.runs - len(_CONSTANTS), 1))
        misshapen = FitStatus.WRONG_SHAPE in self.statuses
        return Evidence(self.status, self.notes, self.scale, freedom, self.fall_per_efold, self.flops[1], misshapen)


def save_chinchilla(fitted: SavedChinchilla, path: str | os.PathLike[str]) -> None:
    """Write a fitted law to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    law = fitted.law
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "constants": [getattr(law, name) for name in _CONSTANTS],
        "size_kind": law.kind.value,
        "source": law.source[:SOURCE_LETTERS],
        "sizes": list(law.sizes or (1.0, 1e18)),
        "tokens": list(law.tokens or (1.0, 1e30)),
        "flops": list(fitted.flops),
        "losses": list(fitted.losses),
        "statuses": [status.name for status in fitted.statuses],
        "notes": list(fitted.notes),
        "left_out": list(fitted.left_out),
        "draws": fitted.draws[:MOST_DRAWS].tolist(),
    }
    record.update({name: getattr(fitted, name) for name in _RANGES})
    write_record(record, path)


def load_chinchilla(path: str | os.PathLike[str]) -> SavedChinchilla:
    """Read the law that `save_chinchilla` wrote.

    Raises:
        LawFileError: if the file cannot be read or is no such law file; the message names file, field and reason.
    """
    source = Path(path)
    record = read_record(source)
    check_fields(source, record, KIND, SCHEMA, {*_RANGES, *_OTHERS, *_SPANS, *_LISTS})
    spans = {name: least_and_most(source, name, record[name]) for name in _SPANS}
    lists = {name: sentences(source, name, record[name]) for name in _LISTS}
    values = fields_within(source, record, _RANGES)
    origin = record["source"]
    if not isinstance(origin, str) or len(origin) > SOURCE_LETTERS:
        raise LawFileError(f"{source}: `source` must be a sentence of at most {SOURCE_LETTERS} letters.")
    constants = numbers_within(source, "constants", record["constants"], _CONSTANT_RANGES)
    kind = SizeKind(choice(source, "size_kind", record["size_kind"], tuple(k.value for k in SizeKind)))
    return SavedChinchilla(
        law=Chinchilla(*constants, source=origin, kind=kind, sizes=spans["sizes"], tokens=spans["tokens"]),
        draws=_draws(source, record["draws"]),
        scale=values["scale"],
        fall_per_efold=values["fall_per_efold"],
        runs=int(values["runs"]),
        flops=spans["flops"],
        losses=spans["losses"],
        statuses=_statuses(source, lists["statuses"]),
        notes=lists["notes"],
        left_out=lists["left_out"],
    )


def _draws(source: Path, value: Any) -> Floats:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_DRAWS:
        raise LawFileError(f"{source}: `draws` must be 1 to {MOST_DRAWS} lists of 5 numbers.")
    return np.array([numbers_within(source, f"draws[{i}]", row, _CONSTANT_RANGES) for i, row in enumerate(value)])


def _statuses(source: Path, names: Sequence[str]) -> tuple[FitStatus, ...]:
    known = FitStatus.__members__
    for name in names:
        if name not in known:
            raise LawFileError(f"{source}: `statuses` names {name!r:.80}, which no fit says.")
    if not names:
        raise LawFileError(f"{source}: `statuses` must hold at least one.")
    return tuple(known[name] for name in names)
