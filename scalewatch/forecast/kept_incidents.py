"""The incidents of a run that its verdict tells, and the loss that it ended with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

from scalewatch.finding import Finding, Kind, Phase, kind_of
from scalewatch.forecast.final_loss import FINAL_SHARE
from scalewatch.forecast.milestones import MOST_SUM
from scalewatch.journal import finding_from, finding_record

__all__ = ["FinalLoss", "KeptIncidents"]

#: Findings kept for the verdict; counts go on beyond it. By hand.
KEPT_FINDINGS = 100


@final
class KeptIncidents:
    """The first hundred findings that pages, and counts of all; bounded.

    Attributes:
        findings: oldest first. counts: incidents of each kind. rollbacks: how often the run went back behind one.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.rollbacks = 0

    def count(self, finding: Finding) -> Finding:
        """Take a finding in and return it."""
        if finding.phase is Phase.OPENED and finding.kind not in (Kind.REWOUND, Kind.PHASE):
            self.counts[finding.kind] += 1
        if finding.phase is not Phase.CLOSED and (finding.pages or len(self.findings) < KEPT_FINDINGS // 2):
            self.findings.append(finding)
            if len(self.findings) > KEPT_FINDINGS:
                del self.findings[1]  # the first page is what people look for
        return finding

    def rewind(self, step: int) -> None:
        """The run went back to `step`."""
        self.rollbacks += any(f.pages and f.start_step >= step for f in self.findings)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "rollbacks": self.rollbacks,
            "incidents": [finding_record(f) for f in self.findings],
            "counts": {str(kind): count for kind, count in self.counts.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.findings = [finding_from(record) for record in state["incidents"]]
        self.rollbacks = int(state["rollbacks"])
        self.counts = Counter({kind_of(kind): int(count) for kind, count in state["counts"].items()})


@final
class FinalLoss:
    """Mean loss over the last fiftieth of a plan.

    Args:
        total_steps: of the plan, None without one.
    """

    def __init__(self, total_steps: int | None) -> None:
        self._from = math.inf if total_steps is None else (1.0 - FINAL_SHARE) * total_steps
        self._sum, self._rows = 0.0, 0

    def add(self, step: int, loss: float) -> None:
        """Take one row, of a finite loss."""
        if step > self._from:
            self._sum = max(-MOST_SUM, min(self._sum + loss, MOST_SUM))
            self._rows += 1

    def add_many(self, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Take many rows, of finite losses and rising steps."""
        if steps[-1] > self._from:
            for step, loss in zip(steps, losses, strict=True):
                self.add(step, loss)

    @property
    def mean(self) -> float | None:
        """The mean, None before the last fiftieth."""
        return self._sum / self._rows if self._rows else None

    def restart(self) -> None:
        """The run went back."""
        self._sum, self._rows = 0.0, 0

    def state(self) -> list[float]:
        """Return sum and rows."""
        return [self._sum, self._rows]

    def load(self, state: Sequence[float]) -> None:
        """Take back what `state` gave."""
        self._sum, self._rows = float(state[0]), int(state[1])
