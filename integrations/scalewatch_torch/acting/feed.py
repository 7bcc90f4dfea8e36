"""Feeds the gate of one run from its monitor, and asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from scalewatch.acting.acts import Acts, Decision
from scalewatch.acting.gate import Gate, Standing
from scalewatch.acting.rewinding import rewinds_left
from scalewatch.advice import Action
from scalewatch.checkpoints import SavedCheckpoint, last_good
from scalewatch.finding import Finding, Kind
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation

__all__ = ["ActFeed"]


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
        self.rewinds = 0

    def observe(self, observation: Observation, found: Sequence[Finding]) -> None:
        """Take in one step that the monitor has seen; constant time."""
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
                rate_excess=self._rate_excess(),
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

    def _rate_excess(self) -> float:
        """The scheduled learning rate over its plan while it is off it, 1 while it is on it or nobody knows."""
        off = [each for each in self._monitor.open_incidents if each.kind is Kind.OFF_PLAN]
        factor = off[-1].evidence.get("factor") if off else None
        return float(factor) if isinstance(factor, float) else 1.0

    def state(self) -> dict[str, Any]:
        """Return what was done so far, for a checkpoint."""
        return self.gate.state_dict()
