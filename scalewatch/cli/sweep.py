"""`scalewatch sweep`: which runs of a sweep to stop now, what that saves, and at what risk of killing the winner."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AsJson, LogOptions, Logs, ScheduleOptions, with_groups
from scalewatch.errors import ConfigError, LogError

if TYPE_CHECKING:
    from rich.table import Table

    from scalewatch.advising.stopping import Standing
    from scalewatch.logs import AbstractLog
    from scalewatch.offline.replayed import Settings

__all__ = ["sweep"]

#: Lengths whose ratio is below this are one: logs end a row apart.
LENGTHS_DIFFER = 1.02
#: Columns of a terminal from which on there is room for the present loss.
WIDE = 100
#: Letters of a run's name.
NAME_LETTERS = 32


@dataclass(frozen=True, slots=True)
class _Row:
    """One run of the sweep, as far as the decision needs it.

    `lost` says why it is beyond saving; of one that is `void` no law says where it ends.
    """

    name: str
    step: int
    total: int
    loss: float
    standing: Standing | None
    lost: str
    truth: float | None
    notes: tuple[str, ...]
    void: bool = False


@with_groups
def sweep(
    logs: Logs,
    *,
    at: Annotated[float | None, typer.Option(help="Part of the runs to look back to; without it, now.")] = None,
    risk: Annotated[float, typer.Option(help="Chance of killing the winner, over the whole sweep.")] = 0.02,
    margin: Annotated[float, typer.Option(help="Least advantage worth a run's compute [nats].")] = 0.0,
    spent: Annotated[float, typer.Option(help="Part of the risk that earlier stops have used.")] = 0.0,
    reading: LogOptions,
    rates: ScheduleOptions,
    json_: AsJson = False,
) -> None:
    """Say which of these runs to stop now.

    For runs of one model size, length and unit that differ in a setting. A run is stopped when it hardly can end best;
    the chances of all that are stopped add up to the risk at most. Exit code 1 if a run is to be stopped, else 0.
    """
    from scalewatch.advising.stopping import chances_of_best, runs_to_stop
    from scalewatch.cli.replay import list_unreadable

    if at is not None and not 0.0 < at <= 1.0:
        raise ConfigError(f"`--at` is a part of the runs, above 0 and at most 1 (got {at:g}), e.g. 0.3.")
    settings = reading.settings()
    opened = settings.open(logs)
    if len(opened.logs) < 2:
        reason = opened.unreadable[0].reason if opened.unreadable else f"{logs[0]} holds {len(opened.logs)} run."
        raise LogError(f"{reason} A sweep is two or more (scalewatch forecast is for one).")
    rows = [_one(log, settings, rates, at) for log in opened.logs]
    standing = [row.standing for row in rows if row.standing is not None and not row.lost]
    stops = {stop.name: stop.chance for stop in runs_to_stop(standing, risk=risk, spent=spent, margin=margin)}
    chances = dict(zip((s.name for s in standing), chances_of_best(standing, margin), strict=True))
    rows.sort(key=lambda row: (bool(row.lost), -chances.get(row.name, 0.0), _middle(row)))
    notes = [*_warnings(rows), *_shared(rows)]
    stopped = [row for row in rows if row.lost or row.name in stops]
    if json_:
        _print_json(rows, chances, stops, notes)
    else:
        _print(rows, chances, stops, notes)
        list_unreadable(opened)
    raise typer.Exit(1 if stopped else 0)


def _one(log: AbstractLog, settings: Settings, rates: ScheduleOptions, at: float | None) -> _Row:
    from scalewatch.advising.stopping import Standing
    from scalewatch.finding import Severity
    from scalewatch.offline.backtest import backtest
    from scalewatch.offline.history import planned, read

    past = read(log, rates.unit)
    plan = planned(past, settings, rates.schedule)
    total = plan.run.total_steps or past.last_step
    part = min(at if at is not None else 1.0, past.last_step / total, 1.0)
    looked = backtest(past, plan, settings, [part])
    if not looked.rows:
        return _Row(past.name, 0, total, math.nan, None, "", None, ("no row so early",))
    now, truth = looked.rows[0], looked.final_loss
    lost = next((f"{f.kind} since {f.start_step:,}" for f in now.open if f.severity is Severity.CRITICAL), "")
    ended = truth is not None and part >= 0.98
    standing = None
    if ended and truth is not None and math.isfinite(truth):
        standing = Standing.finished(past.name, truth)
    elif now.forecast is not None and not now.void:
        trouble = any(f.pages for f in now.open)
        standing = Standing.of(past.name, min(now.step / total, 0.999), now.forecast, spike=trouble)
    notes = (*now.validity_warnings, *plan.told, *past.told)
    return _Row(past.name, now.step, total, now.loss, standing, lost, truth if ended else None, notes, now.void)


def _warnings(rows: Sequence[_Row]) -> list[str]:
    sentences = []
    totals = [row.total for row in rows]
    if max(totals) > LENGTHS_DIFFER * min(totals):
        sentences.append("The runs differ in their planned lengths: the longer have an advantage that they pay for.")
    if len({row.name for row in rows}) < len(rows):
        sentences.append("Two runs have one name: the decisions on them cannot be told apart.")
    early = [row.name for row in rows if row.standing is None and not row.lost and not row.void]
    if early:
        sentences.append(f"Nothing can be said yet of {', '.join(early[:5])}: too few rows past the warm-up.")
    return sentences


def _shared(rows: Sequence[_Row]) -> list[str]:
    """What is said of the runs: of several in the same words, numbers aside, once, with how many they are."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        for text in row.notes:
            groups.setdefault(re.sub(r"[\d,.]*\d", "#", text), []).append((row.name, text))
    lines = []
    for group in groups.values():
        name, text = group[0]
        lines.append(f"{name}: {text}" if len(group) == 1 else f"{len(group)} of {len(rows)} runs, as {name}: {text}")
    return lines


def _middle(row: _Row) -> float:
    return math.inf if row.standing is None else float(row.standing.ends[len(row.standing.ends) // 2])


def _print(rows: Sequence[_Row], chances: dict[str, float], stops: dict[str, float], notes: Sequence[str]) -> None:
    from rich.console import Console

    from scalewatch.cli.forecast import print_notes

    console = Console()
    console.print(_table(rows, chances, stops, wide=console.width >= WIDE))
    gone = [row for row in rows if row.lost or row.name in stops]
    console.print(_summary(rows, gone, stops), style="bold", markup=False, highlight=False)
    print_notes(console, list(notes))


def _summary(rows: Sequence[_Row], gone: Sequence[_Row], stops: dict[str, float]) -> str:
    running = [row for row in rows if row.truth is None]
    if not running:
        return "All runs have ended: there is nothing to stop. Look back with --at 0.3."
    if not gone:
        return f"Stop none of {len(running)} runs now: each may still end best."
    whole, left = sum(row.total for row in rows), sum(row.total - row.step for row in gone)
    risk = sum(stops.values())
    text = f"{100 * risk:.1f} %" if risk >= 0.0005 else "less than 0.1 %"
    ahead = sum(row.total - row.step for row in running)
    return (
        f"Stop {len(gone)} of the {len(running)} runs now: saves {left:,} steps, {100 * left / max(ahead, 1):.0f} % of "
        f"what is ahead ({100 * left / whole:.0f} % of the sweep), at a risk of {text} of killing the winner."
    )


def _table(rows: Sequence[_Row], chances: dict[str, float], stops: dict[str, float], *, wide: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from scalewatch.advising.stopping import LEVELS

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", no_wrap=True)
    for head in ("done", *(["loss now"] if wide else []), "ends at", "80 %", "best"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    names = _told_apart([row.name for row in rows], NAME_LETTERS if wide else NAME_LETTERS - 8)
    for row, name in zip(rows, names, strict=True):
        loss = "" if math.isnan(row.loss) else f"{row.loss:.3f}"
        cells = [f"{100 * row.step / row.total:.0f} %", *([loss] if wide else [])]
        if row.standing is None:
            cells += ["", "", ""]
        else:
            tenth, ninetieth = (row.standing.ends[abs(LEVELS - q).argmin()] for q in (0.1, 0.9))
            interval = "ended" if row.truth is not None else f"{tenth:.3f} to {ninetieth:.3f}"
            cells += [f"{_middle(row):.3f}", interval, _chance(chances.get(row.name))]
        decision, style = "keep (no law holds)" if row.void else "keep", ""
        if row.lost:
            decision, style = f"STOP: lost, {row.lost}".replace("_", " "), "bold red"
        elif row.name in stops:
            decision, style = "STOP", "yellow"
        elif row.truth is not None:
            decision, style = "", "dim"
        table.add_row(Text(name), *cells, decision, style=style)
    return table


def _told_apart(names: Sequence[str], letters: int) -> list[str]:
    """The names as short as they can be told apart: without what all begin and end with, where that is needed.

    >>> _told_apart(["sweep-of-may-lr-1e-3-seed-0", "sweep-of-may-lr-3e-3-seed-0"], 12)
    ['…1…', '…3…']
    """
    from scalewatch.text import no_control, shortened

    short = [shortened(name, letters) for name in names]
    if len(set(short)) == len(set(names)):
        return short
    head = _in_common(names)
    tail = _in_common([name[head:][::-1] for name in names])
    cut = [f"{'…' * bool(head)}{name[head : len(name) - tail]}{'…' * bool(tail)}" for name in names]
    short = [shortened(name, letters) for name in cut]
    return short if len(set(short)) == len(set(names)) else [no_control(name) for name in cut]


def _in_common(names: Sequence[str]) -> int:
    """Letters with which all of them begin."""
    columns = zip(*names, strict=False)
    return next((n for n, letters in enumerate(columns) if len(set(letters)) > 1), min(map(len, names)))


def _chance(chance: float | None) -> str:
    if chance is None:
        return ""
    return "< 0.1 %" if chance < 0.001 else f"{100 * chance:.1f} %" if chance < 0.1 else f"{100 * chance:.0f} %"


def _print_json(rows: Sequence[_Row], chances: dict[str, float], stops: dict[str, float], notes: Sequence[str]) -> None:
    import json

    runs = [
        {
            "run": row.name,
            "step": row.step,
            "total_steps": row.total,
            "loss": row.loss if math.isfinite(row.loss) else None,
            "forecast": None if row.standing is None else _middle(row),
            "chance_of_best": chances.get(row.name),
            "stop": bool(row.lost) or row.name in stops,
            "lost": row.lost or None,
            "no_law_holds": row.void,
        }
        for row in rows
    ]
    answer = {"risk": sum(stops.values(), 0.0), "runs": runs, "notes": list(notes)}
    typer.echo(json.dumps(answer, indent=1))
