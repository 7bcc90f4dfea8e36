"""`scalewatch fit TABLE --predict POINTS`: the losses of other runs, one line a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalewatch.cli.outputs import print_json
from scalewatch.errors import ConfigError
from scalewatch.offline.reading import Reading
from scalewatch.offline.table_files import KINDS
from scalewatch.offline.tables import Table, count_of, is_table, read_table
from scalewatch.text import percent

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.offline.foretelling import Foretelling

__all__ = ["fit_predict"]

#: Laws that are named with their weight and error. By hand.
MOST_LAWS = 6
#: Width of the bar that shows a weight [characters]. By hand.
BAR = 12


def fit_predict(console: Console, reading: Reading, points: Path, *, json_: bool) -> None:
    """Print what the runs of a table say of the runs in `points`.

    Raises:
        FitError: if a column is missing, or the runs carry no law.
        ConfigError: if there is not one table, or `points` is neither one nor SIZE:TOKENS.
    """
    from scalewatch.offline.foretelling import foretell

    if reading.folders or len(reading.tables) != 1:
        raise ConfigError(f"`--predict` takes one table of finished runs ({KINDS}) or a folder of runs.")
    asked = read_table(points) if is_table(points) else _one_point(points)
    told = foretell(reading.tables[0], asked, reading.overrides)
    if json_:
        print_json({"table": reading.tables[0].source, "points": points, "losses": _plain(told)})
        return
    for one in told:
        _show(console, one, several=len(told) > 1)


def _one_point(points: Path) -> Table:
    """The one run that SIZE:TOKENS names."""
    size, colon, tokens = str(points).partition(":")
    if not colon or points.exists():
        raise ConfigError(f"`--predict`: {points} is no table ({KINDS}), and no SIZE:TOKENS such as 7B:140B.")
    columns = {"parameters": [count_of("--predict", size)], "tokens": [count_of("--predict", tokens)]}
    return Table(str(points), str(points), columns)


def _plain(told: Sequence[Foretelling]) -> list[dict[str, Any]]:
    made = []
    for one in told:
        rows: list[dict[str, Any]] = []
        for i, far in enumerate(one.far):
            if far is None:
                rows.append({"row": i + 1, "prediction": None, "low": None, "high": None, "beyond": None})
                continue
            numbers = {"prediction": one.foretold.loss[i], "low": one.foretold.low[i], "high": one.foretold.high[i]}
            beyond = {**far.factors, **({} if math.isnan(far.compute) else {"compute": far.compute})}
            rows.append({"row": i + 1, **numbers, "beyond": beyond, "fall_beyond": far.fall})
        laws = [
            {"law": score.name, "weight": score.weight, "held_out_error": score.error}
            for score in one.contest.scores
            if score.weight > 0
        ]
        about = {"loss": one.loss, "runs": one.runs, "level": one.foretold.level, "notes": list(one.notes)}
        made.append({**about, "laws": laws, "points": rows})
    return made


def _show(console: Console, one: Foretelling, *, several: bool) -> None:
    from scalewatch.cli.fit_runs import say
    from scalewatch.cli.fitting_table import Column, fitting_table

    say(console, one.notes, "dim")
    say(console, [_about(one)], "bold" if several else "")
    say(console, _laws(one), "")
    columns = (
        *(Column("row"), Column(one.loss), Column(f"{percent(one.foretold.level)} interval")),
        Column("beyond the runs", "text"),
    )
    rows = []
    for i, far in enumerate(one.far):
        if far is None:
            rows.append((str(i + 1), "-", "", "a number is missing or not positive"))
            continue
        low, high = (f"{values[i]:.4g}" for values in (one.foretold.low, one.foretold.high))
        rows.append((str(i + 1), f"{one.foretold.loss[i]:.4g}", f"{low} to {high}", str(far)))
    console.print(fitting_table(columns, rows, console.width))


def _about(one: Foretelling) -> str:
    axes = ", ".join(
        axis.column if axis.key in (axis.column, "part") else f"{axis.column} ({axis.key})"
        for axis in one.contest.axes.axes
    )
    labels = f", labels {', '.join(one.contest.axes.groups)}" if one.contest.axes.groups else ""
    return f"{one.loss} of {one.runs:,} runs, told apart by {axes}{labels}."


def _laws(one: Foretelling) -> list[str]:
    relative = one.contest.axes.relative
    lines = []
    heavy = [score for score in one.contest.scores if score.weight > 0]
    for score in heavy[:MOST_LAWS]:
        off = f"{percent(score.error, 2)} off" if relative else f"{score.error * one.contest.axes.spread:.3g} off"
        told = "" if math.isnan(score.error) else f" {off} on its own runs that it had not seen"
        lines.append(
            f"  {percent(score.weight):>5} {'#' * max(round(BAR * score.weight), 1):<{BAR}} {score.name}:{told}"
        )
    if len(heavy) > MOST_LAWS:
        lines.append(f"  and {len(heavy) - MOST_LAWS} lighter ones")
    return lines
