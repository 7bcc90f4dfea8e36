"""What open incidents mean for a forecast: of a lost run none is told, of one in trouble it is that it recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from scalewatch.finding import Finding, Severity
from scalewatch.forecast.forecast import Forecast
from scalewatch.kinds import HOLD_THE_LOSS, kind_name

__all__ = ["recovers", "suspended", "with_note"]


#: Part of the steps so far for which trouble may be open before it is no longer taken to pass. By hand.
LONGEST_TROUBLE = 0.1


def suspended(open_incidents: Iterable[Finding], step: int) -> str:
    """Return since when a forecast says nothing, for the run is lost or does not recover; "" while it may.

    Args:
        open_incidents: the newest finding of each. step: newest step.
    """
    held = [f for f in open_incidents if f.kind in HOLD_THE_LOSS]
    lost = [f for f in held if f.severity is Severity.CRITICAL]
    long = [f for f in held if f.pages and step - f.start_step > LONGEST_TROUBLE * step]
    first = min(lost or long, key=lambda finding: finding.start_step, default=None)
    if first is None:
        return ""
    why = "for the run is lost to a" if lost else "for it has not come back from a"
    return f"suspended since step {first.start_step:,}, {why} {kind_name(first.kind)}"


def recovers(open_incidents: Iterable[Finding]) -> str:
    """Return what a forecast takes for granted while something is open that pages, in a sentence; "" if nothing is."""
    trouble = next((f for f in open_incidents if f.pages), None)
    if trouble is None:
        return ""
    since = f"{kind_name(trouble.kind)} is open since step {trouble.start_step:,}"
    return f"A {since}. The forecast is that of a run that recovers."


def with_note(make: Callable[[], Forecast | None], note: str) -> Forecast | None:
    """Return what `make` makes, with one more sentence; "" for none."""
    made = make()
    return made if made is None or not note else replace(made, notes=(*made.notes, note))
