"""The one driver of a monitor: observations in; findings, forecasts, advice, status and verdict out.

The callback, the commands over logs and the tab in TensorBoard are shells around it, so each of them says the same of
the same rows. Asking it changes no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scalewatch.advice import Advice
from scalewatch.columns import Columns
from scalewatch.finding import Finding, Phase
from scalewatch.forecast import Forecast
from scalewatch.forecast.milestones import Milestone
from scalewatch.forecast.verdict import Verdict
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.status import Status

__all__ = ["MOST_ADVICE", "MOST_FINDINGS", "Tracker"]

#: Findings and pieces of advice kept of one run; what is beyond is counted.
MOST_FINDINGS, MOST_ADVICE = 2_000, 500


@final
class Tracker:
    """Drives one monitor over the rows of a run.

    Args:
        monitor: of the run. pictured_at: part of the plan at which the forecast that a picture shows is kept; None for
            no picture.

    Attributes:
        findings: all that were made, oldest first, at most 2,000: what pages is kept longest. dropped: the rest, count.
        from_journal: whether findings are those that a journal tells, and not found anew.
        advised: advice as it was given, oldest first, at most 500, for who keeps it.
        rows: rows so far. pages: findings that were worth waking someone, count. first_page: of them.
        newest: the last row. pictured: the forecast at `pictured_at`, with the curve as it was forecast then.

    >>> from scalewatch import Run
    >>> tracker = Tracker(Monitor(Run("demo", total_steps=1_000)))
    >>> tracker.status.sentence
    'cannot tell: no row yet'
    """

    def __init__(self, monitor: Monitor, *, pictured_at: float | None = None) -> None:
        self.monitor = monitor
        self.from_journal = False
        self.findings: list[Finding] = []
        self.advised: list[Advice] = []
        self.dropped = self.rows = self.pages = 0
        self.first_page: Finding | None = None
        self.newest: Observation | None = None
        self.pictured: Forecast | None = None
        total = monitor.run.total_steps
        self._picture_step = None if total is None or pictured_at is None else pictured_at * total

    def observe(self, observation: Observation) -> list[Finding]:
        """Take one row of the log; return what is new with it, mostly nothing."""
        self.newest = observation
        return self._take(1, observation.step, self.monitor.observe(observation))

    def observe_many(self, rows: Columns) -> list[Finding]:
        """Take many rows of the log; return what is new with them, as row by row."""
        found: list[Finding] = []
        first = 0
        while first < len(rows):
            end = self._until(rows, first)
            part = rows.part(first, end)
            self.newest = part.row(len(part) - 1)
            found += self._take(len(part), self.newest.step, self.monitor.observe_many(part))
            first = end
        return found

    def _until(self, rows: Columns, first: int) -> int:
        """Where the rows end that may be taken at once: with that at which the picture is taken."""
        due = self._picture_step
        if due is None or max(rows.steps[first:]) < due:
            return len(rows)
        return next(place for place in range(first, len(rows)) if rows.steps[place] >= due) + 1

    def _take(self, rows: int, step: int, found: list[Finding]) -> list[Finding]:
        self.rows += rows
        if not self.from_journal:
            for finding in found:
                self.keep(finding)
        if self._picture_step is not None and step >= self._picture_step:
            self._picture_step = None
            self.pictured = self.monitor.forecast()
        return found

    def keep(self, finding: Finding) -> None:
        """Keep a finding; of too many the first that pages nobody goes, and else the one in the middle."""
        if finding.pages and finding.phase is not Phase.CLOSED:
            self.pages += 1
            self.first_page = self.first_page or finding
        if len(self.findings) >= MOST_FINDINGS:
            place = next((n for n, kept in enumerate(self.findings) if not kept.pages), MOST_FINDINGS // 2)
            del self.findings[place]
            self.dropped += 1
        self.findings.append(finding)

    def follow_journal(self, first: Finding) -> None:
        """Keep from now on only what `keep` is given: a journal tells what was found, `first` first.

        What was found anew from its step on, or of its kind, goes.
        """
        self.from_journal = True
        self.findings = [each for each in self.findings if each.step < first.step and each.kind is not first.kind]

    def restore(self, findings: list[Finding], advised: list[Advice], rows: int, *, from_journal: bool) -> None:
        """Go on from what was kept of `rows` rows; the monitor is there already."""
        self.findings, self.advised, self.rows, self.from_journal = findings, advised, rows, from_journal

    def keep_advice(self, advice: Sequence[Advice]) -> None:
        """Keep advice that was given, but for what was given of the same action for the same reason before."""
        for each in advice[: MOST_ADVICE - len(self.advised)]:
            before = next((other for other in reversed(self.advised) if other.action is each.action), None)
            if before is None or before.reason != each.reason:
                self.advised.append(each)

    @property
    def forecasts(self) -> Sequence[Milestone]:
        """The forecasts as they were given: before the first step, where a law makes one, and at each tenth."""
        return self.verdict.milestones

    @property
    def forecast(self) -> Forecast | None:
        """Where the run will end as of now; None if it has ended, or nothing can be said."""
        return None if self.verdict.finished else self.monitor.forecast()

    @property
    def no_forecast(self) -> str:
        """Why there is no forecast, in words; "" if there is one, it is too early to say, or the run has ended."""
        return "" if self.verdict.finished else self.monitor.why_no_forecast()

    @property
    def advice(self) -> list[Advice]:
        """What to do now, the most urgent first."""
        return self.monitor.advice()

    @property
    def status(self) -> Status:
        """How the run stands: one of six states."""
        return self.verdict.status

    @property
    def verdict(self) -> Verdict:
        """The state of the run in a few lines, from which every screen takes what it says of it."""
        return self.monitor.verdict()
