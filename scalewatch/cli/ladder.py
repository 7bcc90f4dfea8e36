"""`scalewatch ladder`: which run to train next, so that the one a ladder is for is foretold surest for its compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AsJson, Columns, Target, Where

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.offline.ladders import Ladder

__all__ = ["ladder"]

#: Part of the target's compute that the next run may take, if nothing is said. By hand.
PART = 0.1
#: Choices that are shown. By hand.
MOST_SHOWN = 8


def ladder(
    table: Annotated[
        Path, typer.Argument(help="Finished runs: .csv, .parquet, .md and their kin.", show_default=False)
    ],
    target: Target = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="FLOP", help="Most compute that the next run may take; a tenth of the target's if unsaid."
        ),
    ] = None,
    column: Columns = None,
    where: Where = None,
    json_: AsJson = False,
) -> None:
    """Say what a ladder foretells of its target now, and which run to train next.

    Of every run that the budget allows it is reckoned how much narrower the interval of the target would be once it has
    ended, whatever its loss: from what the laws leave open, how far they are apart, and how far they have to reach.

    Exit code 0: there is a run worth training; 1: none makes the target surer; 2: nothing was fitted.
    """
    from rich.console import Console

    from scalewatch.cli.goal import goal_of
    from scalewatch.cli.outputs import print_json
    from scalewatch.errors import ConfigError
    from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
    from scalewatch.offline.ladders import ladder_of
    from scalewatch.offline.reading import Reading
    from scalewatch.offline.table_files import KINDS
    from scalewatch.offline.tables import count_of

    reading = Reading.of([table], column or [], where or [], None, ends=True)
    if not reading.tables:
        raise ConfigError(f"{table} is no table, and holds none: {KINDS}.")
    goal = goal_of(target, None)
    if goal is None or goal.tokens is None or target is None:
        raise ConfigError(f"`--target` must name size and tokens, such as 7B:140B (got {target or 'nothing'!r:.40}).")
    whole = FLOPS_PER_PARAMETER_TOKEN * goal.parameters * goal.tokens
    most = whole * PART if budget is None else count_of("--budget", budget)
    found = ladder_of(reading.tables[0], goal.parameters, goal.tokens, most, reading.overrides)
    if json_:
        print_json(found)
    else:
        _show(Console(), found, target)
    if found.best is None:
        raise typer.Exit(1)


def _show(console: Console, found: Ladder, target: str) -> None:
    from scalewatch.cli.fit_runs import say
    from scalewatch.cli.fitting_table import Column, fitting_table
    from scalewatch.plan.quantities import count
    from scalewatch.text import few_digits, percent

    laws = ", ".join(f"{name} ({percent(weight)})" for name, weight in list(found.laws.items())[:4])
    say(console, found.notes, "dim")
    half, level = 0.5 * (found.high - found.low), percent(found.level)
    now = f"{found.prediction:.4g}, {level} interval {found.low:.4g} to {found.high:.4g}"
    say(console, [f"{found.runs:,} runs foretell {found.loss} of {target}: {now}. Method: {laws}."], "")
    every = max(-(-len(found.choices) // MOST_SHOWN), 1)
    kept = [*found.choices[::-every]][::-1]
    if found.best is not None and found.best not in kept:
        kept = sorted([*kept, found.best], key=lambda run: run.flops)
    columns = (
        *(Column("parameters"), Column("tokens"), Column("FLOP", goes=1)),
        *(Column("interval then", goes=2), Column("narrower by")),
    )
    rows = [
        (
            *(count(run.parameters), count(run.tokens), few_digits(run.flops, 2)),
            *(f"± {half * run.sd:.2g}", percent(1 - run.sd)),
        )
        for run in kept
    ]
    console.print(fitting_table(columns, rows, console.width, ["bold green" * (run == found.best) for run in kept]))
    if found.best is None:
        say(console, ["No run within the budget makes the target surer."], "yellow")
        return
    best = found.best
    by = f"{percent(1 - best.sd)} narrower then, for {few_digits(best.flops, 2)} FLOP"
    text = f"Train {count(best.parameters)} on {count(best.tokens)} tokens next: the interval of {target} is {by}."
    say(console, [text], "green")
