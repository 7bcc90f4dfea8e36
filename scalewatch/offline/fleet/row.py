"""One row of verdict: what is kept of a run at a look, as plain values."""

from __future__ import annotations

import math
from typing import Any

from scalewatch.finding import Kind
from scalewatch.kinds import kind_name
from scalewatch.offline.replayed import ReplayedRun, notes
from scalewatch.text import no_control

__all__ = ["unreadable_row", "verdict_row"]

#: Letters of one text in a row; what is beyond says nothing in a table of a hundred thousand.
MOST_LETTERS = 400


def verdict_row(watched: ReplayedRun) -> dict[str, Any]:
    """Return the verdict of a run that was read, without what says which run it is."""
    tracker, log = watched.tracker, watched.log
    verdict, end = tracker.verdict, tracker.forecast
    status, gap, total = verdict.status, verdict.law_gap, verdict.run.total_steps
    low, high = (None, None) if end is None else end.interval(0.8)
    kinds = [finding.kind for finding in verdict.open_incidents if finding.pages]
    advice = next(iter(tracker.advice), None)
    row = {
        "state": str(status.state),
        "rank": status.state.rank,
        "sentence": status.sentence,
        "since": status.since,
        "pages": tracker.pages,
        "first_page_step": None if tracker.first_page is None else tracker.first_page.step,
        "open_kinds": ", ".join(kind_name(kind) for kind in kinds) or None,
        "not_measured": ", ".join(status.not_measured) or None,
        "rows": tracker.rows,
        "step": verdict.step,
        "total_steps": total,
        "progress": None if not total else verdict.step / total,
        "finished": verdict.finished,
        "row_seconds": _row_seconds(watched),
        "loss": verdict.last_loss,
        "loss_unit": verdict.run.unit or None,
        "final_loss": verdict.final_loss,
        "forecast": None if end is None else end.final_loss,
        "forecast_low": low,
        "forecast_high": high,
        "no_forecast": tracker.no_forecast or None,
        "off_law": any(f.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW) for f in verdict.open_incidents),
        "law_gap": None if gap is None else gap.nats,
        "law_gap_sigmas": None if gap is None else gap.sigmas,
        "action": None if advice is None else str(advice.action),
        "advice": None if advice is None else advice.text,
        "format": log.form,
        "notes": " · ".join(notes(log)) or None,
    }
    return {name: _bounded(value) for name, value in row.items()}


def unreadable_row(reason: str) -> dict[str, Any]:
    """Return the row of a log that cannot be read."""
    sentence = "cannot tell: it cannot be read"
    reason = _bounded(no_control(reason))
    return {"state": "cannot tell", "rank": 0, "sentence": sentence, "unreadable": reason, "rows": 0}


def _row_seconds(watched: ReplayedRun) -> float | None:
    clock = watched.clock
    if len(clock) < 2 or clock[-1][0] <= clock[0][0]:
        return None
    return (clock[-1][0] - clock[0][0]) / (len(clock) - 1)


def _bounded(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value[:MOST_LETTERS] if isinstance(value, str) else value
