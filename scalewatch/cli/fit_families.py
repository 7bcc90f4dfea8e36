"""The half of `scalewatch fit` for every family but Chinchilla's law and the law of curves: fit, show, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.cli.fit_options import EstimatorOptions
from scalewatch.cli.fit_runs import say
from scalewatch.cli.fit_tables import Constant, FittedLaw, constants_table
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.fitting import Fit
    from scalewatch.laws import Law
    from scalewatch.offline.reading import Reading
    from scalewatch.offline.tables import Table

__all__ = ["check_family", "fit_one_family"]

#: Normal deviate of `LEVEL`, both sides.
NORMAL_80 = 1.2816
#: Families that are fitted to finished runs, whose columns are guessed as for Chinchilla's law.
_OF_RUNS = ("parameters", "tokens", "loss")
#: Other names of columns that are not guessed.
_ALSO = {"count": ("counts", "occurrences", "frequency"), "unique_tokens": ("unique", "different_tokens")}


def check_family(name: str) -> None:
    """Refuse a family that there is not.

    Raises:
        ConfigError: says which there are.
    """
    from scalewatch.fitting import LAW_FAMILIES

    if name not in ("auto", *LAW_FAMILIES):
        raise ConfigError(f"`--family` must be auto or one of {', '.join(LAW_FAMILIES)} (got {name!r:.40}).")


def fit_one_family(
    console: Console, reading: Reading, family: str, output: Path, options: EstimatorOptions
) -> FittedLaw:
    """Fit a law of `family`, print it, write it; return what was made.

    Raises:
        FitError: if the table does not carry the law, with the columns that are missing, or what to add.
        ConfigError: if an option is out of its range.
    """
    from scalewatch.fitting import LAW_FAMILIES, FitOptions, fit, save_fit

    row = LAW_FAMILIES[family]
    found = fit(
        family,
        _data(console, reading, family),
        FitOptions(estimator=options.kind, bootstrap=options.bootstrap, breaks=options.breaks),
    )
    save_fit(found, output)
    say(console, found.left_out, "yellow")
    constants = tuple(_constants(found))
    console.print(constants_table(row.formula, constants))
    takes = ", ".join(f"{quantity.name} [{quantity.unit}]" for quantity in found.law.inputs)
    say(console, [f"{found.law.output.name} [{found.law.output.unit}] at {takes}."], "dim")
    say(
        console, [f"Rests on {found.runs:,} {'curves' if row.curves else 'rows'}. Source: {found.law.publication}."], ""
    )
    style = "green" if found.status.name == "OK" else "yellow" if found.status.usable else "bold red"
    for status, note in zip_longest(found.statuses, found.notes, fillvalue=""):
        say(console, [status] if status else [], style)
        say(console, [f"  {note}"] if note else [], "dim")
    say(console, [f"Written to {output}. Read it: scalewatch.laws.read_law({str(output)!r})."], "")
    if not found.status.usable:
        say(console, ["Do not plan with this law: its constants are where the search ended, no more."], "bold red")
    return FittedLaw(family, row.formula, found.runs, constants, found.status.usable)


def _data(console: Console, reading: Reading, family: str) -> Any:
    from scalewatch.cli.fit_whole_curves import curves_of
    from scalewatch.cli.table_columns import columns_of
    from scalewatch.fitting import LAW_FAMILIES
    from scalewatch.offline.finished_runs import ends, from_tables

    row = LAW_FAMILIES[family]
    if row.curves:
        return curves_of(console, reading)
    if tuple(row.columns) == _OF_RUNS:
        if reading.folders:
            raise ConfigError(f"{reading.folders[0]} is no table: the family {family} is fitted to finished runs.")
        rows = from_tables(reading.tables, reading.overrides, bytes_per_token=reading.bytes_per_token)
        finished = ends(rows)
        say(console, rows.notes, "dim")
        say(console, finished.left_out, "yellow")
        return {"parameters": finished.size, "tokens": finished.tokens, "loss": finished.loss}
    sizes = ("non_embedding_parameters", "n_non_embedding") if family == "transfer" else ("n_params", "params")
    if "unique_tokens" in row.columns:
        reading = replace(reading, tables=[_with_tokens(table, reading.overrides) for table in reading.tables])
    data, notes = columns_of(reading, row.columns, {**_ALSO, "parameters": sizes})
    say(console, notes, "dim")
    return data


def _with_tokens(table: Table, overrides: dict[str, str]) -> Table:
    """The table, with a column of the tokens that runs saw where it has their epochs."""
    from scalewatch.offline.role_names import ROLES
    from scalewatch.offline.run_columns import tokens_of_epochs
    from scalewatch.offline.tables import named_columns

    roles = named_columns(table, {role: name for role, name in overrides.items() if role in ROLES})
    seen = None if "tokens" in roles else tokens_of_epochs(table, roles)
    return table if seen is None else replace(table, columns={**table.columns, "tokens": seen})


def _constants(found: Fit[Law]) -> Iterable[Constant]:
    """What a law's file holds as numbers, with an interval where the fit has an error."""
    law: Any = found.law
    values = law.numbers or getattr(law, "constants", {})
    for name, value in values.items():
        error = found.standard_errors.get(name)
        yield Constant(name, float(value), None if error is None else _interval(float(value), error), "")
    for i, one in enumerate(getattr(law, "breaks", ()), 1):
        for name, value in dataclasses.asdict(one).items():
            yield Constant(f"{name} {i}", value, None, "of the break")
    for one, weight in zip(getattr(law, "laws", ()), getattr(law, "weights", ()), strict=True):
        yield Constant(one.family.name, weight, None, "weight")


def _interval(value: float, error: float) -> tuple[float, float]:
    """The interval of a constant above zero: normal in its logarithm, so that no end of it is below zero."""
    with np.errstate(all="ignore"):
        low, high = value * np.exp(np.array([-1.0, 1.0]) * NORMAL_80 * error / value)
    return float(low), float(high)
