"""`scalewatch forecast`: what would have been said of a run's end at any part of its log, and how right it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AT, AsJson, Draw, GoalOptions, Log, LogOptions, ScheduleOptions
from scalewatch.errors import ConfigError, LogError
from scalewatch.text import away, percent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from scalewatch.advising.adviser import Goals
    from scalewatch.forecast import Forecast
    from scalewatch.offline.backtest import BacktestRow
    from scalewatch.offline.history import AssumedSchedule, RunHistory
    from scalewatch.offline.replayed import Settings

__all__ = ["forecast", "one_log", "print_notes"]

#: Parts of a run at which it is asked.
PARTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def forecast(
    log: Log,
    *,
    at: Annotated[float, AT] = 0.3,
    reading: LogOptions,
    rates: ScheduleOptions,
    goals: GoalOptions,
    chart: Annotated[bool, typer.Option("--chart", help="Draw the curve and the forecast in the terminal.")] = False,
    out: Draw = None,
    json_: AsJson = False,
) -> None:
    """Say where a run would have been said to end, at 30 % and each tenth, and hold it against how it ended.

    Sees the rows up to there and the planned rates, nothing else. Exit code 0 if there was a forecast, 1 if nothing
    could be said, 2 if the log cannot be read.
    """
    from scalewatch.cli.outputs import check_chart_file, print_json
    from scalewatch.offline.answers import forecast_answer
    from scalewatch.offline.backtest import backtest
    from scalewatch.offline.history import planned, read

    if not 0.0 < at <= 1.0:
        raise ConfigError(f"`--at` is a part of the run, above 0 and at most 1 (got {at:g}), e.g. 0.3.")
    if out is not None:
        check_chart_file("--out", out)
    settings = reading.settings(goals)
    wanted = settings.goals
    past = read(one_log(log, settings), rates.unit)
    plan = planned(past, settings, rates.schedule)
    looked = backtest(past, plan, settings, sorted({*PARTS, at}))
    rows, truth = looked.rows, looked.final_loss
    if wanted.bar is not None and settings.total_steps is None and past.known.total_steps is None:
        past.told.append("What to do about it is not said of a run whose planned length is a guess (--total-steps N).")
    chosen = next((row for row in rows if row.part == at), None)
    if chosen is None:
        reached = math.floor(1000 * past.last_step / (plan.run.total_steps or 1)) / 1000
        raise ConfigError(f"The log ends at {reached:g} of the plan: choose an `--at` up to that (got {at:g}).")
    if json_:
        print_json(forecast_answer(past, plan, rows, truth, wanted))
    else:
        _print(past, plan, rows, chosen, truth, wanted, chart=chart)
    if out is not None:
        _draw(past, chosen, truth, out)
    raise typer.Exit(0 if chosen.forecast is not None and not chosen.void else 1)


def one_log(path: Path, settings: Settings) -> Any:
    """Return the one run at a path.

    Raises:
        LogError: if there is none, or several.
    """
    opened = settings.open([path])
    if not opened.logs:
        raise LogError(opened.unreadable[0].reason if opened.unreadable else f"{path}: there is no log.")
    if len(opened.logs) > 1:
        names = ", ".join(log.name for log in opened.logs[:4])
        raise LogError(f"{path} holds {len(opened.logs)} runs ({names} ...): name one, or use scalewatch sweep.")
    return opened.logs[0]


def print_notes(console: Console, notes: list[str], style: str = "dim") -> None:
    """Print sentences, each once, the way they were first said."""
    from scalewatch.cli.outputs import print_hanging

    for text in dict.fromkeys(notes):
        print_hanging(console, f"· {text}", style)


def _print(
    past: RunHistory,
    plan: AssumedSchedule,
    rows: Sequence[BacktestRow],
    chosen: BacktestRow,
    truth: float | None,
    goals: Goals,
    *,
    chart: bool,
) -> None:
    from rich.console import Console

    from scalewatch.advising.goals import chance_text
    from scalewatch.cli.advised import print_advice
    from scalewatch.cli.outputs import print_hanging
    from scalewatch.offline.answers import chances

    console = Console()
    console.print(f"{past.name}: {_run_text(plan)}", markup=False, highlight=False)
    for sentence in _sentences(past, chosen, truth):
        console.print(sentence, style="bold", markup=False, highlight=False)
    for name, chance in chances(chosen, goals).items():
        bar = goals.target_loss if name == "target" else goals.incumbent_loss
        below = f"It would get below the {name} of {bar:g} with a probability of {chance_text(chance)}."
        console.print(below, markup=False, highlight=False)
    if chosen.forecast is not None and not chosen.void:
        print_hanging(console, f"Method: {chosen.forecast.laws_text}.", "dim")
    print_notes(console, list(chosen.validity_warnings), "yellow")
    print_advice(console, chosen.advice)
    console.print(_table(rows, truth, console.width))
    if chart:
        _plot(console, past, plan, chosen)
    made = () if chosen.forecast is None else chosen.forecast.notes
    print_notes(console, [*(n for n in made if n not in chosen.validity_warnings), *plan.told, *past.told])


def _run_text(plan: AssumedSchedule) -> str:
    from scalewatch.plan.quantities import count

    run = plan.run
    size = "" if run.parameters is None else f"{count(run.parameters)} parameters, "
    tokens = run.tokens_at(run.total_steps or 0)
    rates = "known learning rates" if run.learning_rates is not None else "unknown learning rates"
    return f"{size}{run.total_steps:,} steps{f', {count(tokens)} tokens' if tokens else ''}, {rates}"


def _sentences(past: RunHistory, chosen: BacktestRow, truth: float | None) -> list[str]:
    """What was said, and how right it was where the log goes on to the end."""
    when = f"At {100 * chosen.part:g} % (step {chosen.step:,})"
    ended = [] if truth is None else [f"It ended at {truth:.3f}."]
    if min(past.steps) > chosen.step:
        begin = f"the log begins at step {min(past.steps):,}"
        return [f"At {100 * chosen.part:g} % nothing could be said: {begin}.", *ended]
    if chosen.void and chosen.forecast is None:
        return [f"{when} there is no forecast.", *ended]
    if chosen.void:
        return [f"{when} no law of loss curves holds, and what one says is worth nothing.", *ended]
    if chosen.forecast is None:
        return [f"{when} nothing could be said: too few rows past the warm-up.", *ended]
    low, high = chosen.forecast.interval(0.8)
    end = f"{chosen.forecast.final_loss:.3f}{past.known.unit_after}"
    sentence = f"{when}: it will end at {end}, 80 % between {low:.3f} and {high:.3f}."
    if truth is None:
        return [sentence]
    right = "inside" if low <= truth <= high else "OUTSIDE"
    return [sentence, f"It ended at {truth:.3f}: {right}, the forecast {away(chosen.forecast.final_loss, truth)}."]


def _table(looked: Sequence[BacktestRow], truth: float | None, width: int) -> RenderableType:
    from scalewatch.cli.fitting_table import Column, fitting_table
    from scalewatch.offline.answers import LEVELS

    goes = dict(zip(LEVELS, (3, 0, 2), strict=True))
    intervals = [Column(percent(level), goes=goes[level]) for level in LEVELS]
    columns = (
        *(Column("at"), Column("step", goes=1), Column("forecast"), *intervals),
        *(Column("it was", goes=0), Column("held by", goes=4)),
    )
    rows, styles = [], []
    for each in looked:
        cells = [f"{100 * each.part:g} %", f"{each.step:,}"]
        made = each.forecast
        if made is None or each.void:
            held = "none" if made is None else "no law holds"
            why = held if each.void else "nothing yet" if each.step else "no row yet"
            rows.append([*cells, why, *[""] * len(intervals), "", ""])
            styles.append("dim")
            continue
        spans = [f"{low:.3f} to {high:.3f}" for low, high in map(made.interval, LEVELS)]
        outcome = ["", ""] if truth is None else [away(made.final_loss, truth), _held(made, truth)]
        rows.append([*cells, f"{made.final_loss:.3f}", *spans, *outcome])
        styles.append("yellow" if each.validity_warnings else "")
    return fitting_table(columns, rows, width, styles)


def _held(made: Forecast, truth: float) -> str:
    from scalewatch.offline.answers import LEVELS

    for level in LEVELS:
        low, high = made.interval(level)
        if low <= truth <= high:
            return percent(level)
    return "none"


def _plot(console: Console, past: RunHistory, plan: AssumedSchedule, chosen: BacktestRow) -> None:
    import numpy as np
    from rich.text import Text

    from scalewatch.cli.braille import layer, plot
    from scalewatch.offline.replayed import Curve

    curve = Curve()
    for step, loss in zip(past.steps, past.losses, strict=True):
        curve.add(step, loss)
    layers, legend = [], Text("loss", style="white")
    if chosen.forecast is not None and not chosen.void:
        steps = chosen.forecast.grid()
        steps = steps[steps >= chosen.step]
        if len(steps) > 1:
            _, low, high = chosen.forecast.curve(steps)
            layers.append(layer(steps, low, "blue", high))
            legend.append(f"   {_label(chosen)}", style="blue")
    layers.append(layer(np.array(curve.steps), np.array(curve.drawn()), "white"))
    last = float(max(plan.run.total_steps or 0, past.last_step))
    for line in (legend, *plot(layers, min(console.width, 100), 16, last)):
        console.print(line)


def _label(chosen: BacktestRow) -> str:
    held = "" if chosen.forecast is None or chosen.forecast.schedule_known else ", if the rate is held"
    return f"said at {100 * chosen.part:g} %, 80 %{held}"


def _draw(past: RunHistory, chosen: BacktestRow, truth: float | None, out: Path) -> None:
    from scalewatch.charts import Band, Frame, loss_against_law, save_chart

    band = None
    if chosen.forecast is not None and not chosen.void:
        steps = chosen.forecast.grid()
        steps = steps[steps >= chosen.step]
        if len(steps) > 1:
            band = Band(_label(chosen), steps, *chosen.forecast.curve(steps))
    frame = Frame(past.name, _sentences(past, chosen, truth), unit=past.known.unit)
    drawn = loss_against_law(past.steps, past.losses, frame, forecast=band)
    save_chart(drawn, out)
    typer.echo(f"{out}: written.", err=True)
