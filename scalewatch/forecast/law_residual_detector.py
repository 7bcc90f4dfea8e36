"""Says when a run has left the law it is watched with.

A law is a claim with an error, so off the law means: chance alone makes fewer than one healthy run in a hundred look
like this, by how far it is or by the way it got there (`changepoint.py`), it is further than seeds move a loss, and
that for four completed stretches of the curve on end (each a twentieth of the run so far), past the first tenth.
Above the law is worth waking someone; below it is worth a look at the data and the evaluation.

Source of the persistence rule: windowed misfit is serially correlated, so one stretch outside proves
nothing; four stretches are a fifth of all steps so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.forecast.forecast import LawResidual

__all__ = ["LawResidualDetector"]

#: A law's error is one draw a run, so this is the share of healthy runs that are told they are off, and no patience
#: within a run makes it smaller. None of the 77 public runs that `LEAST_WANDER` was chosen on was told so
#: (tests/benchmarks/forecast.py --only off-law).
MOST_CHANCE = 0.01
#: Nearer to the law than this [relative] a run is not off it: seeds move a final loss by 0.2 to 0.6 %. By hand.
LEAST_SHARE = 0.006
#: Two-sided 99 % of a Gaussian: this far off, a run that came back once is off again. By hand.
SIGMAS = 2.576
#: Two-sided 95 %: this near, it is back. By hand.
BACK_SIGMAS = 1.96
#: Completed stretches on end that must lie outside, or inside, before anything is said. By hand.
STRETCHES = 4
#: Part of the run before which nothing is said: early descent follows no law. By hand: Choshen et al. 2024 leave out as
#: much.
EARLIEST_SHARE = 0.1
#: A run this far below its law [relative] is no luck: leak, repeated data, broken loss. By hand.
SUSPICIOUS_SHARE = 0.1


@final
class LawResidualDetector:
    """Whether the run is on its law, from one completed stretch to the next. Constant memory."""

    def __init__(self, total_steps: int | None) -> None:
        self._from_step = EARLIEST_SHARE * (total_steps or math.inf)
        self._outside = 0
        self._inside = 0
        self._since = 0
        self._closed = 0
        self._held = False
        self.open: Kind | None = None

    def update(self, gap: LawResidual | None) -> Finding | None:
        """Take the gap at a completed stretch; return a finding when the run leaves its law or comes back."""
        if gap is None or gap.step < self._from_step:
            return None
        if not self._is_outside(gap):
            self._outside, self._inside = 0, self._inside + 1 if abs(gap.sigmas) < BACK_SIGMAS else 0
            if self.open is not None and self._inside >= STRETCHES:
                return self._close(gap)
            return None
        self._inside = 0
        self._outside += 1
        if self._outside == 1 and self.open is None:
            self._since = gap.step
        if self._outside < STRETCHES or self.open is not None or self._held:
            return None
        above = gap.nats > 0
        self.open = Kind.OFF_LAW if above else Kind.BETTER_THAN_LAW
        if gap.departure is not None:
            self._since = min(gap.departure.since_step, gap.step)
        loud = above or -gap.nats > SUSPICIOUS_SHARE * gap.expected
        return Finding(
            kind=self.open,
            severity=Severity.WARNING if loud else Severity.INFO,
            step=gap.step,
            start_step=self._since,
            message=f"the loss is {gap.text()}",
            evidence=_evidence(gap),
        )

    def _is_outside(self, gap: LawResidual) -> bool:
        # a run that came back is off no more, whatever it was over the fifth of its steps that the gap is a mean of
        newest = gap.nats if gap.newest_nats is None else gap.newest_nats
        apart = min(newest, gap.nats) if gap.nats > 0 else -max(newest, gap.nats)
        if not (gap.chance < MOST_CHANCE and apart > LEAST_SHARE * gap.expected):
            return False
        # the way there stays in the curve: what was said and is over is not said again
        left = gap.departure
        return left is None or abs(gap.sigmas) > SIGMAS or (left.since_step > self._closed and left.nats * gap.nats > 0)

    def _close(self, gap: LawResidual) -> Finding:
        kind, self.open = self.open or Kind.OFF_LAW, None
        self._closed = gap.step
        message = f"the loss is back within the law's interval, {gap.nats:+.3f} nats from it"
        return Finding(kind, Severity.INFO, gap.step, self._since, message, _evidence(gap), Phase.CLOSED)

    def hold(self) -> None:
        """Say no more that the run is off its law: it is changed by design, and the law is of runs that were not."""
        self._held = True

    def restart(self) -> None:
        """Forget what is open, without a word: the run went back to before it."""
        self._outside = self._inside = self._since = self._closed = 0
        self.open = None

    def state_dict(self) -> dict[str, Any]:
        """Return the counters as plain values."""
        return {
            "outside": self._outside,
            "inside": self._inside,
            "since": self._since,
            "closed": self._closed,
            "held": self._held,
            "open": "" if self.open is None else self.open.value,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._outside, self._inside = int(state["outside"]), int(state["inside"])
        self._since, self._closed = int(state["since"]), int(state["closed"])
        self._held = bool(state["held"])
        self.open = Kind(state["open"]) if state["open"] else None


def _evidence(gap: LawResidual) -> dict[str, float | int | str | None]:
    low, high = gap.token_range or (None, None)
    left = gap.departure
    way: dict[str, float | int | str | None] = (
        {}
        if left is None
        else {
            "way": left.way.value,
            "way_probability": left.way_probability,
            "since_step": left.since_step,
            "way_nats": left.nats,
        }
    )
    return {
        "excess_nats": gap.nats,
        "excess_percent": gap.percent,
        "law_sigmas": gap.sigmas,
        "chance": gap.chance,
        "expected_loss": gap.expected,
        "token_ratio": gap.token_ratio,
        "token_ratio_low": low,
        "token_ratio_high": high if high is None or math.isfinite(high) else None,
        **way,
    }
