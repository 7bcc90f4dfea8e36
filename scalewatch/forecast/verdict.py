"""What is said about a run when it ends: health, prediction and outcome, incidents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from scalewatch.finding import Finding, Phase
from scalewatch.forecast.forecast import LawResidual
from scalewatch.forecast.milestones import Look, Milestone
from scalewatch.kinds import kind_name
from scalewatch.run import Run
from scalewatch.shown import card_of
from scalewatch.status import Status, status_of
from scalewatch.text import away

__all__ = ["Verdict"]


#: Part of the steps so far before which a distance to the law is one of then: a stretch of the curve is a twentieth. By
#: hand.
RECENT = 0.9


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a run in a few lines.

    Attributes:
        run: the run.
        step: steps completed.
        end_loss: mean loss of the rows so far in the last fiftieth of the plan, also of those of an incident
            [nats/token]; None before that.
        stretch_loss: mean loss of the newest stretch, or of the newest row while an incident is open [nats/token].
        looks: forecasts as they were given, oldest first, each made when it is first read.
        incidents: findings that opened or escalated an incident, oldest first, bounded.
        incident_counts: how many incidents of each kind there were.
        open_incidents: the newest finding of each incident that is open.
        law_gap: how far the run is off its law, None without one.
        unjudged: why nothing can be told of it yet, "" where something can.
        no_forecast: why no forecast is made, "" where one is. not_measured: what was never given, in words.
    """

    run: Run
    step: int
    end_loss: float | None
    stretch_loss: float | None
    looks: Sequence[Look]
    incidents: Sequence[Finding]
    incident_counts: Counter[str]
    open_incidents: Sequence[Finding]
    law_gap: LawResidual | None
    unjudged: str = ""
    no_forecast: str = ""
    not_measured: tuple[str, ...] = ()

    _repr_html_ = card_of

    @property
    def finished(self) -> bool:
        """Whether the planned end was reached."""
        return self.run.total_steps is not None and self.step >= self.run.total_steps

    @property
    def final_loss(self) -> float | None:
        """The loss that the run ended at: `end_loss` of a run that reached its planned end; None of any other."""
        return self.end_loss if self.finished else None

    @property
    def last_loss(self) -> float | None:
        """The loss now [nats/token]: the final one of a run that has ended, else that of its newest stretch."""
        return self.stretch_loss if self.final_loss is None else self.final_loss

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that was worth waking someone."""
        return not any(f.pages for f in self.incidents)

    @property
    def headline(self) -> str:
        """Health in one line."""
        return self.status.sentence

    @property
    def status(self) -> Status:
        """How the run stands."""
        paged = [finding for finding in self.incidents if finding.pages]
        return status_of(
            self.open_incidents,
            paged,
            unjudged=self.unjudged,
            finished=self.finished,
            not_measured=self.not_measured,
        )

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """The forecasts as they were given, oldest first; those at which there was nothing to say are left out."""
        return tuple(made for look in self.looks if (made := look.milestone) is not None)

    def at(self, progress: float) -> Milestone | None:
        """The forecast given at `progress`, None if none was given there."""
        return next((look.milestone for look in self.looks if abs(look.progress - progress) < 0.005), None)

    def rows(self) -> list[tuple[str, str]]:
        """The verdict as (label, text) rows of a table."""
        run = self.run
        total = "" if run.total_steps is None else f" of {run.total_steps:,}"
        rows = [("run", run.name), ("health", self.headline), ("steps", f"{self.step:,}{total}")]
        if run.parameters is not None:
            inner = run.non_embedding_parameters
            rows.append(("parameters", f"{run.parameters:,}" + (f" ({inner:,} non-embedding)" if inner else "")))
        start, third = self.at(0.0), self.at(0.3)
        if start is not None:
            came = "" if self.final_loss is None else f"; {start.score(self.final_loss)}"
            rows.append(("predicted before the start", start.text() + came))
        if third is not None:
            rows.append(("predicted at 30 %", third.text()))
        if self.final_loss is not None:
            rows.append(("final loss", self._outcome(self.final_loss, third or start)))
        elif self.last_loss is not None:
            rows.append(("loss now", f"{self.last_loss:.3f}" if abs(self.last_loss) < 1e3 else f"{self.last_loss:.3g}"))
        unplanned = run.total_steps is None and run.max_seconds is None
        why = self.no_forecast or ("the run has no planned end" if unplanned else "")
        if why and not self.finished:
            rows.append(("forecast", f"none: {why}"))
        if self.law_gap is not None:
            stale = self.gap_ends_at is not None
            until = f" until step {self.law_gap.step:,}" if self.law_gap.step < RECENT * self.step else ""
            rows.append(("against its law" + (" before that" if stale else until), self.law_gap.text()))
        rows.append(("incidents", self._incidents()))
        if self.not_measured:
            rows.append(("not measured", ", ".join(self.not_measured)))
        return rows

    @property
    def gap_ends_at(self) -> int | None:
        """Step of the open incident that the distance to the law is from before of; None if it is of now."""
        if self.law_gap is None:
            return None
        after = [f.start_step for f in self.open_incidents if f.pages and f.start_step > self.law_gap.step]
        return min(after, default=None)

    def _outcome(self, loss: float, forecast: Milestone | None) -> str:
        if forecast is None:
            return f"{loss:.3f}"
        inside = "inside" if forecast.holds(loss) else "OUTSIDE"
        return f"{loss:.3f}   {inside} the interval, prediction {away(forecast.final_loss, loss)}"

    def _incidents(self) -> str:
        if not self.incident_counts:
            return "none"
        counts = [f"{n}{' x' if n > 1 else ''} {kind_name(kind)}" for kind, n in sorted(self.incident_counts.items())]
        first = next((f for f in self.incidents if f.pages and f.phase is Phase.OPENED), None)
        return ", ".join(counts) + ("" if first is None else f"; first page at step {first.step:,}: {first.message}")
