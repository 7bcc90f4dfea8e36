"""What `scalewatch watch` shows: one run with its curve, or a table of several."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from scalewatch.cli.braille import layer, plot
from scalewatch.cli.fitting_table import Column, fitting_table, told_apart
from scalewatch.cli.outputs import wrapped
from scalewatch.cli.replay import finding_text
from scalewatch.finding import Finding, Severity
from scalewatch.offline.replayed import trouble
from scalewatch.status import State
from scalewatch.text import duration, few_digits, no_control, percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scalewatch.advice import Advice
    from scalewatch.cli.braille import Layer
    from scalewatch.cli.watch_folder import Folder, Followed
    from scalewatch.forecast import Forecast

__all__ = ["duration", "frame"]

#: Lines of a frame beside the curve and what stands below it, and lines of findings; letters of a name before one.
OTHER_LINES, FINDING_LINES, NAME_LETTERS = 5, 6, 24
#: Lines of the curve at most.
MOST_CURVE_LINES = 24
#: A run whose log rests for so long is said to be silent [s].
SILENT_SECONDS = 120.0
_STYLES = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


def frame(folder: Folder, width: int, height: int) -> RenderableType:
    """Return one picture of everything that is watched, as large as the terminal."""
    if not folder.runs:
        lines: list[RenderableType] = [Text(f"waiting for a log: {folder.waiting_for}", style="dim")]
        lines += [Text(no_control(reason), style="dim") for reason in folder.troubles[:4]]
        return Group(*lines)
    if len(folder.runs) == 1:
        return _one(folder.runs[0], width, height)
    return _several(folder, width, height)


_STATE_STYLES = {
    State.LOST: "bold white on red",
    State.IN_TROUBLE: "bold black on yellow",
    State.RECOVERED: "bold yellow",
    State.CANNOT_TELL: "dim",
}


def _style(run: Followed) -> str:
    return _STATE_STYLES.get(run.watched.tracker.status.state, "bold green")


def _one(run: Followed, width: int, height: int) -> RenderableType:
    watched = run.watched
    end = watched.tracker.forecast
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f" {run.headline} ", style=_style(run))
    head.append(f"  {run.name}", style="bold")
    head.append(f"   {_progress(run)}", style="dim")
    below: list[RenderableType] = [Text("─" * width, style="dim")]
    below += _findings(watched.tracker.findings, width)
    below += _advice(watched.tracker.advice, width)
    for note in watched.log.notes[-1:]:
        below.append(Text(f"log: {no_control(note)}", style="yellow", no_wrap=True, overflow="ellipsis"))
    curve_lines = min(height - OTHER_LINES - len(below), MOST_CURVE_LINES)
    parts: list[RenderableType] = [head, _numbers(run, end)]
    if curve_lines >= 4:
        parts += _curve(run, end, width, curve_lines)
    return Group(*parts, *below)


def _progress(run: Followed) -> str:
    total = run.watched.tracker.monitor.run.total_steps
    if total is None:
        return f"step {run.step:,}"
    left = run.seconds_left()
    end = "" if left is None or run.step >= total else f", {duration(left)} left"
    return f"step {run.step:,} of {total:,} ({100 * run.step / total:.1f} %{end})"


def _numbers(run: Followed, end: Forecast | None) -> RenderableType:
    watched, newest = run.watched, run.watched.tracker.newest
    verdict, speed, silent = watched.tracker.verdict, run.steps_per_second(), run.silent_seconds()
    cells: list[tuple[str, str]] = []
    if newest is not None:
        mean = "" if verdict.last_loss is None else f" (mean {verdict.last_loss:.4f})"
        cells.append(("loss", f"{newest.loss:.4f}{mean}"))
        if newest.validation_loss is not None:
            cells.append(("validation", f"{newest.validation_loss:.4f}"))
        if newest.learning_rate is not None:
            cells.append(("rate", few_digits(newest.learning_rate)))
        if newest.grad_norm is not None:
            cells.append(("grad norm", f"{newest.grad_norm:.3g}"))
    if speed is not None:
        cells.append(("steps/s", f"{speed:.3g}"))
    if end is not None:
        low, high = end.interval(0.8)
        cells.append(("forecast", f"{end.final_loss:.3f} ({low:.3f} to {high:.3f})"))
    if verdict.law_gap is not None and verdict.gap_ends_at is None:
        gap = verdict.law_gap
        cells.append(("to its law", f"{gap.nats:+.3f} nats, {gap.sigmas:+.1f}σ"))
    if silent is not None and silent > SILENT_SECONDS:
        cells.append(("silent for", duration(silent)))
    line = Text()
    for label, value in cells:
        line.append(f"{label} ", style="dim")
        line.append(f"{value}   ")
    return line


def _curve(run: Followed, end: Forecast | None, width: int, height: int) -> list[RenderableType]:
    curve = run.watched.curve
    if curve is None or len(curve.steps) < 2:
        return [Text("too few rows for a curve yet", style="dim")]
    layers: list[Layer] = []
    legend = Text("loss", style="white")
    total = run.watched.tracker.monitor.run.total_steps
    held = "" if end is None or end.schedule_known else ", if the rate is held"
    for forecast, style, label in ((run.watched.before, "yellow", "law"), (end, "blue", f"forecast, 80 %{held}")):
        if forecast is None:
            continue
        steps = forecast.grid()
        steps = steps[steps >= forecast.step]
        if len(steps) > 1:
            _, low, high = forecast.curve(steps)
            layers.append(layer(steps, low, style, high))
            legend.append(f"   {label}", style=style)
    layers.append(layer(curve.steps, curve.drawn(), "white"))
    last = float(max(total or 0, curve.steps[-1]))
    lines: list[RenderableType] = list(plot(layers, width, height - 1, last))
    return [legend, *lines]


def _findings(findings: list[Finding], width: int, names: list[str] | None = None) -> list[RenderableType]:
    """The newest findings, in as many lines as there are for them; the newest is always whole."""
    if not findings:
        return [Text("no findings", style="dim")]
    shown: list[RenderableType] = []
    for place in range(len(findings) - 1, -1, -1):
        finding = findings[place]
        if names:
            head = f"{names[place]}  step {finding.step:,}  {finding.severity}, {finding.phase}: "
            lines = wrapped(no_control(head + finding.message), width)
        else:
            lines = finding_text(finding, width).splitlines()
        if shown and len(shown) + len(lines) > FINDING_LINES:
            break
        shown[:0] = [Text(no_control(line), style=_STYLES[finding.severity]) for line in lines]
    return shown


def _advice(advised: list[Advice], width: int) -> list[RenderableType]:
    """The most urgent advice: what and what it gains, why, what would change it."""
    if not advised:
        return []
    first, more = advised[0], len(advised) - 1
    head = f"advice: {first.headline}{f', and {more} more' if more else ''}"
    texts = [(head, "bold"), (f"  {first.reason}", "")]
    texts += [(f"  ignore this if {first.would_change}", "dim")] if first.would_change else []
    return [Text(line, style=style) for text, style in texts for line in wrapped(no_control(text), width)]


def _several(folder: Folder, width: int, height: int) -> RenderableType:
    runs = sorted(folder.runs, key=lambda run: trouble(run.watched))
    room = max(height - FINDING_LINES - 6, 3)
    columns = (
        *(Column("run", "name"), Column("verdict", "text"), Column("step", goes=1), Column("done", goes=4)),
        *(Column("loss"), Column("rate", goes=7), Column("steps/s", goes=6), Column("left", goes=3)),
        Column("forecast", goes=2),
    )
    rows = [_cells(run) for run in runs[:room]]
    table = fitting_table(columns, rows, width, [_style(run) for run in runs[:room]])
    parts: list[RenderableType] = [table]
    if len(runs) > room:
        parts.append(Text(f"and {len(runs) - room} more runs with less trouble", style="dim"))
    parts.append(Text("─" * width, style="dim"))
    recent = list(folder.recent)[-FINDING_LINES:]
    names = dict(zip((run.name for run in runs), told_apart([run.name for run in runs], NAME_LETTERS), strict=True))
    parts += _findings([f for _, f in recent], width, [names[run.name] for run, _ in recent])
    return Group(*parts)


def _cells(run: Followed) -> tuple[str, ...]:
    watched, total = run.watched, run.watched.tracker.monitor.run.total_steps
    end, newest, verdict = watched.tracker.forecast, watched.tracker.newest, watched.tracker.verdict
    left, speed = run.seconds_left(), run.steps_per_second()
    loss = verdict.last_loss if verdict.last_loss is not None else newest.loss if newest is not None else math.nan
    return (
        run.name,
        run.headline,
        f"{run.step:,}",
        "" if total is None else percent(run.step / total),
        "" if math.isnan(loss) and not watched.tracker.rows else f"{loss:.3f}",
        "" if newest is None or newest.learning_rate is None else few_digits(newest.learning_rate, 2),
        "" if speed is None else f"{speed:.3g}",
        "" if left is None or left == 0 else duration(left),
        "" if end is None else f"{end.final_loss:.3f}",
    )
