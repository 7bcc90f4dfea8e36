"""From findings to incidents: where each began, how bad it became, and when it was over."""

from __future__ import annotations

from scalewatch.charts import incidents_of
from scalewatch.finding import Finding, Kind, Phase, Severity


def said(kind: Kind, step: int, phase: Phase = Phase.OPENED, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(kind, severity, step, step - 1, f"{phase} at {step}", phase=phase)


def test_an_incident_reaches_from_its_beginning_to_its_close_at_its_worst() -> None:
    """Three findings, one incident, told by the place of the first."""
    findings = [
        said(Kind.SPIKE, 100),
        said(Kind.SPIKE, 120, Phase.ESCALATED, Severity.CRITICAL),
        said(Kind.SPIKE, 150, Phase.CLOSED, Severity.INFO),
    ]
    (found,) = incidents_of(findings, set(), 1_000)

    assert (0, 99, 150.0, Severity.CRITICAL) == (found.index, found.start, found.end, found.severity)
    assert not found.is_open
    assert "escalated at 120" == found.message


def test_what_is_open_ends_at_the_newest_row_and_what_lasted_one_row_does_not() -> None:
    """A bad batch never closes, and is not open either."""
    findings = [said(Kind.BAD_BATCH, 50, severity=Severity.INFO), said(Kind.DIVERGENCE, 60)]
    batch, divergence = incidents_of(findings, {Kind.DIVERGENCE}, 1_000)

    assert (50.0, False) == (batch.end, batch.is_open)
    assert (1_000.0, True) == (divergence.end, divergence.is_open)


def test_a_second_incident_of_a_kind_is_one_of_its_own() -> None:
    """And a close without an opening, of which the log lost the beginning, is nothing."""
    closed = said(Kind.SPIKE, 20, Phase.CLOSED, Severity.INFO)
    findings = [closed, said(Kind.SPIKE, 100), said(Kind.SPIKE, 110, Phase.CLOSED), said(Kind.SPIKE, 200)]
    found = incidents_of(findings, {Kind.SPIKE}, 1_000)

    assert [(1, 110.0), (3, 1_000.0)] == [(each.index, each.end) for each in found]
