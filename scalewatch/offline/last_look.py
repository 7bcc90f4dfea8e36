"""What the last rows of a log tell of its run, at the cost of about a millisecond: which of many to look into first.

It is no watching: what happened before these rows is not known.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Phase
from scalewatch.journal import finding_from, observation_from
from scalewatch.journal.segment import first_record, segments_in
from scalewatch.journal.tail import last_records
from scalewatch.logs import AbstractLog
from scalewatch.logs.tensorboard.events_folder import event_files
from scalewatch.logs.tensorboard.last_rows import last_rows
from scalewatch.observation import Observation

__all__ = ["LastLook", "look_at_events", "look_at_journal", "urgency"]

#: Losses that are no numbers, running, that make a run lost; as the detector of them says it.
LOST_ROWS = 3
#: Newest rows that are held against those before, and how many of these there must be. By hand.
NEWEST, FEWEST_BEFORE = 8, 24
#: A rise of the middle of the newest rows that is trouble: in scatters of those before, and as a part of their level.
#: By hand.
RISE_SCATTERS, RISE_PART = 8.0, 0.1
#: The end of a journal that is read [bytes], and segments of it, the newest, that are looked at.
TAIL_BYTES, MOST_SEGMENTS = 1 << 14, 16


@final
class LastLook(NamedTuple):
    """What last rows tell.

    Attributes:
        rows: the last rows, oldest first, one at least. open_now: incidents that the journal opened and did not close.
        total_steps: as planned, None if the log does not say. level: "lost", "trouble" or, where nothing is seen,
            "healthy". sentence: what is seen.
    """

    rows: Sequence[Observation]
    open_now: Sequence[Finding]
    total_steps: int | None
    level: str
    sentence: str


def look_at_events(files: Sequence[Path]) -> LastLook | None:
    """Return what the last rows in event files tell; None if they hold none.

    Raises:
        OSError: if they cannot be read.
    """
    rows, _ = last_rows(files)
    return LastLook(rows, (), None, *_level(rows, ())) if rows else None


def look_at_journal(segments: Sequence[Path]) -> LastLook | None:
    """Return what the end of a journal tells, of its lowest rank; None if that holds no row."""
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
            found = list(open_now.values())
            return LastLook(rows, found, total if isinstance(total, int) else None, *_level(rows, found))
    return None


def urgency(log: AbstractLog) -> tuple[int, int]:
    """Sort key of a log that is not read yet: what looks worst first, then the shortest."""
    look = None
    try:
        if log.form == "tensorboard":
            look = look_at_events(event_files(log.path))
        elif log.form == "journal":
            look = look_at_journal([path for _, path in segments_in(log.path)])
    except OSError:
        pass  # the reading in full says what is wrong
    return {"lost": 0, "trouble": 1}.get(look.level if look else "", 2), log.bytes_total


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
