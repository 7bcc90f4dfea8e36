"""How a log was read, and how to say it better: what people paste when it was read wrong."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scalewatch.logs.columns import FIELDS, scale_of
from scalewatch.logs.formats.console_text import LEARNT_FROM
from scalewatch.logs.tabular import AbstractTabularLog
from scalewatch.text import no_control

if TYPE_CHECKING:
    from scalewatch.logs import AbstractLog
    from scalewatch.observation import Observation

__all__ = ["explanation"]

#: Letters of a line of the log that are shown.
SHOWN = 160
#: Rows without which nothing can be said of the end of a run. By hand.
FEWEST_ROWS = 30


def explanation(log: AbstractLog) -> list[tuple[str, str]]:
    """Return what was made of a log, a label and a sentence each; reads it to its end."""
    first: Observation | None = None
    newest: Observation | None = None
    rows = losses = bad = rates = 0
    least, most = math.inf, -math.inf
    for row in log.rows():
        first, newest, rows = first or row, row, rows + 1
        rates += row.learning_rate is not None
        if row.loss is None:
            continue
        losses += 1
        if math.isfinite(row.loss):
            least, most = min(least, row.loss), max(most, row.loss)
        else:
            bad += 1
    said = [("file", str(log.path)), ("read as", _form(log))]
    if first is None or newest is None:
        return [*said, *_notes(log), ("say it better", _command(log))]
    values = f"{losses:,} in {rows:,} rows" + (f", from {most:g} down to {least:g}" if least < most else "")
    values += f", {bad:,} of them no number" if bad else ""
    said += [
        ("steps", f"{_column(log, 'step')}: {first.step:,} to {newest.step:,}, {rows:,} rows"),
        ("loss", f"{_column(log, 'loss')}: {values}; {_unit(log)}"),
    ]
    others = [field for field in FIELDS if field not in ("step", "loss") and field in log.columns]
    said += [(field.replace("_", " "), _column(log, field)) for field in others]
    total = log.run.total_steps
    said.append(("planned end", "not said by the log" if total is None else f"step {total:,}"))
    missing = list(_missing(log, rows, rates))
    said.append(("for a forecast", "; ".join(missing) if missing else "all is there"))
    return [*said, *_notes(log), ("say it better", _command(log))]


def _form(log: AbstractLog) -> str:
    learnt = getattr(log, "learnt", None)
    if learnt is None:
        return log.form
    return f"{log.form}; the step: {learnt.source}; lines such as: {learnt.example.strip():.{SHOWN}}"


def _column(log: AbstractLog, field: str) -> str:
    column = log.columns.get(field)
    return f"'{column:.60}'" if column is not None else "counted"


def _unit(log: AbstractLog) -> str:
    if isinstance(log, AbstractTabularLog) and log.assembled.maximized:
        return "it rises as it is learnt: its negative is the loss"
    how, factor = scale_of(log.columns.get("loss", ""), "loss")
    if how == "log":
        return "a perplexity, of which the logarithm is taken [nats]"
    return "bits, times ln 2 [nats]" if factor != 1.0 else "taken as it is"


def _missing(log: AbstractLog, rows: int, rates: int) -> Iterator[str]:
    if log.run.total_steps is None:
        yield "the planned end is missing (--total-steps N)"
    if not rates and log.run.learning_rates is None:
        yield "no learning rate is logged: log it, or say how it goes (scalewatch forecast --schedule cosine)"
    if rows < FEWEST_ROWS:
        yield f"{rows:,} rows are too few"


def _notes(log: AbstractLog) -> list[tuple[str, str]]:
    return [("note", no_control(note)) for note in log.notes if not note.startswith(LEARNT_FROM)]


def _command(log: AbstractLog) -> str:
    words = ["scalewatch", "replay", str(log.path)]
    for field in ("loss", "step"):
        if field in log.columns:
            words += ["--column", f"{field}={log.columns[field]}"]
    words += ["--format", log.form]
    if log.run.total_steps is None:
        words += ["--total-steps", "N"]
    return " ".join(shlex.quote(word) for word in words)
