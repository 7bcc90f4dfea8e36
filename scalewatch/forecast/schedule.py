"""Where a run stands on its learning-rate schedule: S and D of the annealing law at any of its steps.

A run that planned its rates has them tabulated once. A run that did not is followed by the rates it
shows, and its future is a question: it may hold the rate, or decay it to nothing by the planned end. Both
futures are forecast, so that the interval says what nobody knows.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats, Rates
from scalewatch.forecast.batches import Batches
from scalewatch.laws import AnnealingState, ScheduleFeatures, schedule_features

__all__ = ["AbstractSchedule", "Future", "ObservedSchedule", "PlannedSchedule", "walk_on"]

#: Warm-up and its aftermath are left out up to this many times the warm-up's length: the loss has not yet settled on
#: the curve of the peak rate, but what is left out is missed where a warm-up takes a tenth of the run. By hand.
WARMUP_STRETCH = 1.1
#: Knots that an observed schedule keeps; it is thinned to half when it is full. They are in every checkpoint. By hand.
_KNOTS = 256
#: Steps up to which rates are walked one by one, and the ramps that stand for more of them. By hand.
_EXACT_STEPS, _RAMPS = 16_384, 1_024
#: Rates outside these are none [any unit]: below is zero, above is a broken log. By hand.
_LEAST_RATE, _MOST_RATE = 1e-30, 1e30
#: Ends that stand for one that is not certain, in sds, and the weight of each: they have its mean and sd. By hand.
SPREAD_ENDS = ((-1.2910, 0.3), (0.0, 0.4), (1.2910, 0.3))
#: No walk of such rates is beyond this. By hand.
MOST_NUMBER = 1e60


def walk_on(state: AnnealingState, rates: Rates) -> None:
    """Take the steps of `rates`, shape (n,), at a cost that does not grow with n: a long plan as a thousand ramps."""
    if len(rates) <= _EXACT_STEPS:
        state.advance(np.asarray(rates))
        return
    ends = np.unique(np.linspace(1, len(rates), _RAMPS).astype(int)).tolist()
    state.advance([float(rates[0])])
    for before, end in pairwise(ends):
        state.ramp(end - before, float(rates[end - 1]))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Future:
    """One way the schedule may go on: its name, its probability, and where it ends.

    Attributes:
        end_lr_sum: S at the planned end. end_annealing_sum: D at the planned end, shape (k,).
    """

    name: str
    probability: float
    end_lr_sum: float
    end_annealing_sum: Floats


class AbstractSchedule(ABC):
    """S [steps at peak rate] and D in [0, 1] along a run, and the futures it may have."""

    @abstractmethod
    def observe(self, step: int, learning_rate: float | None) -> None:
        """Take the learning rate that `step` was taken with."""

    @abstractmethod
    def see_tokens(self, step: int, tokens: float) -> None:
        """Take the tokens consumed up to and including `step`."""

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What has to be said of it, a sentence each."""

    @abstractmethod
    def rewind(self, step: int) -> None:
        """Forget the steps from `step` on: the run went back to before it."""

    @abstractmethod
    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return S, shape (m,), and D, shape (m, k), after `steps`, shape (m,)."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain values; a plan is none of it."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    @abstractmethod
    def frozen(self) -> AbstractSchedule:
        """Return it as it stands now; what is observed later changes nothing of it."""

    @abstractmethod
    def futures(self) -> list[Future]:
        """Return the ways to the planned end, probabilities summing to 1."""

    @abstractmethod
    def reached(self, step: int) -> tuple[AnnealingState, float]:
        """Return the state after `step`, to walk another schedule on from there, and the peak rate, its unit."""

    @property
    @abstractmethod
    def settled_step(self) -> float:
        """Step from which on the curve is past its warm-up."""


@final
class PlannedSchedule(AbstractSchedule):
    """The schedule of a run that planned its rates: tabulated once, and anew where the size of its batches changes.

    A larger batch leaves S as it is, and changes D as a lower rate would.
    """

    def __init__(self, learning_rates: Rates, memories: Floats) -> None:
        self._rates, self._memories = learning_rates, memories
        self._batches = Batches(len(learning_rates))
        self._of_rates: ScheduleFeatures = schedule_features(learning_rates, memories)
        self._tabulated = [self._of_rates]

    @property
    def _features(self) -> ScheduleFeatures:
        # where a size of batches is told is the step path; of it and what was frozen since, the first tabulates for all
        kept = self._tabulated
        if not kept:
            steps = np.arange(1, len(self._rates) + 1)
            noisy = schedule_features(np.asarray(self._rates) / self._batches.over_first(steps), self._memories)
            kept.append(replace(self._of_rates, annealed=noisy.annealed))
        return kept[0]

    def _tabulate_anew(self) -> None:
        self._tabulated = [self._of_rates] if len(self._batches.sizes) < 2 else []

    def frozen(self) -> PlannedSchedule:
        """Return it as it stands now; what was tabulated is shared."""
        twin = copy.copy(self)
        twin._batches = self._batches.copy()
        return twin

    def observe(self, step: int, learning_rate: float | None) -> None:
        """Nothing: the plan holds."""

    def see_tokens(self, step: int, tokens: float) -> None:
        """Take the tokens consumed up to and including `step`."""
        if self._batches.see(step, tokens):
            self._tabulate_anew()

    @property
    def notes(self) -> list[str]:
        """What of its batches has to be said, a sentence each."""
        return [self._batches.text] if self._batches.text else []

    def rewind(self, step: int) -> None:
        """Forget the sizes of batches from `step` on; the plan holds."""
        self._batches.rewind(step)
        self._tabulate_anew()

    def state_dict(self) -> dict[str, Any]:
        """Return the sizes of its batches: the plan is told to the run that resumes, perhaps with other batches."""
        return self._batches.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._batches.load(state)
        self._tabulate_anew()

    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return S and D of the plan after `steps`."""
        return self._features.at(steps)

    def futures(self) -> list[Future]:
        """Return the one future that is planned."""
        lr_sum, annealing_sum = self._features.at([len(self._rates)])
        return [Future("as planned", 1.0, float(lr_sum[0]), annealing_sum[0])]

    def reached(self, step: int) -> tuple[AnnealingState, float]:
        """Return the state of the plan after `step`, and its peak rate."""
        state = AnnealingState(self._memories)
        if step > 0:
            walk_on(state, self._rates[:step])
        return state, float(self._rates.max())

    @property
    def settled_step(self) -> float:
        """Step from which on the curve is past its warm-up."""
        return WARMUP_STRETCH * self._features.warmup_steps


#: Step, rate there, S and D.
_Knot = tuple[int, float, float, list[float]]


@final
class ObservedSchedule(AbstractSchedule):
    """The schedule of a run without a plan, from the rates that it shows; constant if it shows none.

    Between rows of a sparse log the rate is taken to change linearly; before the first rate that is known,
    it is taken to have been that. Bounded memory.
    """

    def __init__(self, total_steps: int, memories: Floats, end_sd: float = 0.0, left_at: int | None = None) -> None:
        self._total, self._end_sd, self._left_at = total_steps, end_sd, left_at
        self._memories = memories
        self._spacing = max(total_steps // _KNOTS, 1)
        self._start()

    def _start(self) -> None:
        self._state = AnnealingState(self._memories)
        self._step = 0
        self._warmup = 0
        self._shown = False
        self._knots: list[_Knot] = [(0, 0.0, 0.0, list(self._state.annealed))]

    def observe(self, step: int, learning_rate: float | None) -> None:
        """Take the learning rate that `step` was taken with; steps that do not rise are passed over."""
        gap = step - self._step
        if gap <= 0:
            return
        state = self._state
        rate = state.rate
        if learning_rate != rate or not (self._shown and self._step):
            rate = self._cleaned(learning_rate)
            if rate > state.peak * 1.001:
                self._warmup = step
            if self._step == 0:
                state.rate = state.peak = rate
        state.ramp(gap, rate)
        self._step = step
        if step - self._knots[-1][0] >= self._spacing:
            self._knots.append((step, rate, state.walked, list(state.annealed)))
            if len(self._knots) > _KNOTS:
                self._knots = self._knots[:1] + self._knots[2::2]
                self._spacing *= 2

    def _cleaned(self, rate: float | None) -> float:
        """A rate that may be that of a step: the one before where it is unknown or none."""
        if rate is None or not 0.0 <= rate < _MOST_RATE:
            return self._state.rate if self._shown else 1.0
        rate = rate if rate >= _LEAST_RATE else 0.0
        if not self._shown:
            self._show(rate)
        return rate

    def frozen(self) -> ObservedSchedule:
        """Return it as it stands now, at the cost of its knots."""
        twin = copy.copy(self)
        twin._state, twin._knots = self._state.copy(), list(self._knots)
        return twin

    @property
    def notes(self) -> list[str]:
        """That the rates to come had to be assumed, where a plan was left since which step."""
        left = f"The learning rate left its plan at step {self._left_at or 0:,}: the rates to come are unknown."
        unknown = "The learning rates to come are unknown." if self._left_at is None else left
        return [unknown, "The interval spans holding the learning rate and decaying it to zero."]

    def see_tokens(self, step: int, tokens: float) -> None:
        """Nothing: where rates are unknown, so is what they do to the noise."""

    def ending(self, total_steps: int, memories: Floats, end_sd: float) -> ObservedSchedule:
        """Return the same rates on the way to another end, of which the sd is known [steps]."""
        other = ObservedSchedule(total_steps, memories, end_sd)
        newest = (self._step, self._state.rate)
        for step, rate in (*((knot[0], knot[1]) for knot in self._knots[1:]), newest):
            other.observe(step, rate if self._shown else None)
        return other

    def follow(self, plan: Rates) -> None:
        """Take the rates of a plan, shape (n,), as shown by steps 1 to n, at a cost that does not grow with n."""
        for step in np.unique(np.linspace(1, len(plan), _RAMPS).astype(int)).tolist() if len(plan) else []:
            self.observe(step, float(plan[step - 1]))

    def _show(self, rate: float) -> None:
        """Take the steps so far, whose rate nobody knew, to have been taken at the first that is known."""
        self._shown = True
        state = self._state
        state.walked *= rate
        state.rate = state.peak = rate if self._step else 0.0
        self._knots = [
            (at, rate if at else 0.0, lr_sum * rate, annealing_sum) for at, _, lr_sum, annealing_sum in self._knots
        ]

    def rewind(self, step: int) -> None:
        """Forget the steps from `step` on: go back to the last knot before it."""
        if step > self._step:
            return
        kept = [knot for knot in self._knots if knot[0] < step]
        if len(kept) < 2:
            self._start()
            return
        self._knots = kept
        (before, _, _, less), (at, rate, lr_sum, annealing_sum) = kept[-2:]
        state = self._state
        state.walked, state.rate, state.annealed = lr_sum, rate, list(annealing_sum)
        state.peak = max(knot[1] for knot in kept)
        slopes = [(now - then) / (at - before) for now, then in zip(annealing_sum, less, strict=True)]
        state.momentum = [slope / (1.0 - decay) for slope, decay in zip(slopes, state.decay, strict=True)]
        self._step, self._warmup = at, min(self._warmup, at)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        state = self._state
        return {
            "position": [self._step, self._warmup, self._spacing, int(self._shown)],
            "walk": [state.walked, state.rate, state.peak],
            "annealed": list(state.annealed),
            "momentum": list(state.momentum),
            "knots": [[at, rate, lr_sum, *annealing_sum] for at, rate, lr_sum, annealing_sum in self._knots],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; what was followed for another law is followed anew."""
        mine, count = self._state, len(self._state.decay)
        knots = [(int(k[0]), float(k[1]), float(k[2]), [float(d) for d in k[3:]]) for k in state["knots"]]
        annealing_sum, momentum = [float(d) for d in state["annealed"]], [float(m) for m in state["momentum"]]
        if not knots or any(len(column) != count for column in (annealing_sum, momentum, *(k[3] for k in knots))):
            return
        self._knots, mine.annealed, mine.momentum = knots, annealing_sum, momentum
        self._step, self._warmup, self._spacing = (int(v) for v in state["position"][:3])
        self._shown = bool(state["position"][3])
        mine.walked, mine.rate, mine.peak = (float(v) for v in state["walk"])
        numbers = [
            *annealing_sum,
            *momentum,
            mine.walked,
            mine.rate,
            mine.peak,
            *(v for k in knots for v in (*k[:3], *k[3])),
        ]
        if not all(abs(number) < MOST_NUMBER for number in numbers):
            raise ValueError("a schedule is of finite numbers")

    @property
    def _peak(self) -> float:
        return max(self._state.peak, 1e-300)

    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return S and D after `steps`; beyond the newest step the rate is held."""
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        ahead = self._state.copy()
        if self._total > self._step:
            ahead.ramp(self._total - self._step, ahead.rate)
        knots = [*self._knots, (self._step, self._state.rate, self._state.walked, self._state.annealed)]
        if self._total > self._step:
            knots.append((self._total, ahead.rate, ahead.walked, ahead.annealed))
        at = np.array([k[0] for k in knots], dtype=np.float64)
        lr_sum = np.interp(wanted, at, np.array([k[2] for k in knots]))
        annealing_sum = np.array([k[3] for k in knots])
        columns = [np.interp(wanted, at, column) for column in annealing_sum.T]
        return lr_sum / self._peak, np.stack(columns, axis=1) / self._peak

    def futures(self) -> list[Future]:
        """Return two for each end: the rate is held, or has decayed to nothing by the planned end."""
        return [future for away, weight in self._ends() for future in self._futures(self._total + away, weight)]

    def _ends(self) -> list[tuple[float, float]]:
        """How far the end may lie from where it is planned [steps], and the probability of each."""
        return [(away * self._end_sd, weight) for away, weight in SPREAD_ENDS] if self._end_sd else [(0.0, 1.0)]

    def _futures(self, total: float, weight: float) -> list[Future]:
        left = max(round(total) - self._step, 0)
        hold = self._state.copy()
        if left:
            hold.ramp(left, hold.rate)
        peak = self._peak
        # a decay over the last fifth walks a tenth of the run less than holding
        walk = self._state.walked + self._state.rate * max(left - 0.1 * total, 0.5 * left)
        held = np.array(hold.annealed)
        return [
            Future("rate held", 0.5 * weight, hold.walked / peak, held / peak),
            Future("decayed to zero", 0.5 * weight, walk / peak, np.ones_like(held)),
        ]

    def reached(self, step: int) -> tuple[AnnealingState, float]:
        """Return the state after the newest step, and the peak rate so far."""
        return self._state.copy(), self._peak

    @property
    def settled_step(self) -> float:
        """Step from which on the curve is past its warm-up, as far as it has been seen."""
        return WARMUP_STRETCH * self._warmup
