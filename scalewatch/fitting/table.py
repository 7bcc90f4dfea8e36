"""Every law, and one way to fit each: what a family reads, and what its file is.

A new law is one file in `scalewatch.laws` or here, and one row of this table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

from scalewatch.errors import FitError, LawFileError
from scalewatch.fitting.annealing import fit_annealing
from scalewatch.fitting.average import average_laws
from scalewatch.fitting.averaged_law import AveragedLaw
from scalewatch.fitting.broken import fit_broken
from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.chinchilla_file import KIND as CHINCHILLA_FILE
from scalewatch.fitting.chinchilla_file import load_chinchilla
from scalewatch.fitting.curves import fit_curves
from scalewatch.fitting.families import FAMILIES as OF_POINTS
from scalewatch.fitting.multi_power import fit_multi_power
from scalewatch.fitting.points import Estimator, FittedLaw, fit_family
from scalewatch.fitting.repeated_data import fit_repeated_data
from scalewatch.fitting.result import Fit
from scalewatch.fitting.status import FitStatus
from scalewatch.fitting.transfer import fit_transfer
from scalewatch.laws.annealing_law import AnnealingLaw
from scalewatch.laws.broken import BrokenLaw
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.curve import Curve
from scalewatch.laws.curve_law import SCATTERED_LOG_SD, CurveLaw
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.law import Law
from scalewatch.laws.learning_curve_theory import ZipfCurve, fit_zipf_tail
from scalewatch.laws.multi_power import MultiPowerLaw
from scalewatch.laws.repeated_data import RepeatedData
from scalewatch.laws.transfer import Transfer
from scalewatch.strict_json import check_fields, number, read_record, sentences, write_record

__all__ = ["LAWS", "LAW_FAMILIES", "FitOptions", "LawFamily", "fit", "read_law", "save_fit"]

#: Every law, also those that are published and not fitted.
LAWS: tuple[type[Law], ...] = (
    *(Chinchilla, Kaplan, FittedLaw, AveragedLaw, RepeatedData, Transfer, BrokenLaw),
    *(CurveLaw, AnnealingLaw, MultiPowerLaw, ZipfCurve),
)

Columns = Mapping[str, Any]
FIT_KIND = "fit"


@final
@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit: what a family has no use for it leaves.

    Attributes:
        estimator: "huber" or "lad". bootstrap: resamples for errors. seed: of all that is drawn.
        breaks: of a broken law, 0 to 2.
    """

    estimator: Estimator = "huber"
    bootstrap: int = 0
    seed: int = 0
    breaks: int = 1


@final
@dataclass(frozen=True, slots=True)
class LawFamily:
    """A row of the table.

    Attributes:
        law: what is fitted. about: what it says, in a line. formula: for the eye.
        columns: of the table that it is fitted to, name -> what it holds. curves: whether rows are steps of runs.
        make: fits it to columns, or to curves.
    """

    law: type[Law]
    about: str
    formula: str
    columns: dict[str, str]
    make: Callable[[Any, FitOptions], Fit[Law]]
    curves: bool = False


def fit(family: str, data: Columns | Sequence[Curve], options: FitOptions = FitOptions()) -> Fit[Law]:
    """Fit a law of some family.

    Args:
        family: a name of `LAW_FAMILIES`. data: name of each of its columns -> values, shape (n,); or, of a family of
            curves, the curves. options: how.

    Raises:
        FitError: if there is no such family, a column is missing, or the data do not carry a law.

    >>> import numpy as np
    >>> size, tokens = np.meshgrid([1e8, 3e8, 1e9, 3e9], [3e9, 1e10, 3e10])
    >>> losses = 1.8 + 400 * size**-0.34 + 1200 * tokens**-0.36
    >>> found = fit("chinchilla", {"parameters": size.ravel(), "tokens": tokens.ravel(), "loss": losses.ravel()})
    >>> f"{found.law.predict({'parameters': 1e9, 'tokens': 2e10}):.3f}"
    '2.383'
    """
    if family not in LAW_FAMILIES:
        raise FitError(f"There is no family {family!r:.40}: choose one of {', '.join(LAW_FAMILIES)}.")
    row = LAW_FAMILIES[family]
    if row.curves != (not isinstance(data, Mapping)):
        raise FitError(f"The family {family} is fitted to {'curves' if row.curves else 'columns'}.")
    if isinstance(data, Mapping):
        missing = [name for name in row.columns if name not in data]
        if missing:
            raise FitError(f"The family {family} needs {', '.join(row.columns)}: {', '.join(missing)} missing.")
    return row.make(data, options)


def _of_points(name: str) -> Callable[[Columns, FitOptions], Fit[Law]]:
    def make(data: Columns, options: FitOptions) -> Fit[Law]:
        how: dict[str, Any] = {"estimator": options.estimator, "bootstrap": options.bootstrap, "seed": options.seed}
        table = (data["parameters"], data["tokens"], data["loss"])
        if name == "chinchilla":
            return fit_chinchilla(*table, **how)
        return fit_family(OF_POINTS[name], *table, **how)

    return make


def _curves(data: Sequence[Curve], options: FitOptions) -> Fit[Law]:
    law = fit_curves(data)
    status = FitStatus.OK if law.scatter.run_log_sd <= SCATTERED_LOG_SD else FitStatus.SCATTERED
    statuses = (status if law.usable else FitStatus.MISFIT,)
    return Fit(
        law=law,
        objective=law.scatter.run_log_sd,
        runs=law.evidence.runs,
        statuses=statuses,
        notes=law.cautions,
        left_out=law.evidence.left_out,
    )


def _zipf(data: Columns, options: FitOptions) -> Fit[Law]:
    tail = fit_zipf_tail(data["count"])
    if not tail.alpha >= ZipfCurve.RANGES["alpha"][0]:
        raise FitError("These counts have no tail that sums up, so no power law follows: " + " ".join(tail.notes))
    status = FitStatus.MISFIT if tail.notes else FitStatus.OK
    errors, notes = {"alpha": tail.alpha_sd}, (f"The error falls as n^-{tail.exponent:.3f}.", *tail.notes)
    return Fit(
        law=ZipfCurve(tail.alpha),
        objective=tail.alpha_sd,
        runs=tail.types,
        statuses=(status,),
        notes=notes,
        standard_errors=errors,
    )


_RUNS = {"parameters": "size of the model", "tokens": "trained on", "loss": "at the end [nats/token]"}
_STEPS = {
    "step": "steps completed",
    "loss": "then [nats/token]",
    "learning_rate": "then",
    "run": "if there are several",
}

#: Family -> what is fitted, and to what.
LAW_FAMILIES: dict[str, LawFamily] = {
    "chinchilla": LawFamily(
        Chinchilla, "size and data, each a power", "L = E + A N^-alpha + B D^-beta", _RUNS, _of_points("chinchilla")
    ),
    "equal-exponents": LawFamily(
        FittedLaw, "the same with one exponent", "L = E + A N^-a + B D^-a", _RUNS, _of_points("equal_exponents")
    ),
    "kaplan": LawFamily(FittedLaw, "no floor", "L = [(Nc/N)^(aN/aD) + Dc/D]^aD", _RUNS, _of_points("kaplan")),
    "kaplan-with-floor": LawFamily(
        FittedLaw, "the same above a floor", "L = E + [...]^aD", _RUNS, _of_points("kaplan_with_floor")
    ),
    "compute": LawFamily(FittedLaw, "runs along one frontier", "L = E + F C^-gamma", _RUNS, _of_points("compute")),
    "compute-no-floor": LawFamily(
        FittedLaw, "the same without a floor", "L = F C^-gamma", _RUNS, _of_points("compute_no_floor")
    ),
    "averaged": LawFamily(
        AveragedLaw,
        "all of these, weighted by how well each predicts the larger runs from the smaller",
        "ln L = sum of w ln L_i",
        _RUNS,
        lambda data, options: average_laws(
            data["parameters"], data["tokens"], data["loss"], estimator=options.estimator
        ),
    ),
    "repeated-data": LawFamily(
        RepeatedData,
        "what repeated tokens are worth",
        "L = E + A N'^-alpha + B D'^-alpha",
        {**_RUNS, "tokens": "repeats included", "unique_tokens": "different ones"},
        lambda data, options: fit_repeated_data(
            data["parameters"], data["tokens"], data["unique_tokens"], data["loss"], seed=options.seed
        ),
    ),
    "transfer": LawFamily(
        Transfer,
        "what pre-training is worth in fine-tuning text",
        "D_E = D_F + k D_F^alpha N^beta",
        {
            "characters": "fine-tuned on",
            "parameters": "non-embedding",
            "effective_characters": "from nothing, for the same loss",
        },
        lambda data, options: fit_transfer(data["characters"], data["parameters"], data["effective_characters"]),
    ),
    "broken": LawFamily(
        BrokenLaw,
        "a metric with breaks over any scale",
        "y = a + b x^-c0 times (1 + (x/d)^(1/f))^(-c f) a break",
        {"x": "compute, size or data", "y": "a metric that is better when lower"},
        lambda data, options: fit_broken(data["x"], data["y"], options.breaks),
    ),
    "zipf": LawFamily(
        ZipfCurve,
        "the exponent that rare features promise",
        "E(n) = sum of p_i (1 - p_i)^n",
        {"count": "how often each type occurs"},
        _zipf,
    ),
    "curves": LawFamily(
        CurveLaw,
        "whole curves of several sizes, for a monitor",
        "L = E + K n^-a + A n^b (w^-alpha - rho D)",
        _STEPS,
        _curves,
        curves=True,
    ),
    "annealing": LawFamily(
        AnnealingLaw,
        "curves of one model under several schedules",
        "L = L0 + A S^-alpha - C D",
        _STEPS,
        lambda curves, options: fit_annealing(curves),
        curves=True,
    ),
    "multi-power": LawFamily(
        MultiPowerLaw,
        "the same, each drop of the rate a power of its own",
        "L = L0 + A S^-alpha - B sum of drops G(S_k)",
        _STEPS,
        lambda curves, options: fit_multi_power(curves),
        curves=True,
    ),
}


def save_fit(fitted: Fit[Law], path: str | os.PathLike[str]) -> None:
    """Write a fitted law with what is to be said of it to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    record = {"schema": 1, "kind": FIT_KIND, "law": fitted.law.to_json(), "runs": fitted.runs}
    record |= {"statuses": [status.name for status in fitted.statuses], "notes": list(fitted.notes)}
    write_record({**record, "left_out": list(fitted.left_out)}, path)


def read_law(path: str | os.PathLike[str]) -> Law:
    """Read a law of any kind: what `save_law`, `save_chinchilla` or `save_fit` wrote.

    Raises:
        LawFileError: if the file cannot be read or is no law file; the message names file, field and reason.
    """
    source = Path(path)
    record = read_record(source)
    if record.get("kind") == CHINCHILLA_FILE:
        return load_chinchilla(source).law
    if record.get("kind") == FIT_KIND:
        check_fields(source, record, FIT_KIND, 1, {"schema", "kind", "law", "runs", "statuses", "notes", "left_out"})
        number(source, "runs", record["runs"], 1, 1e9)
        for name in ("statuses", "notes", "left_out"):
            sentences(source, name, record[name])
        if not isinstance(record["law"], dict):
            raise LawFileError(f"{source}: `law` must be an object.")
        record = cast("dict[str, Any]", record["law"])
    by_kind = {law.KIND: law for law in LAWS}
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in by_kind:
        raise LawFileError(f"{source}: not a law file: `kind` is none of {', '.join(by_kind)} (got {kind!r:.80}).")
    return by_kind[kind].from_json(record, source)
