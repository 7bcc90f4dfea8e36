"""Incidents over the axis of a run: from the findings that tell of them to marks that can be told apart without colour.

A note is a small circle, a page a triangle, what is lost a diamond; each begins where the incident is believed to have
begun, and its bar ends where it closed. One that is open ends in an arrow.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from scalewatch.charts.marks import evenly
from scalewatch.charts.spec import Spec, layer, table, tip
from scalewatch.charts.theme import Theme, readable
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.kinds import kind_name

__all__ = ["Incident", "incidents_of", "marks_of", "placed", "shown", "spans_of"]

#: Shape and size [square pixels] of each severity.
SHAPES = {Severity.INFO: "circle", Severity.WARNING: "triangle-up", Severity.CRITICAL: "diamond"}
SIZES = {Severity.INFO: 34, Severity.WARNING: 85, Severity.CRITICAL: 110}
#: Incidents that are drawn: more would be a carpet.
MOST_DRAWN = 120
#: Where the marks stand above their panel, and the width of a letter beside them [pixels].
ABOVE, LETTER = -9, 6.6
#: Names beside marks, at most [count].
MOST_NAMES = 8


@final
@dataclass(frozen=True, slots=True)
class Incident:
    """One incident from its opening to its end.

    Attributes:
        index: place of the finding that opened it among all findings.
        kind, severity: what it was, and how bad it became.
        start, end: where it began and closed, on the axis that is drawn; the same for what lasted one row.
        step: optimizer step at which it began.
        is_open: it has not ended; `end` is then the newest row.
        message: what its newest finding but the closing one said.
    """

    index: int
    kind: str
    severity: Severity
    start: float
    end: float
    step: int
    is_open: bool
    message: str

    @property
    def name(self) -> str:
        """What people call it."""
        return kind_name(self.kind)


def incidents_of(findings: Sequence[Finding], open_kinds: Collection[str], last_step: int) -> list[Incident]:
    """Return the incidents that some findings tell of, in steps, in the order in which they opened.

    Args:
        findings: oldest first. open_kinds: kinds of which an incident is open. last_step: of the newest row.
    """
    found: list[Incident] = []
    living: dict[str, int] = {}
    for index, finding in enumerate(findings):
        kind, place = finding.kind, living.get(finding.kind)
        if finding.phase is Phase.CLOSED:
            if place is not None:
                found[place] = replace(found[place], end=float(finding.step), is_open=False)
                del living[kind]
        elif finding.phase is Phase.ESCALATED and place is not None:
            worst = max(found[place].severity, finding.severity, key=lambda severity: severity.rank)
            found[place] = replace(found[place], severity=worst, message=finding.message)
        else:
            living[kind] = len(found)
            start = finding.start_step
            found.append(Incident(index, kind, finding.severity, start, finding.step, start, False, finding.message))
    for kind, place in living.items():
        if kind in open_kinds:
            found[place] = replace(found[place], end=float(max(last_step, found[place].step)), is_open=True)
    return found


def placed(incidents: Sequence[Incident], axis: Any) -> list[Incident]:
    """Return incidents with `start` and `end` on another axis; `axis` takes an array of steps."""
    if not incidents:
        return []
    starts, ends = axis([each.start for each in incidents]), axis([each.end for each in incidents])
    return [
        replace(each, start=float(start), end=float(end))
        for each, start, end in zip(incidents, starts, ends, strict=True)
    ]


def shown(incidents: Sequence[Incident], low: float, high: float) -> list[Incident]:
    """Return those that can be seen from `low` to `high`, cut to it; of too many the worst, and the rest evenly."""
    seen = [each for each in incidents if each.end >= low and each.start <= high]
    for least in (Severity.WARNING, Severity.CRITICAL):
        if len(seen) > MOST_DRAWN:
            worse = [each for each in seen if each.severity.rank >= least.rank]
            rest = [each for each in seen if each.severity.rank < least.rank]
            seen = sorted(worse + evenly(rest, max(MOST_DRAWN - len(worse), 2)), key=lambda each: each.index)
    return [
        replace(each, start=min(max(each.start, low), high), end=min(max(each.end, low), high))
        for each in evenly(seen, MOST_DRAWN)
    ]


def shade_of(severity: Severity, theme: Theme) -> str:
    """Return the colour of a severity."""
    return {Severity.INFO: theme.grey, Severity.WARNING: theme.alarm}.get(severity, theme.lost)


def rows_of(incidents: Sequence[Incident], theme: Theme) -> Spec:
    """Return incidents as the data of a layer."""
    return table(
        incident=[each.index for each in incidents],
        x=[float(each.start) for each in incidents],
        end=[float(each.end) for each in incidents],
        step=[each.step for each in incidents],
        what=[each.name for each in incidents],
        severity=[each.severity.value for each in incidents],
        message=[each.message for each in incidents],
        shape=[SHAPES[each.severity] for each in incidents],
        size=[SIZES[each.severity] for each in incidents],
        shade=[shade_of(each.severity, theme) for each in incidents],
        words=[readable(shade_of(each.severity, theme), theme) for each in incidents],
    )


def tips() -> list[Spec]:
    """Return the lines of an incident's tooltip."""
    return [
        tip("what", "incident", kind="nominal"),
        tip("severity", "severity", kind="nominal"),
        tip("step", "since step", ",d"),
        tip("message", "what happened", kind="nominal"),
    ]


def severity_channels() -> Spec:
    """Return shape, size and colour by severity, as they stand in the rows: a scale would be shared with the lines."""
    return {
        name: {"field": field, "type": "quantitative" if name == "size" else "nominal", "scale": None}
        for name, field in (("shape", "shape"), ("size", "size"), ("color", "shade"))
    }


def marks_of(incidents: Sequence[Incident], x: Spec, theme: Theme, place: Any, *, y: Spec | None = None) -> list[Spec]:
    """Return the marks above a panel: a symbol where an incident begins, its bar, and its name where there is room.

    Args:
        incidents: as `shown` returns them. x: channel of the axis. place: pixel of a place on it.
        y: where; None for above the panel.
    """
    if not incidents:
        return []
    at = {"value": ABOVE} if y is None else y
    incidents = sorted(incidents, key=lambda each: each.severity.rank)  # the worst on top
    rows, by = rows_of(incidents, theme), severity_channels()
    click: Spec = {"clip": False, "cursor": "pointer"}
    line, point = click | {"strokeWidth": 3, "strokeOpacity": 0.55}, click | {"filled": True, "opacity": 1}
    bar = layer("rule", rows, line, x=x, x2={"field": "end"}, y=at, color=by["color"])
    symbol = layer("point", rows, point, x=x, y=at, tooltip=tips(), **by)
    names = _names(incidents, place)
    mark = click | {"align": "left", "dx": -5, "dy": -13, "fontSize": 11, "fontWeight": "bold"}
    text = {"field": "what", "type": "nominal"}
    label = layer("text", rows_of(names, theme), mark, x=x, y=at, text=text, color=by["color"] | {"field": "words"})
    return [bar, symbol, *([label] if names else [])]


def _names(incidents: Sequence[Incident], place: Any) -> list[Incident]:
    """Those pages, the worst first, whose names do not run into each other."""
    kept: list[Incident] = []
    free_until: list[tuple[float, float]] = []
    for each in sorted((i for i in incidents if i.severity is not Severity.INFO), key=lambda i: -i.severity.rank):
        left = float(place(each.start))
        right = left + LETTER * len(each.name)
        if not any(a < right and left < b for a, b in free_until) and len(kept) < MOST_NAMES:
            kept.append(each)
            free_until.append((left, right))
    return kept


def spans_of(incidents: Sequence[Incident], x: Spec, theme: Theme) -> list[Spec]:
    """Return what an incident shades in a panel, from its start to its end: pages as bands, the lost ones darker."""
    pages = [each for each in incidents if each.severity is not Severity.INFO]
    if not pages:
        return []
    rows, by = rows_of(pages, theme), severity_channels()
    shade: Spec = {"fillOpacity": 0.13, "strokeOpacity": 0, "cursor": "pointer"}
    band = layer("rect", rows, shade, x=x, x2={"field": "end"}, color=by["color"])
    line: Spec = {"strokeWidth": 1.2, "strokeDash": [2, 2], "cursor": "pointer"}
    edge = layer("rule", rows, line, x=x, color=by["color"])
    return [band, edge]
