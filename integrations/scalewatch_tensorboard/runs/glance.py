"""What the last rows of a log tell of its run: a row for the overview at the cost of about a millisecond.

It is no watching: what happened before these rows is not known, and the row says so.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

from scalewatch.guard import Guard
from scalewatch.offline.last_look import look_at_events, look_at_journal
from scalewatch_tensorboard.runs.logdirs import Found

__all__ = ["glanced", "glanced_or_none"]

#: Rows that the loss of now is the mean of.
LAST_ROWS = 5
#: A run to whose files nobody wrote for so long is taken as ended [s].
SILENT_SECONDS = 600.0
_CONSEQUENCE = "of one run in TensorBoard's tab; it is read in full"


def glanced(found: Found) -> dict[str, Any] | None:
    """Return the row of the overview as the last rows tell it; None if they tell nothing.

    Raises:
        OSError: if its files cannot be read.
    """
    if found.journal is not None:
        look = look_at_journal([found.journal / name for name, _, _ in found.files if name.endswith(".jsonl")])
    else:
        files = sorted((name for name, _, _ in found.files), key=lambda name: name.rpartition("tfevents.")[2])
        look = look_at_events([found.folder / name for name in files])
    if look is None:
        return None
    rows, open_now, total, level, sentence = look
    step = rows[-1].step
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
