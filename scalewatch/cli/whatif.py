"""`scalewatch whatif`: what a run would end at with another schedule for its rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AT, AsJson, Log, LogOptions, ScheduleOptions
from scalewatch.cli.signatures import part
from scalewatch.errors import ConfigError
from scalewatch.text import signed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scalewatch.forecast.candidate_schedules import CandidateSchedule
    from scalewatch.forecast.counterfactual import Outcome, Position

__all__ = ["whatif"]

#: Rows of a file of rates at most.
MOST_RATES = 10_000_000


@dataclass(frozen=True, slots=True)
class CandidateOptions:
    """The schedules that the plan is compared with."""

    decay: Annotated[
        list[float] | None,
        typer.Option(parser=part, metavar="PART", help="Hold, then decay to 0 over this last part. Repeat."),
    ] = None
    extend: Annotated[list[str] | None, typer.Option(metavar="STEPS", help="Steps more: 5000, or 25%. Repeat.")] = None
    rate: Annotated[list[float] | None, typer.Option(help="Factor of the planned rates from now on. Repeat.")] = None
    rates: Annotated[Path | None, typer.Option(help="File with the rate of each step to come, one a line.")] = None

    def schedules(self, now: Position) -> list[CandidateSchedule]:
        """Return them as they go on from `now`; the usual ones if none was asked for."""
        from scalewatch.forecast import candidate_schedules as of

        asked = [of.hold_then_decay(now.rate, now.left, now.total_steps, share) for share in self.decay or ()]
        asked += [of.extended(now.rest, _steps(text, now.total_steps)) for text in self.extend or ()]
        asked += [of.scaled(now.rest, factor) for factor in self.rate or ()]
        if self.rates is not None:
            asked.append(of.given(_from_file(self.rates), self.rates.name))
        return asked or of.usual(now.rate, now.rest, now.step, now.total_steps)


def whatif(
    log: Log,
    *,
    at: Annotated[float | None, AT] = None,
    asked: CandidateOptions,
    reading: LogOptions,
    rates: ScheduleOptions,
    json_: AsJson = False,
) -> None:
    """Compare the plan of a run with other schedules for its rest, in one table.

    Differences are paired: the error that all forecasts of the run share cancels. Without options, the usual ways to
    go on: hold and decay, decay now and stop, longer, at half the rate. Exit code 0 if they were compared, 2 if nothing
    can be said.
    """
    from scalewatch.cli.forecast import one_log
    from scalewatch.cli.outputs import print_json
    from scalewatch.offline.answers import whatif_answer
    from scalewatch.offline.whatif import compare_schedules

    if at is not None and not 0.0 < at < 1.0:
        raise ConfigError(f"`--at` is a part of the run, above 0 and below 1 (got {at:g}), e.g. 0.3.")
    settings = reading.settings()
    known = one_log(log, settings)
    compared = compare_schedules(known, settings, asked.schedules, at=at, unit=rates.unit, schedule=rates.schedule)
    if json_:
        print_json(whatif_answer(compared.run, compared.now, compared.outcomes, compared.notes))
    else:
        _print(compared.run, compared.now, list(compared.outcomes), list(compared.notes))


def _steps(text: str, total: int) -> int:
    from scalewatch.plan.quantities import quantity

    plain = text.strip()
    if plain.endswith("%"):
        share = quantity("`--extend`", plain[:-1]) or 0.0
        return round(share / 100.0 * total)
    return round(quantity("`--extend`", plain) or 0.0)


def _from_file(path: Path) -> list[float]:
    try:
        lines = path.read_text(encoding="utf-8").split()
        rates = [float(line.rstrip(",")) for line in lines[:MOST_RATES]]
    except (OSError, ValueError) as fault:
        raise ConfigError(f"`--rates`: {path} must hold one number a line ({fault}).") from None
    if not rates:
        raise ConfigError(f"`--rates`: {path} is empty; it must hold the rate of each step to come, one a line.")
    return rates


def _print(name: str, now: Position, outcomes: list[Outcome], notes: list[str]) -> None:
    from rich.console import Console

    from scalewatch.cli.forecast import print_notes

    console = Console()
    done, rate = 100 * now.step / now.total_steps, 100 * now.rate / now.peak
    console.print(
        f"{name}: step {now.step:,} of {now.total_steps:,} ({done:.0f} %), rate {rate:.0f} % of its peak",
        markup=False,
        highlight=False,
    )
    console.print(_table(now, outcomes, console.width))
    same = [each for each in outcomes if each.total_steps == now.total_steps and str(each.evidence_grade) == "B"]
    best = min(same, key=lambda each: each.difference)
    low, high = best.difference_interval(0.8)
    if best is outcomes[0] or high >= 0:
        line = "No schedule of this length is surely better than the plan."
    else:
        line = f"Best of this length: {best.name}, {-best.difference:.3f} lower (80 %: {-high:.3f} to {-low:.3f})."
    console.print(line, style="bold", markup=False, highlight=False)
    print_notes(console, notes)


def _table(now: Position, outcomes: list[Outcome], width: int) -> RenderableType:
    from scalewatch.cli.fitting_table import Column, fitting_table
    from scalewatch.plan.quantities import count

    columns = (
        Column("from now on", "words"),
        Column("steps left", goes=2),
        Column("tokens", goes=4),
        Column("ends at"),
        Column("80 %", goes=3),
        Column("to the plan"),
        Column("80 % of that", goes=1),
        Column("grade", goes=5),
    )
    rows, styles = [], []
    for place, each in enumerate(outcomes):
        low, high = each.interval(0.8)
        less, more = each.difference_interval(0.8)
        name = "hold the rate (the plan is not known)" if not place and not now.planned else each.name
        difference = [signed(each.difference), f"{signed(less)} to {signed(more)}"] if place else ["", ""]
        tokens = "" if each.tokens is None else count(each.tokens)
        cells = [name, f"{each.total_steps - now.step:,}", tokens, f"{each.final_loss:.3f}", f"{low:.3f} to {high:.3f}"]
        rows.append([*cells, *difference, str(each.evidence_grade)])
        styles.append("green" if place and more < 0 else "red" if place and less > 0 else "")
    return fitting_table(columns, rows, width, styles)
