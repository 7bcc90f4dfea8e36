"""Feeds the gate of one run from its monitor, and asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from scalewatch.acting.acts import Acts, Decision
from scalewatch.acting.gate import Gate
from scalewatch.acting.rewinding import rewinds_left
from scalewatch.acting.standing import Standing
from scalewatch.advice import Action
from scalewatch.checkpoints import SavedCheckpoint, last_good
from scalewatch.finding import Finding, Kind, Phase
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation

__all__ = ["ActFeed"]

#: Steps by which a rate may be seen to leave its plan after the rise that it makes [steps]: a finding says the first of
#: the rows that were off, and schedulers differ by a step in what they call step k. By hand.
LATE_STEPS = 2


@final
class ActFeed:
    """The gate of one run, on the process that watches it.

    Args:
        acts: what was asked for. monitor: of the run.
        weights_finite: looks whether the weights are numbers; None where nobody can. taken: whether a step was taken.

    Attributes:
        rewinds: how often the run went back before.
    """

    def __init__(
        self,
        acts: Acts,
        monitor: Monitor,
        *,
        weights_finite: Callable[[], bool | None] | None = None,
        taken: Callable[[int], bool | None] | None = None,
    ) -> None:
        self.acts = acts
        self.gate = Gate(acts, monitor.run)
        self.gate.resume(monitor.open_incidents)
        self._monitor = monitor
        self._weights_finite, self._taken = weights_finite, taken
        self._off_plan: Finding | None = next((f for f in monitor.open_incidents if f.kind is Kind.OFF_PLAN), None)
        self._on_plan_at: int | None = None
        self.rewinds = 0

    def observe(self, observation: Observation, found: Sequence[Finding]) -> None:
        """Take in one step that the monitor has seen; constant time."""
        for finding in found:
            if finding.kind is Kind.OFF_PLAN and finding.phase is Phase.CLOSED:
                self._on_plan_at = finding.step
            elif finding.kind is Kind.OFF_PLAN:
                self._off_plan, self._on_plan_at = finding, None
        taken = None if self._taken is None else self._taken(observation.step)
        self.gate.observe(observation.step, observation.loss, self._monitor.watch.sigmas, found, taken=taken)

    def decide(self) -> Decision | None:
        """Return what is to be done now, each thing once."""
        gate, monitor = self.gate, self._monitor
        aims = next((each.reason for each in monitor.forecast_advice if each.action is Action.STOP), "")
        if not (gate.is_due or aims):
            return None
        looks = self._weights_finite if gate.may_be_dead else None
        return gate.decide(
            Standing(
                unjudged=monitor.verdict().unjudged,
                aims=aims,
                weights_finite=None if looks is None else looks(),
                rate_excess=self._factor_off_plan() if self._on_plan_at is None else 1.0,
                rate_excess_then=self._rate_excess_then(),
                checkpoint=None if self.back_to is None else self.back_to.step,
                rewinds_left=min(rewinds_left(), self.acts.limits.rewinds - self.rewinds),
                rewinds_done=self.rewinds,
            )
        )

    @property
    def back_to(self) -> SavedCheckpoint | None:
        """The last good checkpoint before what is critical, if it is known where it is."""
        since = self.gate.since
        good = None if since is None else last_good(self._monitor.checkpoints, since)
        return good if good is not None and good.path else None

    def _factor_off_plan(self) -> float:
        """The learning rate over its plan when it last left it, 1 if it never did."""
        factor = None if self._off_plan is None else self._off_plan.evidence.get("factor")
        return float(factor) if isinstance(factor, float) else 1.0

    def _rate_excess_then(self) -> float:
        """The same when what is critical began: a rate that is on its plan again may have done it all the same."""
        off, since = self._off_plan, self.gate.since
        if off is None or since is None or off.start_step > since + LATE_STEPS:
            return 1.0
        return self._factor_off_plan() if self._on_plan_at is None or self._on_plan_at >= since else 1.0

    def state(self) -> dict[str, Any]:
        """Return what was done so far, for a checkpoint."""
        return self.gate.state_dict()
