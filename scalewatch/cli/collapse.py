"""`scalewatch collapse`: do runs of several sizes follow one curve, and which run leaves it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AsJson, BytesPerToken, Columns, Where
from scalewatch.text import percent

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.laws import Collapse, Curve

__all__ = ["collapse"]

#: Part of its plan that a run may lack and still count as finished.
UNFINISHED = 0.02
#: Progress at which deviations are shown.
SHOWN = (0.2, 0.5, 0.8)


def collapse(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders that hold journals, or tables: .csv, .parquet, .md and their kin.", show_default=False
        ),
    ],
    floor: Annotated[float | None, typer.Option(metavar="NATS", help="Loss of endless compute; else fitted.")] = None,
    column: Columns = None,
    where: Where = None,
    bytes_per_token: BytesPerToken = None,
    json_: AsJson = False,
) -> None:
    """Say how well runs of several sizes fall on one curve once loss and progress are normalised, and who leaves it.

    Rows are steps of runs: `step`, `loss`, `learning_rate`, `parameters`, and `run` if a table holds several. Finished
    runs are compared with each other; a run that has not ended (its journal says how long it is planned) is held
    against the largest finished one below it.

    Exit code 0: no run has left the curve of its siblings; 1: one has; 2: nothing could be compared.
    """
    from rich.console import Console

    from scalewatch.cli.fit_runs import say
    from scalewatch.cli.fit_tables import Unprinted
    from scalewatch.cli.fit_whole_curves import curves_of
    from scalewatch.cli.outputs import print_json
    from scalewatch.errors import ConfigError, FitError
    from scalewatch.laws.collapse import CollapseRun, measure_collapse, progress_of
    from scalewatch.offline.listed import how_many
    from scalewatch.offline.reading import Reading

    if floor is not None and not 0 <= floor < 1e6:
        raise ConfigError(f"`--floor` must be a loss of 0 or more (got {floor:g}).")
    console = Unprinted() if json_ else Console()
    curves = curves_of(console, Reading.of(runs, column or [], where or [], bytes_per_token), rates=False)
    sized = [curve for curve in curves if curve.run.parameters or curve.run.non_embedding_parameters]
    if len(sized) < len(curves):
        say(
            console,
            [f"Left out: {how_many(len(curves) - len(sized), 'run')} without a size (`parameters`)."],
            "yellow",
        )
    finished = [curve for curve in sized if _progress(curve) >= 1 - UNFINISHED]
    if len({_size(curve) for curve in finished}) < 2 and len(sized) == len(finished):
        raise FitError(f"Collapse compares sizes: {how_many(len(finished), 'finished run')} of one size or none.")
    answer: dict[str, Any] = {"floor": None, "finished": len(finished), "sizes": 0, "points": []}
    if len({_size(curve) for curve in finished}) >= 2:
        made = [CollapseRun(_size(c), c.run.name, *progress_of(c, float(c.steps[-1]))) for c in finished]
        compute = [_size(c) * (c.run.tokens_per_step or 1.0) * float(c.steps[-1]) for c in finished]
        given = floor if floor is not None or len(set(compute)) > 2 else 0.0
        measured = measure_collapse(made, given, compute)
        answer |= {"floor": measured.floor, "finished": measured.runs, "sizes": measured.sizes}
        answer["points"] = [
            dict(zip(("at", "deviation", "seeds"), (at, *measured.at(at)), strict=True)) for at in SHOWN
        ]
        _print(console, measured, answer["points"])
    held = [_held(console, curve, finished) for curve in sized if curve not in finished]
    code = 1 if any(run["left"] for run in held) else 0
    if isinstance(console, Unprinted):
        print_json({"exit_code": code, **answer, "held": held, "notes": console.said})
    raise typer.Exit(code)


def _print(console: Console, measured: Collapse, points: Sequence[Mapping[str, float]]) -> None:
    from scalewatch.cli.fit_runs import say

    lines = [f"{measured.runs} finished runs of {measured.sizes} sizes, L0 = {measured.floor:.4g} nats/token."]
    for point in points:
        seeds = "" if math.isnan(point["seeds"]) else f"; seeds of one size {percent(point['seeds'], 2)}"
        lines.append(
            f"At {percent(point['at'])} of the run their curves differ by {percent(point['deviation'], 2)}{seeds}."
        )
    say(console, lines, "")
    say(console, measured.notes, "yellow")


def _held(console: Console, curve: Curve, finished: Sequence[Curve]) -> dict[str, Any]:
    """Hold an unfinished run against the largest finished one that is no larger, and say whether it left the curve."""
    from scalewatch.cli.fit_runs import say
    from scalewatch.errors import FitError
    from scalewatch.laws import CollapseVerdict, diagnose_collapse
    from scalewatch.laws.collapse import progress_of

    about = {"run": curve.run.name, "progress": _progress(curve)}
    name = f"'{curve.run.name:.60}' ({percent(_progress(curve))} done)"
    below = [other for other in finished if _size(other) <= _size(curve)] or list(finished)
    if not below:
        said = f"{name}: there is no finished run to hold it against."
        say(console, [said], "yellow")
        return {**about, "left": False, "said": said}
    reference = max(below, key=_size)
    own = progress_of(curve, float(curve.run.total_steps or curve.steps[-1]))
    other = progress_of(reference, float(reference.steps[-1]))
    try:
        found = diagnose_collapse(*own, *other)
    except FitError as fault:
        say(console, [f"{name}: {fault}"], "yellow")
        return {**about, "left": False, "said": f"{name}: {fault}"}
    gone = found.verdict in (CollapseVerdict.ABOVE, CollapseVerdict.BELOW)
    since = (
        ""
        if found.begins_at is None
        else f" From {percent(found.begins_at)} on it lies {percent(found.size, 1, sign=True)} off."
    )
    said = f"{name} against '{reference.run.name:.60}': {found.verdict}{since}"
    say(console, [said], "bold red" if gone else "green")
    say(console, found.notes, "dim")
    return {**about, "left": gone, "said": said}


def _progress(curve: Curve) -> float:
    return float(curve.steps[-1]) / float(curve.run.total_steps or curve.steps[-1])


def _size(curve: Curve) -> float:
    return float(curve.run.parameters or curve.run.non_embedding_parameters or 0.0)
