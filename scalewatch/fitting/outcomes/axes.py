"""Columns of a table of finished runs as axes: what each is by its name, and where its middle lies.

A law asks for roles (size, tokens, experts), a table has names (`n_params`, `D`, `num_experts`). A column whose name
says nothing is an axis all the same, for the laws that take any. Inside, a positive column is its natural logarithm
about its mean, any other one counts standard deviations, so no fit depends on units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.objective import words_of

__all__ = ["FALLING", "GROUP", "Axes", "Axis", "Outcomes", "Points", "counted_by", "is_compute", "role_of"]

#: Role -> names of columns that play it, letters and digits only, lower case; the first found counts.
ROLES: dict[str, tuple[str, ...]] = {
    "size": (
        *("parameters", "totalparameters", "params", "nparams", "nparameters", "numparams", "numparameters"),
        *("totalparams", "paramcount", "modelsize", "size", "n", "nonembeddingparameters", "nonembeddingparams"),
        *("paramsnonembedding", "parametersnonembedding", "nparamsnonembedding", "nonembedding"),
        *("nonembeddingparamsize", "nnonembedding", "nonvocabparams", "nonvocabparameters", "denseparams"),
        *("denseparameters", "denseparametercount", "denseparamsbillion", "activeparameters", "activeparams"),
        *("nactive", "activeparamsbillion", "paramsbillion", "parameter"),
    ),
    "tokens": (
        *("tokens", "ntokens", "numtokens", "trainingtokens", "traintokens", "totaltokens", "d", "datasize", "data"),
        *("characters", "numcharacters", "nchars", "chars", "datasizetokens", "tokensbillion", "tokensseen", "token"),
    ),
    "unique": ("uniquetokens", "unique", "uniquedata", "differenttokens", "distincttokens"),
    "rate": ("learningrate", "lr", "peaklr", "peaklearningrate", "maxlr"),
    "batch": ("batchsize", "batchsequences", "batchseqs", "batchtokens", "batch", "bsz", "bs", "globalbatchsize"),
    "experts": ("experts", "numexperts", "nexperts", "expertcount"),
    "streams": ("parallelstreams", "streams", "numstreams", "parallelsize", "nstreams"),
    "vocabulary": ("vocab", "vocabulary", "vocabsize", "vocabularysize", "nvocab"),
}
#: Names of columns of compute, which size and tokens say already.
COMPUTE = frozenset({"c", "flop", "flops", "compute", "trainflops", "trainingflops", "totalflops", "computeflops"})
_IN_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]]\s*$")
#: Roles of which more is expected to be better, so that their exponents are expected above zero.
FALLING = ("size", "tokens", "unique", "experts", "streams")
#: Words of the name of a count that say no more than that it is one.
_FILLING = frozenset(
    {"n", "num", "number", "of", "total", "count", "model", "train", "training", "trained", "seen", "consumed", "the"}
    | {
        "processed",
        "final",
        "all",
        "in",
        "m",
        "b",
        "k",
        "t",
        "million",
        "millions",
        "billion",
        "billions",
        "trillion",
        "trillions",
    }
)
#: What is left of the name of a count -> what it counts, where the name as a whole is none of the above.
_COUNTED = {
    **dict.fromkeys(("params", "parameters", "param", "parameter"), "size"),
    **dict.fromkeys(("tokens", "token", "data", "data size", "dataset", "dataset size", "dataset tokens"), "tokens"),
    **dict.fromkeys(("data tokens", "text"), "tokens"),
}
#: Beginnings of the names of columns that are parts of a whole.
PARTS = ("proportion", "weight", "mixture", "mix", "ratio", "share", "fraction")
#: Least spread of an axis, in e-folds or standard deviations, that a law can see. By hand.
LEAST_SPREAD = 1e-6
#: Part of an axis' variance that the axes before it must leave open. By hand.
LEAST_OWN = 1e-6
#: Key of the label of a run among its points; no column is named like that.
GROUP = "\0group"
#: Quantile of the losses that the spread is told to: runs that diverged lie above. By hand.
HIGH = 0.9

#: Fall of ln(term) for an e-fold of compute, half of the exponent of size or data (Hoffmann 2022, Besiroglu 2024), and
#: the range in which that of a table is believed. By hand.
FALL_OF_COMPUTE, LEAST_FALL, MOST_FALL = 0.17, 0.2, 1.6

Points = Mapping[str, Floats]


def plain(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def role_of(name: str) -> str | None:
    """Return what a column is by its name: a role, "part" of a whole, or None.

    >>> role_of("config.n_params"), role_of("Tokens seen (B)"), role_of("proportion_web"), role_of("colour")
    ('size', 'tokens', 'part', None)
    >>> role_of("num_model_params"), role_of("throughput/total_tokens"), role_of("tokens per parameter")
    ('size', 'tokens', None)
    """
    word = plain(name)
    # without a unit in brackets, and without the section of an export
    bare = _IN_BRACKETS.sub("", name)
    words = (word, plain(bare), plain(bare.rpartition(".")[2]))
    found = next((role for role, names in ROLES.items() if any(each in names for each in words)), None)
    return found or counted_by(name) or ("part" if word.startswith(PARTS) and "loss" not in word else None)


def counted_by(name: str) -> str | None:
    """Return what the words of a column's name say that it counts, "size" or "tokens"; None if neither.

    >>> counted_by("# of model params"), counted_by("Training data [B tokens]"), counted_by("batch_tokens")
    ('size', 'tokens', None)
    """
    last = re.split(r"[./]", _IN_BRACKETS.sub("", name))[-1]
    words = words_of(last)
    left = " ".join(word for word in words if word not in _FILLING)
    return "size" if left == "size" and "model" in words else _COUNTED.get(left)


def is_compute(name: str) -> bool:
    """Return whether a column counts compute by its name.

    >>> is_compute("C (FLOPs)"), is_compute("summary.flops"), is_compute("batch")
    (True, True, False)
    """
    bare = _IN_BRACKETS.sub("", name)
    return bool(COMPUTE & {plain(name), plain(bare), plain(bare.rpartition(".")[2])})


@final
@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Finished runs: numbers that say what was trained, and the loss that came.

    Attributes:
        columns: name -> values, shape (n,), finite. loss: shape (n,), finite.
        group: label of each run where there are labels, shape (n,), else None.
    """

    columns: dict[str, Floats]
    loss: Floats
    group: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Return how many runs there are."""
        return len(self.loss)

    def take(self, rows: Sequence[int] | np.ndarray) -> Outcomes:
        """Return some of the runs."""
        index = np.asarray(rows, dtype=np.int64)
        few = None if self.group is None else tuple(self.group[i] for i in index.tolist())
        return Outcomes({name: values[index] for name, values in self.columns.items()}, self.loss[index], few)


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """A column that varies.

    Attributes:
        key: its role, or its own name where it has none or another column has it. column: its name in the table.
        log: whether it is taken in logarithms. middle: subtracted. unit: divided by. least, most: of the runs, scaled.
        spread: standard deviation, scaled.
    """

    key: str
    column: str
    log: bool
    middle: float
    unit: float
    least: float
    most: float
    spread: float

    def scaled(self, values: Floats) -> Floats:
        """Return values of the column on the axis."""
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(values)
        return np.asarray((values - self.middle) / self.unit)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """The axes of a table, and the scale of its losses.

    Attributes:
        axes: each a column that varies. least: the least loss. spread: how far the losses lie above it.
        relative: whether errors of the loss count in parts of it, as where all losses are above zero.
        groups: labels of the runs, each once; empty where they have none.
        fall: by how much the terms of a law are expected to fall over the runs, in ln; None without size and tokens.
    """

    axes: tuple[Axis, ...]
    least: float
    spread: float
    relative: bool
    groups: tuple[str, ...]
    fall: float | None = None

    @classmethod
    def of(cls, runs: Outcomes) -> Axes:
        """Return the axes of finished runs.

        Raises:
            FitError: if no column of them varies, or the losses do not.
        """
        found: list[Axis] = []
        seen: list[Floats] = [np.ones(len(runs))]
        for name in sorted(runs.columns, key=lambda name: _rank(role_of(name))):
            values = runs.columns[name]
            axis = _axis(name, values, {one.key for one in found})
            if axis is None:
                continue
            here = axis.scaled(values)
            # parts of a whole make each other up, and each is wanted
            if role_of(name) != "part" and _made_up_of(here, seen):
                continue
            found.append(axis)
            seen.append(here)
        if not found:
            raise FitError("No column of the table varies, so there is nothing to tell the runs apart by.")
        least = float(runs.loss.min())
        spread = float(np.quantile(runs.loss, HIGH)) - least
        if not spread > 0:
            raise FitError("All losses are equal: there is no law to be seen in them.")
        groups = () if runs.group is None else tuple(sorted(set(runs.group)))
        place = {axis.key: values for axis, values in zip(found, seen[1:], strict=True)}
        return cls(tuple(found), least, spread, bool(least > 0), groups, _fall(place))

    @property
    def keys(self) -> tuple[str, ...]:
        """What there are axes of."""
        return tuple(axis.key for axis in self.axes)

    def points(self, columns: Mapping[str, Floats], group: Sequence[str] | None = None) -> Points:
        """Return runs on the axes: key -> (m,); `GROUP` is the place of each label, -1 of one that is not known."""
        made = {axis.key: axis.scaled(columns[axis.column]) for axis in self.axes}
        if self.groups and group is not None:
            place = {label: float(i) for i, label in enumerate(self.groups)}
            made[GROUP] = np.array([place.get(label, -1.0) for label in group])
        return made

    def target(self, loss: Floats) -> Floats:
        """Return what is fitted: ln(loss) where errors are relative, else the loss in spreads."""
        return np.asarray(np.log(loss) if self.relative else loss / self.spread)

    def loss(self, target: Floats) -> Floats:
        """Return the loss of what is fitted."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(target) if self.relative else target * self.spread)


def _fall(place: Points) -> float | None:
    given = [place[key] for key in ("size", "tokens") if key in place]
    if not given or len(place) > len(given):
        return None
    per_efold = FALL_OF_COMPUTE * (2 if len(given) == 1 else 1)
    return float(np.clip(per_efold * np.ptp(np.sum(given, axis=0)), LEAST_FALL, MOST_FALL))


def _rank(role: str | None) -> int:
    return list(ROLES).index(role) if role in ROLES else len(ROLES)


def _made_up_of(axis: Floats, others: Sequence[Floats]) -> bool:
    design = np.stack(others, axis=1)
    left = axis - design @ np.linalg.lstsq(design, axis, rcond=None)[0]
    return float(left @ left) < LEAST_OWN * float(np.sum((axis - axis.mean()) ** 2))


def _axis(name: str, values: Floats, taken: set[str]) -> Axis | None:
    role = role_of(name)
    log = bool(np.all(values > 0)) and role != "part"
    scaled = np.log(values) if log else values
    middle, sd = float(np.mean(scaled)), float(np.std(scaled))
    if not sd > LEAST_SPREAD * max(1.0, abs(middle)):
        return None
    unit = 1.0 if log or role == "part" else sd
    middle = 0.0 if role == "part" else middle
    own = (scaled - middle) / unit
    key = role if role not in (None, "part") and role not in taken else name
    return Axis(str(key), name, log, middle, unit, float(own.min()), float(own.max()), float(own.std()))
