"""`scalewatch gain`: how much of A's compute B needs for the same loss, from two ladders or two logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AsJson, LogOptions, ScheduleOptions

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.advising.gain import ComputeGain
    from scalewatch.offline.gains import Gains

__all__ = ["gain"]


def gain(
    a: Annotated[
        Path, typer.Argument(help="Recipe A: a table of finished runs, or the log of one.", show_default=False)
    ],
    b: Annotated[Path, typer.Argument(help="Recipe B: the same.", show_default=False)],
    *,
    at: Annotated[
        str | None, typer.Option(metavar="SIZE:TOKENS", help="Of ladders: ask at this run, such as 7B:140B.")
    ] = None,
    reading: LogOptions,
    rates: ScheduleOptions,
    json_: AsJson = False,
) -> None:
    """Say with how much of A's compute B reaches A's loss: the compute-equivalent gain of B over A, with its interval.

    Two tables of finished runs (parameters, tokens, loss) are compared where A has its cheapest, its middle and
    its dearest run, or at `--at`. Two logs are compared at A's end: of B it is said how long it would have to be, under
    a schedule of the same shape. What seeds make of a loss is in the interval.

    Exit code 0: B needs less or more, beyond the interval; 1: the interval holds the same compute; 2: nothing was told.
    """
    from rich.console import Console

    from scalewatch.cli.outputs import print_json

    found = _found(a, b, at, reading, rates)
    if json_:
        print_json(found)
    else:
        _show(Console(), found)
    last = found.points[-1]
    if last.low <= 1.0 <= last.high:
        raise typer.Exit(1)


def _found(a: Path, b: Path, at: str | None, reading: LogOptions, rates: ScheduleOptions) -> Gains:
    from scalewatch.cli.forecast import one_log
    from scalewatch.cli.goal import goal_of
    from scalewatch.errors import ConfigError
    from scalewatch.offline.gains import gains_of_ladders, gains_of_logs, ladder_at
    from scalewatch.offline.tables import parse_pairs

    overrides = parse_pairs("--column", reading.column or [])
    ladders = [ladder_at(path, overrides) for path in (a, b)]
    of_a, of_b = ladders
    if (of_a is None) != (of_b is None):
        table, log = (a, b) if of_a is not None else (b, a)
        raise ConfigError(f"{table} is a table of finished runs and {log} a log: compare two of a kind.")
    goal = goal_of(at, None)
    if goal is not None and (goal.tokens is None or of_a is None):
        raise ConfigError(f"`--at` names size and tokens of a run, for two ladders, such as 7B:140B (got {at!r:.40}).")
    if of_a is not None and of_b is not None:
        point = None if goal is None or goal.tokens is None else (goal.parameters, goal.tokens)
        return gains_of_ladders(of_a, of_b, overrides, point)
    if reading.law is not None:
        raise ConfigError("`--law` is of one recipe, and two are compared: each run's own curve says where it ends.")
    settings = reading.settings()
    logs = [one_log(path, settings) for path in (a, b)]
    return gains_of_logs(logs[0], logs[1], settings, rates.schedule, rates.unit)


def _show(console: Console, found: Gains) -> None:
    from rich import box
    from rich.table import Table

    from scalewatch.cli.fit_runs import say
    from scalewatch.plan.quantities import count

    def compute(point: ComputeGain) -> str:
        return f"{point.compute:.2e}" if found.unit == "FLOP" else count(point.compute)

    last = found.points[-1]
    where = f"{last.loss:.4g} after {compute(last)} {found.unit}"
    say(console, [f"B reaches A's loss, {where}, with {_times(last.share)} of the compute "
                  f"({last.level:.0%}: {_times(last.low)} to {_times(last.high)})."], "bold")  # fmt: skip
    if last.low <= 1.0 <= last.high:
        say(console, ["The interval holds 1: there the runs do not tell the recipes apart."], "yellow")
    if len(found.points) > 1:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in (f"A's {found.unit}", "A's loss", "B needs", f"{last.level:.0%} interval"):
            table.add_column(name, justify="right", no_wrap=True)
        for point in found.points:
            span = f"{_times(point.low)} to {_times(point.high)}"
            table.add_row(compute(point), f"{point.loss:.4g}", _times(point.share), span)
        console.print(table)
    say(console, [f"A: {found.a}. B: {found.b}.", *found.notes], "dim")


def _times(share: float) -> str:
    from scalewatch.advising.gain import MOST_TIMES

    if math.isinf(share):
        return f"more than {MOST_TIMES:g} times"
    if share <= 1.0 / MOST_TIMES:
        return f"less than {1.0 / MOST_TIMES:.2g}"
    return f"{share:.2f}"
