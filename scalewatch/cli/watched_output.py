"""The output of a program under a monitor: findings to stderr, journal and alerts."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, final

from scalewatch.finding import Finding, Severity
from scalewatch.journal import JournalWriter, finding_record, observation_record
from scalewatch.logs.open import CONSOLE_COPY
from scalewatch.observation import Observation
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch.status import State
from scalewatch.text import no_control

if TYPE_CHECKING:
    from scalewatch.alert import Dispatcher, Rules

__all__ = ["WatchedOutput", "say"]

#: How long the last messages may take [s].
CLOSE_SECONDS = 10.0


@final
class WatchedOutput:
    """Reads the copy of the output in a folder as it grows.

    Args:
        folder: of the run; its journal goes to `scalewatch` in it. settings: of the monitor. rules: of the alerts, None
            for none. quiet: whether nothing is printed.
    """

    def __init__(self, folder: Path, settings: Settings, rules: Rules | None, *, quiet: bool) -> None:
        self._folder, self._settings, self._rules, self._quiet = folder, settings, rules, quiet
        self._run: ReplayedRun | None = None
        self._journal: JournalWriter | None = None
        self._alerts: Dispatcher | None = None
        self._why = ""

    def look(self) -> None:
        """Read what is new; the first rows with a loss begin the run."""
        if self._run is None and not self._begin():
            return
        assert self._run is not None
        for finding in self._run.advance(each=self._take):
            self._found(finding)
        if self._journal is not None:
            self._journal.drain()

    def end(self) -> None:
        """The program has ended: say how the run was, and close what is open."""
        if self._run is None:
            self._say(f"nothing was watched: {self._why or 'it printed nothing'}")
            return
        status = self._run.tracker.status
        newest = self._run.tracker.newest
        step = "" if newest is None else f", step {newest.step:,}"
        self._say(f"{status.sentence}{step}; journal in {self._folder}")
        if self._journal is not None:
            self._journal.close()
        if self._alerts is not None:
            bad = status.state in (State.LOST, State.IN_TROUBLE)
            rows = self._run.tracker.verdict.rows()
            self._alerts.end(f"ended; {status.sentence}", Severity.WARNING if bad else Severity.INFO, rows)
            self._alerts.close(CLOSE_SECONDS)

    def _begin(self) -> bool:
        opened = self._settings.open([self._folder / CONSOLE_COPY])
        self._why = next((no.reason for no in opened.unreadable), "")
        if not opened.logs:
            return False
        log = opened.logs[0]
        if self._settings.name is None:
            log.name = self._folder.name
        self._run = ReplayedRun(log, self._settings)
        run = self._run.tracker.monitor.run
        self._journal = JournalWriter(self._folder / "scalewatch", run)
        if self._rules is not None:
            from scalewatch.alert import Dispatcher, make_receivers

            receivers = make_receivers(self._rules)
            place = self._folder / "scalewatch"
            self._alerts = Dispatcher(run, uuid.uuid4().hex, receivers, self._rules, folder=place)
            self._alerts.begin()
        columns = ", ".join(f"{field} = {name}" for field, name in log.columns.items())
        self._say(f"watching {columns}; findings and a copy of the output in {self._folder}")
        return True

    def _take(self, row: Observation) -> None:
        if self._journal is not None:
            self._journal.append(observation_record(row))
        if self._alerts is not None and row.loss is not None:
            self._alerts.observe(row.step, row.loss)

    def _found(self, finding: Finding) -> None:
        assert self._run is not None
        if self._journal is not None:
            self._journal.append_through(finding_record(finding))
        if self._alerts is not None:
            self._alerts.submit([finding], self._run.tracker.advice)
        if finding.pages:
            self._say(f"step {finding.step:,}: {finding.severity}, {finding.phase}: {finding.message}")

    def _say(self, line: str) -> None:
        say(line, self._quiet)


def say(line: str, quiet: bool) -> None:
    """Print a line of ours to stderr unless `quiet`: on a line of its own, also where a bar is being drawn."""
    if not quiet:
        before = "\n" if sys.stderr.isatty() else ""
        print(f"{before}scalewatch: {no_control(line)}", file=sys.stderr, flush=True)  # noqa: T201  a command's own output
