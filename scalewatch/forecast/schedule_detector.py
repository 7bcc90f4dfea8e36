"""Says when the learning rate of a run has left its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from scalewatch.detect import CalmRows
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.run import Run
from scalewatch.text import few_digits

__all__ = ["ScheduleDetector"]

#: A rate within this factor of its plan is on plan; schedulers differ by a step in what they call step k. By hand.
RATE_TOLERANCE = 1.1
#: Rows on end before a rate is said to be off its plan, or back on it. By hand.
RATE_ROWS = 3
#: Rates below this part of the planned peak are not compared: their ratio says nothing. By hand.
LEAST_RATE_SHARE = 1e-3


@final
class ScheduleDetector:
    """Whether the learning rate is the planned one. Constant memory.

    It pages nobody: a rate that was changed on purpose is no incident. But it is the first thing to know when
    the loss rises.
    """

    def __init__(self, run: Run) -> None:
        self._plan = run.learning_rates
        self._least = 0.0 if self._plan is None else LEAST_RATE_SHARE * float(self._plan.max())
        self._off = 0
        self._on = 0
        self._first = 0
        self.since: int | None = None
        self.factor = 1.0

    @property
    def has_plan(self) -> bool:
        """Whether there are planned rates to leave."""
        return self._plan is not None

    def update(self, step: int, rate: float) -> Finding | None:
        """Take the rate of a step (NaN where unknown); return a finding when it leaves its plan or returns."""
        plan = self._plan
        if plan is None or not 1 <= step <= len(plan):
            return None
        planned = float(plan[step - 1])
        if not (rate >= self._least and planned >= self._least):
            return None
        factor = rate / planned
        if 1 / RATE_TOLERANCE <= factor <= RATE_TOLERANCE or self._neighbours(step, rate):
            self._off, self._on = 0, self._on + 1
            if self.since is not None and self._on >= RATE_ROWS:
                message = f"the learning rate is back on its plan, {rate:.3g}"
                start, self.since = self.since, None
                return Finding(Kind.OFF_PLAN, Severity.INFO, step, start, message, {"factor": factor}, Phase.CLOSED)
            return None
        self._on = 0
        self._off += 1
        if self._off == 1:
            self._first = step
        if self._off < RATE_ROWS or self.since is not None:
            return None
        self.since, self.factor = self._first, factor
        message = f"the learning rate is {few_digits(rate)}, {factor:.3g} times its plan ({few_digits(planned)})"
        return Finding(
            Kind.OFF_PLAN,
            Severity.INFO,
            step,
            self._first,
            message,
            {"factor": factor, "planned": planned, "rate": rate},
        )

    def calm_until(self, rows: CalmRows, first: int, end: int) -> int:
        """Return how far from `first` on every rate is on its plan, or off it as it was before."""
        if self._plan is None or first >= end:
            return end
        if self.since is not None:
            return self._off_until(rows, first, end) if self._off else first
        if self._off:
            return first
        for place, (rate, planned) in enumerate(self._compared(rows, first, end), first):
            if rate >= self._least and planned >= self._least:
                on_plan = planned > 0.0 and 1 / RATE_TOLERANCE <= rate / planned <= RATE_TOLERANCE
                if not on_plan:
                    return place
        return end

    def _off_until(self, rows: CalmRows, first: int, end: int) -> int:
        """How far from `first` on no rate is near any that is planned for these rows."""
        near = None if self._plan is None else self._plan[max(rows.steps[first] - 3, 0) : rows.steps[end - 1] + 2]
        low, high = (float(near.min()), float(near.max())) if near is not None and len(near) else (0.0, 0.0)
        for place, (rate, planned) in enumerate(self._compared(rows, first, end), first):
            comparable = rate >= self._least and planned >= self._least
            if comparable and low / RATE_TOLERANCE <= rate <= high * RATE_TOLERANCE:
                return place
        return end

    def follow(self, rows: CalmRows, first: int, end: int) -> None:
        """Take in rows that are calm by `calm_until`."""
        pairs, least = self._compared(rows, first, end), self._least
        count = sum(rate >= least and planned >= least for rate, planned in pairs)
        if self.since is None:
            self._on += count
        elif count:
            self._on, self._off = 0, self._off + count

    def _compared(self, rows: CalmRows, first: int, end: int) -> list[tuple[float, float]]:
        """The rates that some rows show, and those planned; none where none is shown."""
        if self._plan is None or rows.rates is None:
            return []
        return list(zip(rows.rates[first:end], rows.planned(self._plan)[first:end], strict=True))

    def _neighbours(self, step: int, rate: float) -> bool:
        if self._plan is None:
            return True
        near = self._plan[max(step - 3, 0) : step + 2]
        return float(near.min()) / RATE_TOLERANCE <= rate <= float(near.max()) * RATE_TOLERANCE

    def restart(self) -> None:
        """Forget what is open, without a word: the run went back to before it."""
        self._off = self._on = 0
        self.since, self.factor = None, 1.0

    def state_dict(self) -> dict[str, Any]:
        """Return the counters as plain values."""
        counters = {"off": self._off, "on": self._on, "first": self._first}
        return {**counters, "since": self.since or 0, "factor": self.factor}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._off, self._on, self._first = int(state["off"]), int(state["on"]), int(state["first"])
        self.factor = float(state["factor"])
        self.since = int(state["since"]) or None
