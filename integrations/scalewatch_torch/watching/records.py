"""What a run leaves in its journal, as records; without a journal nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import final

from scalewatch.acting.acts import ActPhase, Decision
from scalewatch.advice import Advice
from scalewatch.checkpoints import SavedCheckpoint
from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Kind
from scalewatch.forecast import Forecast
from scalewatch.journal import LAW, LOGGED, JournalWriter, advice_record, finding_record, observation_record
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.worker import Worker
from scalewatch_torch.watching.terminal import escape

__all__ = ["LEVEL", "RunRecords", "new_writer"]

_log = logging.getLogger("scalewatch")

#: Level of the interval that is told, and kept.
LEVEL = 0.8


def new_writer(
    folder: Path | None, run: Run, run_id: str, resumes_after_step: int | None, worker: Worker
) -> JournalWriter | None:
    """Return what writes the journal in `folder`; None where there is to be none, or it cannot be written."""
    if folder is None:
        return None
    try:
        return JournalWriter(folder, run, run_id=run_id, resumes_after_step=resumes_after_step, worker=worker)
    except JournalError as fault:
        _log.warning("scalewatch: %s The run is watched without one.", escape(fault))
        return None


@final
class RunRecords:
    """Writes what happens to a run into its journal.

    Args:
        writer: of the journal, None for no journal. run_id: of the run.
    """

    def __init__(self, writer: JournalWriter | None, run_id: str) -> None:
        self._writer = writer
        self.run_id = run_id

    def observation(self, observation: Observation, found: Iterable[Finding]) -> None:
        """Keep a step, and what was found with it."""
        if self._writer is None:
            return
        found = list(found)
        phase = next((str(finding.evidence["phase"]) for finding in found if finding.kind is Kind.PHASE), None)
        if phase != observation.phase:
            observation = observation._replace(phase=phase)
        self._writer.append(observation_record(observation))
        for finding in found:
            self._writer.append_through(finding_record(finding))

    def settle(self) -> None:
        """Have in the file what was kept so far: a checkpoint is made, and a run goes on from it."""
        if self._writer is not None:
            self._writer.settle()

    def logged(self, names: Iterable[str]) -> None:
        """Keep what is logged with the loss: it tells what kind of loss it is."""
        if self._writer is not None:
            self._writer.append({"type": LOGGED, "names": list(names)})

    def advice(self, new: Iterable[Advice]) -> None:
        """Keep what is advised anew."""
        if self._writer is not None:
            for advice in new:
                self._writer.append_through(advice_record(advice))

    def forecast(self, forecast: Forecast) -> None:
        """Register what is predicted now: once written it is never rewritten."""
        if self._writer is not None:
            low, high = forecast.interval(LEVEL)
            record = {"type": "forecast", "step": forecast.step, "final_loss": forecast.final_loss}
            self._writer.append_through({**record, "level": LEVEL, "low": low, "high": high})

    def registered(self, monitor: Monitor) -> None:
        """Keep what the run is held against; a run that resumes repeats what it registered when it began."""
        if self._writer is not None and monitor.registered is not None:
            self._writer.append_through(monitor.registered.record())
        if self._writer is not None and monitor.law is not None:
            self._writer.append_through({"type": LAW, "law": monitor.law.to_json()})

    def validation(self, step: int, loss: float) -> None:
        """Keep a validation loss that no observation carries."""
        if self._writer is not None:
            self._writer.append_through({"type": "validation", "step": step, "loss": loss})

    def validations(self, step: int, losses: Mapping[str, float]) -> None:
        """Keep what a validation loss is the mean of."""
        if self._writer is not None:
            # words, because JSON has none of the numbers that are not finite
            parts = [[escape(name), f"{loss:.6g}"] for name, loss in losses.items()]
            self._writer.append({"type": "validations", "step": step, "losses": parts})

    def note(self, text: str) -> None:
        """Keep a line that is no finding."""
        if self._writer is not None:
            self._writer.append_through({"type": "note", "text": escape(text)})

    def checkpoint(self, saved: SavedCheckpoint) -> None:
        """Keep that a checkpoint was written, and where."""
        if self._writer is not None:
            self._writer.append_through({"type": "checkpoint", "step": saved.step, "path": escape(saved.path)})

    def act(self, decision: Decision, phase: ActPhase, text: str) -> None:
        """Keep what is done to the run, or would be."""
        if self._writer is not None:
            self._writer.append_through({"type": "act", "phase": phase, **decision.to_plain(), "text": escape(text)})

    def verdict(self, step: int, rows: Iterable[tuple[str, str]]) -> None:
        """Keep the table that the run ends with."""
        if self._writer is not None:
            table = [[escape(label), escape(text)] for label, text in rows]
            self._writer.append_through({"type": "verdict", "step": step, "rows": table})

    def row(self, finished: bool) -> list[tuple[str, str]]:
        """Return the row that says where the journal is, and what of it is missing."""
        if self._writer is None:
            return []
        dropped = self._writer.dropped
        lost = f" ({dropped:,} records lost)" if dropped else ""
        unwritten = "" if finished or dropped else " (still being written)"
        return [("journal", f"{self._writer.path.parent}{lost}{unwritten}")]
