"""`scalewatch sweep`: which runs of a sweep to stop, pause and resume now, what that saves, and at what regret."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AT, AsJson, LogOptions, Logs, ScheduleOptions
from scalewatch.cli.signatures import part
from scalewatch.errors import ConfigError, LogError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scalewatch.advising.race import Race, Standing, Verdict
    from scalewatch.finding import Finding
    from scalewatch.logs import AbstractLog
    from scalewatch.offline.history import RunHistory
    from scalewatch.offline.replayed import Settings

__all__ = ["sweep"]

#: Lengths whose ratio is below this are one: logs end a row apart.
LENGTHS_DIFFER = 1.02
#: Part of the plan from which on a run has ended.
WHOLE = 0.98
#: Part of the peak to which rates have fallen where a run has ended: a cosine to a tenth, with room. By hand.
DECAYED = 0.2
#: Words of a column that is no loss: it is better the higher.
UPWARD = frozenset({"accuracy", "acc", "top1", "top5", "f1", "auc", "auroc", "bleu", "rouge", "reward", "iou", "map"})


@dataclass(frozen=True, slots=True)
class _Row:
    """One run of the sweep, as far as the decision needs it.

    `lost` says why it is beyond saving; of one that is `void` no law says where it ends; `as_long` whether it is as
    long as it was planned to be, as far as that is known.
    """

    name: str
    step: int
    total: int
    loss: float
    standing: Standing
    lost: str
    notes: tuple[str, ...]
    void: bool = False
    as_long: bool = True


def sweep(
    logs: Logs,
    *,
    at: Annotated[float | None, AT] = None,
    budget: Annotated[
        float,
        typer.Option(
            parser=part,
            metavar="PART",
            help="How far above the best of all to end on average, a part of the loss such as 0.1%.",
        ),
    ] = 0.0015,
    at_once: Annotated[int, typer.Option(help="Runs that may go on at a time; one costs least, more end sooner.")] = 1,
    reading: LogOptions,
    rates: ScheduleOptions,
    json_: AsJson = False,
) -> None:
    """Say which of these runs to stop, pause and resume now.

    For runs of one model size, length and unit that differ in a setting, and that can be resumed from a checkpoint. All
    go to a fifth of their steps and pause there; the one that is forecast to end lowest is finished; the rest is judged
    against it. Run it again whenever a run has gone on: a run to "go on" that was paused or stopped is resumed. Exit
    code 1 if a run is to be stopped or paused, else 0.
    """
    from scalewatch.advising.race import Step, judge
    from scalewatch.cli.outputs import print_json
    from scalewatch.cli.replay import list_unreadable

    if at is not None and not 0.0 < at <= 1.0:
        raise ConfigError(f"`--at` is a part of the runs, above 0 and at most 1 (got {at:g}), e.g. 0.3.")
    if not 0.0 < budget < 1.0:
        raise ConfigError(f"`--budget` is a part of the loss, above 0 and below 1 (got {budget:g}), e.g. 0.001.")
    if at_once < 1:
        raise ConfigError(f"`--at-once` must be 1 or more runs (got {at_once}).")
    settings = reading.settings()
    opened = settings.open(logs)
    if len(opened.logs) < 2:
        reason = opened.unreadable[0].reason if opened.unreadable else f"{logs[0]} holds {len(opened.logs)} run."
        raise LogError(f"{reason} A sweep is two or more (scalewatch forecast is for one).")
    pasts, copies = _read(opened.logs, rates)
    rows = [_one(past, settings, rates, at) for past in pasts]
    race = judge([row.standing for row in rows], budget=budget, at_once=at_once)
    judged = list(zip(rows, race.verdicts, strict=True))
    order = (Step.ENDED, Step.RUN, Step.PAUSE, Step.STOP)
    judged.sort(key=lambda each: (bool(each[0].lost), order.index(each[1].step), each[1].middle or math.inf))
    notes = [*copies, *_warnings(rows), *_shared(rows)]
    code = 1 if race.named(Step.STOP) or race.named(Step.PAUSE) else 0
    if json_:
        print_json(_answer(judged, race, notes, code))
    else:
        _print(judged, race, notes)
        list_unreadable(opened)
    raise typer.Exit(code)


def _read(logs: Sequence[AbstractLog], rates: ScheduleOptions) -> tuple[list[RunHistory], list[str]]:
    """The runs, each once, and a sentence on each copy.

    Raises:
        LogError: if what was named as the loss is better the higher.
    """
    from scalewatch.objective import words_of
    from scalewatch.offline.history import read

    kept: dict[tuple[bytes, bytes], RunHistory] = {}
    notes = []
    for log in logs:
        column = log.columns.get("loss", "")
        if UPWARD & set(words_of(column)):
            raise LogError(f"{log.path}: '{column}' is better the higher, and a sweep takes the lowest for the best.")
        past = read(log, rates.unit)
        first = kept.setdefault((past.steps.tobytes(), past.losses.tobytes()), past)
        if first is not past:
            if len(past.name) < len(first.name):
                first.name, past.name = past.name, first.name
            notes.append(f"{past.name} is a copy of {first.name}, row by row, and is left out.")
    return list(kept.values()), notes


def _one(past: RunHistory, settings: Settings, rates: ScheduleOptions, at: float | None) -> _Row:
    from scalewatch.advising.race import Standing
    from scalewatch.forecast.siblings import SiblingCurve
    from scalewatch.offline.backtest import backtest
    from scalewatch.offline.history import planned

    plan = planned(past, settings, rates.schedule)
    total = plan.run.total_steps or past.last_step
    part = min(at if at is not None else 1.0, past.last_step / total, 1.0)
    looked = backtest(past, plan, settings, [part])
    if not looked.rows:
        return _Row(past.name, 0, total, math.nan, Standing(past.name, 0.0, None), "", ("no row so early",))
    now, truth = looked.rows[0], looked.final_loss
    rows = sum(step <= part * total for step in past.steps)
    curve = SiblingCurve.of(past.steps[:rows], past.losses[:rows], total, plan.run.learning_rates)
    lost = _lost(now.open)
    if truth is not None and part >= WHOLE and math.isfinite(truth):
        standing = Standing.finished(past.name, truth, curve)
    else:
        made = Standing.of(past.name, min(now.step / total, 0.999), None if now.void else now.forecast)
        standing = replace(
            made,
            curve=None if now.void else curve,
            now=now.loss,
            lost=bool(lost),
            spike=any(f.pages for f in now.open),
        )
    notes = (*now.validity_warnings, *plan.told, *past.told)
    as_long = settings.total_steps is not None or past.known.total_steps is not None or _has_decayed(past)
    return _Row(past.name, now.step, total, now.loss, standing, lost, notes, now.void, as_long)


def _has_decayed(past: RunHistory) -> bool:
    """Whether the rates fell to what schedules end at."""
    rates = [rate for rate in past.rates if math.isfinite(rate)]
    return bool(rates) and rates[-1] <= DECAYED * max(rates)


def _lost(open_: Sequence[Finding]) -> str:
    from scalewatch.finding import Severity

    return next((f"{f.kind} since {f.start_step:,}" for f in open_ if f.severity is Severity.CRITICAL), "")


def _warnings(rows: Sequence[_Row]) -> list[str]:
    sentences = []
    totals = [row.total for row in rows]
    apart = max(totals) > LENGTHS_DIFFER * min(totals)
    if apart and not all(row.as_long for row in rows):
        sentences.append(
            f"The logs end at {min(totals):,} to {max(totals):,} steps: a run that was cut off has not ended "
            "(--total-steps N)."
        )
    elif apart:
        sentences.append("The runs differ in their planned lengths: the longer have an advantage that they pay for.")
    if len({row.name for row in rows}) < len(rows):
        sentences.append("Two runs have one name: the decisions on them cannot be told apart.")
    early = [row.name for row in rows if row.standing.ends is None and not row.lost and not row.void]
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


def _print(judged: Sequence[tuple[_Row, Verdict]], race: Race, notes: Sequence[str]) -> None:
    from rich.console import Console

    from scalewatch.cli.forecast import print_notes

    console = Console()
    console.print(_table(judged, race, console.width))
    console.print(_summary(judged, race), style="bold", markup=False, highlight=False)
    print_notes(console, list(notes))


def _summary(judged: Sequence[tuple[_Row, Verdict]], race: Race) -> str:
    from scalewatch.advising.race import Step

    going = [row for row, verdict in judged if verdict.step is not Step.ENDED and row.step < WHOLE * row.total]
    if not going:
        unknown = [row.name for row, verdict in judged if not row.as_long]
        if unknown:
            return (
                f"Whether {'these runs' if len(unknown) > 1 else unknown[0]} have ended is not known: no log says how "
                "long it was to be, and their rates have not decayed. If they go on, say --total-steps N; else there "
                "is nothing to stop. Look back with --at 0.3."
            )
        lost = (
            f" Lost: {', '.join(row.name for row, _ in judged if row.lost)}." if any(r.lost for r, _ in judged) else ""
        )
        return f"All runs have ended: there is nothing to stop.{lost} Look back with --at 0.3."
    gone = [row for row, verdict in judged if verdict.step is Step.STOP]
    held, on = len(race.named(Step.PAUSE)), len(race.named(Step.RUN))
    steps, left = sum(row.total for row, _ in judged), sum(row.total - row.step for row in gone)
    ahead = max(sum(row.total - row.step for row in going), 1)
    what = [f"stop {len(gone)}"] if gone else []
    what += [f"pause {held}"] if held else []
    what += [f"go on with {on}"] if on else []
    text = f"Of {len(going)} runs {', '.join(what)}."
    if gone:
        text += (
            f" Stopping saves {left:,} steps, {100 * left / ahead:.0f} % of what is ahead ({100 * left / steps:.0f} % "
            f"of the sweep). The best that is left is expected to end {_percent(race.expected_regret)} above the best "
            f"of all; more than {_percent(race.budget)} above it with a chance of at most {_chance(race.chance)}."
        )
    if held:
        text += " A paused run keeps its checkpoint: look again when what goes on has gone on."
    return text


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %" if part >= 1e-5 else "less than 0.001 %"


def _chance(chance: float) -> str:
    return "0.1 %" if chance < 0.001 else f"{100 * chance:.1f} %" if chance < 0.1 else f"{100 * chance:.0f} %"


def _table(judged: Sequence[tuple[_Row, Verdict]], race: Race, width: int) -> RenderableType:
    from scalewatch.advising.race import LEVELS, Step
    from scalewatch.cli.fitting_table import Column, fitting_table

    columns = (
        Column("run", "name"),
        Column("done", goes=1),
        Column("loss now", goes=4),
        Column("ends at"),
        Column("80 %", goes=2),
        Column("may gain", goes=3),
        Column("what to do", "text"),
    )
    rows, styles = [], []
    colours = {Step.STOP: "yellow", Step.PAUSE: "cyan", Step.ENDED: "dim", Step.RUN: ""}
    for row, verdict in judged:
        cells = [row.name, f"{100 * row.step / row.total:.0f} %", "" if math.isnan(row.loss) else f"{row.loss:.3f}"]
        if verdict.ends is None or row.lost:
            cells += ["", "", ""]
        else:
            tenth, ninetieth = (verdict.ends[abs(LEVELS - q).argmin()] for q in (0.1, 0.9))
            interval = (
                ("ended" if row.as_long else "at its last row")
                if verdict.step is Step.ENDED
                else f"{tenth:.3f} to {ninetieth:.3f}"
            )
            known = verdict.gain is not None and math.isfinite(verdict.gain)
            cells += [f"{verdict.middle:.3f}", interval, _percent(verdict.gain or 0.0) if known else ""]
        rows.append([*cells, _decision(row, verdict, leads=row.name == race.leader)])
        styles.append("bold red" if row.lost else colours[verdict.step])
    return fitting_table(columns, rows, width, styles)


def _decision(row: _Row, verdict: Verdict, *, leads: bool) -> str:
    from scalewatch.advising.race import EARLIEST, Step

    if row.lost and verdict.step is Step.STOP:
        return f"STOP: lost, {row.lost}".replace("_", " ")
    word = {Step.STOP: "STOP", Step.PAUSE: "pause", Step.ENDED: "best" if leads else "", Step.RUN: "go on"}[
        verdict.step
    ]
    if verdict.step is Step.RUN and row.standing.progress < EARLIEST:
        return f"go on to {EARLIEST:.0%}"
    why = "leads" if leads and verdict.step is Step.RUN else "no law holds" if row.void else ""
    return f"{word} ({why})" if why else word


def _answer(judged: Sequence[tuple[_Row, Verdict]], race: Race, notes: Sequence[str], code: int) -> dict[str, Any]:
    from scalewatch.advising.race import LEVELS, Step

    places = [int(abs(LEVELS - q).argmin()) for q in (0.1, 0.9)]
    runs = [
        {
            "run": row.name,
            "step": row.step,
            "total_steps": row.total,
            "loss": row.loss if math.isfinite(row.loss) else None,
            "forecast": verdict.middle,
            "interval": None if verdict.ends is None else [float(verdict.ends[n]) for n in places],
            "sibling": verdict.sibling or None,
            "expected_gain": verdict.gain if verdict.gain is not None and math.isfinite(verdict.gain) else None,
            "action": str(verdict.step),
            "length_known": row.as_long,
            "lost": row.lost or None,
            "no_law_holds": row.void,
        }
        for row, verdict in judged
    ]
    return {
        "exit_code": code,
        "leader": race.leader or None,
        "budget": race.budget,
        "expected_regret": race.expected_regret,
        "chance_over_budget": race.chance,
        "saved_steps": sum(row.total - row.step for row, verdict in judged if verdict.step is Step.STOP),
        "runs": runs,
        "notes": list(notes),
    }
