"""What the last rows of a log tell of its run: a row for the overview at the cost of about a millisecond.

It is no watching: what happened before these rows is not known, and the row says so.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Phase
from scalewatch.guard import Guard
from scalewatch.journal import finding_from, observation_from
from scalewatch.journal.segment import first_record
from scalewatch.journal.tail import last_records
from scalewatch.logs.tensorboard.last_rows import last_rows
from scalewatch.observation import Observation
from scalewatch_tensorboard.runs.logdirs import Found

__all__ = ["glanced", "glanced_or_none"]

#: Losses that are no numbers, running, that make a run lost; as the detector of them says it.
LOST_ROWS = 3
#: Newest rows that are held against those before, and how many of these there must be.
NEWEST, FEWEST_BEFORE = 8, 24
#: A rise of the middle of the newest rows that is trouble: in scatters of those before, and as a part of their level.
RISE_SCATTERS, RISE_PART = 8.0, 0.1
#: Rows that the loss of now is the mean of.
LAST_ROWS = 5
#: A run to whose files nobody wrote for so long is taken as ended [s].
SILENT_SECONDS = 600.0
#: The end of a journal that is read [bytes].
TAIL_BYTES = 1 << 14
#: Segments of a journal, the newest, that are looked at.
MOST_SEGMENTS = 16
_CONSEQUENCE = "of one run in TensorBoard's tab; it is read in full"


def glanced(found: Found) -> dict[str, Any] | None:
    """Return the row of the overview as the last rows tell it; None if they tell nothing.

    Raises:
        OSError: if its files cannot be read.
    """
    if found.journal is not None:
        rows, open_now, total = _of_journal(found)
    else:
        files = sorted((name for name, _, _ in found.files), key=lambda name: name.rpartition("tfevents.")[2])
        rows, _ = last_rows([found.folder / name for name in files])
        open_now, total = [], None
    if not rows:
        return None
    step = rows[-1].step
    level, sentence = _level(rows, open_now)
    silent = time.time() - found.newest > SILENT_SECONDS
    ended = silent or (total is not None and step >= total)
    losses = [row.loss for row in rows[-LAST_ROWS:] if math.isfinite(row.loss)]
    return {
        "name": found.name,
        "source": "event files" if found.journal is None else "journal",
        "stage": "glanced",
        "ended": None,
        "over": ended,
        "read": 0.0,
        "rows": len(rows),
        "step": step,
        "total_steps": total,
        "progress": None if total is None else round(min(step / total, 1.0), 4),
        "level": level,
        "headline": sentence,
        "last_loss": statistics.fmean(losses) if losses else None,
        "open_incidents": len(open_now),
        "incidents": len(open_now),
        "seconds_last": round(found.newest, 1),
        "notes": 0,
    }


def glanced_or_none(found: Found) -> dict[str, Any] | None:
    """Return what `glanced` does, None where it raises: the reading in full says what is wrong."""
    return Guard(consequence=_CONSEQUENCE).call("look at last rows", _quietly, found)


def _quietly(found: Found) -> dict[str, Any] | None:
    try:
        return glanced(found)
    except OSError:
        return None


def _of_journal(found: Found) -> tuple[list[Observation], list[Finding], int | None]:
    """The last rows, the incidents that are open by them, and the planned steps."""
    assert found.journal is not None
    segments = [found.journal / name for name, _, _ in found.files if name.endswith(".jsonl")]
    headers = {path: first_record(path) or {} for path in segments[-MOST_SEGMENTS:]}
    ranks = [header.get("rank", 0) for header in headers.values() if header]
    for path in reversed(headers):
        if headers[path].get("rank", 0) != min(ranks, default=0):
            continue
        rows, open_now = list[Observation](), dict[Any, Finding]()
        for record in last_records(path, TAIL_BYTES):
            try:
                if record.get("type") == "o":
                    rows.append(observation_from(record))
                elif record.get("type") == "finding":
                    _note(finding_from(record), open_now)
            except JournalError:
                continue
        if rows:
            run = headers[path].get("run")
            total = run.get("total_steps") if isinstance(run, dict) else None
            return rows, list(open_now.values()), total if isinstance(total, int) else None
    return [], [], None


def _note(finding: Finding, open_now: dict[Any, Finding]) -> None:
    if finding.phase is Phase.CLOSED:
        open_now.pop(finding.kind, None)
    elif finding.pages:
        open_now[finding.kind] = finding


def _level(rows: Sequence[Observation], open_now: Sequence[Finding]) -> tuple[str, str]:
    """How it stands by its last rows, and a sentence."""
    none = len(list(itertools.takewhile(lambda row: not math.isfinite(row.loss), reversed(rows))))
    if none >= LOST_ROWS:
        more = " or more" if none == len(rows) else ""
        return "lost", f"Its last {none:,}{more} losses are no numbers"
    if open_now:
        newest = open_now[-1]
        return (
            "trouble",
            f"{newest.kind.replace('_', ' ').capitalize()} since step {newest.start_step:,}, as its journal says",
        )
    losses = [row.loss for row in rows if math.isfinite(row.loss)]
    before, now = losses[:-NEWEST], losses[-NEWEST:]
    if len(before) >= FEWEST_BEFORE:
        level, new = statistics.median(before), statistics.median(now)
        scatter = statistics.median(abs(loss - level) for loss in before)
        if new - level > max(RISE_SCATTERS * scatter, RISE_PART * abs(level)):
            return "trouble", f"Its last {NEWEST} losses stand at {new:.4g}, those before at {level:.4g}"
    return "healthy", f"Nothing in its last {len(rows):,} rows; not read in full yet"
