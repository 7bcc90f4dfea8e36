"""The annealing law of a whole loss curve under a learning-rate schedule.

With e(s) the learning rate of step s in units of its peak, the loss after s steps is

    L(s) = L0 + A S(s)^-alpha - C D(s),    S(s) = sum of e(1..s),    D(s) = sum of m(1..s) (1 - lam),
    m(s) = lam m(s-1) + max-to-date drop of e at s,    lam = 1 - 1 / memory

S is how far the run has walked, D in [0, 1] how much of the learning rate has been taken away and has had
its effect. D is S2 of Tissue et al. scaled by 1 - lam, so that C is the loss [nats/token] that a full decay
gains. The warm-up does not count as a negative drop: before the peak, D is zero.

Why this law and not the multi-power law: on the curves where both were fitted it predicts as well at a
tenth of the cost, and given (alpha, C / A, memory) it is linear in what is left, (L0, A).

Source: Tissue, Wang, Wang (2024), arXiv 2408.11029, equation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats, KnottedRates, first_at

__all__ = ["AnnealingState", "ScheduleFeatures", "schedule_features"]

#: Steps that are worked through at a time, so that a plan of 1e8 steps needs no second copy of itself. By hand.
_CHUNK_STEPS = 65_536
#: Steps of a block whose momenta are one product of matrices. By hand.
_BLOCK_STEPS = 32
#: Knots of a tabulated schedule; linear interpolation between them is exact to 1e-4 of the peak. By hand.
TABLE_KNOTS = 4_096


@final
class AnnealingState:
    """S and D of the annealing law after some steps, carried on stretch by stretch.

    Constant memory. `memories` are in optimizer steps, shape (k,), each at least 1. S and D are in the
    units of the rates that were given: divide by the peak to compare runs.

    >>> state = AnnealingState([2.0])
    >>> state.advance([0.5, 1.0, 1.0, 0.0])
    >>> state.walked, state.annealed[0], state.peak
    (2.5, 0.5, 1.0)
    """

    def __init__(self, memories: ArrayLike) -> None:
        steps = np.atleast_1d(np.asarray(memories, dtype=np.float64))
        self.decay: list[float] = (1.0 - 1.0 / np.maximum(steps, 1.0)).tolist()
        self.annealed = [0.0] * len(self.decay)
        self.momentum = [0.0] * len(self.decay)
        self.walked = 0.0
        self.rate = 0.0
        self.peak = 0.0

    def advance(self, rates: ArrayLike) -> None:
        """Take the steps whose learning rates are `rates`, shape (n,)."""
        stretch = np.atleast_1d(np.asarray(rates, dtype=np.float64))
        for start in range(0, len(stretch), _CHUNK_STEPS):
            self._advance(stretch[start : start + _CHUNK_STEPS])

    def _dropped(self, rates: Floats) -> Floats:
        """What each step takes away from the rate before it, shape (n,); the last of them and the peak are kept."""
        before = np.concatenate([[self.rate], rates[:-1]])
        peaks = np.maximum.accumulate(np.concatenate([[self.peak], rates]))
        self.rate, self.peak = float(rates[-1]), float(peaks[-1])
        # rising above every rate so far is warm-up, not the undoing of a decay
        return before - np.minimum(rates, peaks[:-1])

    def _advance(self, rates: Floats) -> None:
        count = len(rates)
        drop = self._dropped(rates)
        decay, momentum = np.array(self.decay), np.array(self.momentum)
        powers = decay[:, None] ** np.arange(count, -1, -1.0)[None, :]
        # sum of m over the stretch, in closed form: what is left of the old m, and each drop's own share
        of_old = momentum * decay * (1.0 - powers[:, 0])
        of_drops = (1.0 - powers[:, :-1]) @ drop
        self.annealed = (np.array(self.annealed) + of_old + of_drops).tolist()
        self.momentum = (powers[:, 0] * momentum + powers[:, 1:] @ drop).tolist()
        self.walked += float(rates.sum())

    def walk(self, rates: Floats, at: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Take the steps whose learning rates are `rates`, shape (n,), and tell of the states between.

        Args:
            rates: at most some ten thousand at a time: each costs memory.
            at: after how many of the steps, 1 to n, shape (m,).

        Returns:
            S, shape (m,), and D, shape (m, k).
        """
        drop = self._dropped(rates)
        blocks = np.zeros((-(-len(drop) // _BLOCK_STEPS), _BLOCK_STEPS))
        blocks.ravel()[: len(drop)] = drop
        lags = np.subtract.outer(np.arange(_BLOCK_STEPS), np.arange(_BLOCK_STEPS))
        annealed = np.empty((len(at), len(self.decay)))
        for k, decay in enumerate(self.decay):
            powers = decay ** np.arange(_BLOCK_STEPS + 1.0)
            # m as if each block began with none, then what is left in it of the blocks before
            momentum = blocks @ np.tril(powers[np.abs(lags)]).T
            carried = [self.momentum[k]]
            for end in momentum[:, -1].tolist():
                carried.append(powers[-1] * carried[-1] + end)
            momentum += np.outer(carried[:-1], powers[1:])
            settled = self.annealed[k] + (1.0 - decay) * np.cumsum(momentum.ravel()[: len(drop)])
            annealed[:, k] = settled[at - 1]
            self.annealed[k], self.momentum[k] = float(settled[-1]), float(momentum.ravel()[len(drop) - 1])
        walked = self.walked + np.cumsum(rates)
        self.walked = float(walked[-1])
        return walked[at - 1], annealed

    def ramp(self, steps: int, rate: float) -> None:
        """Take `steps` more steps, the rate going linearly from that of the last one to `rate`, in closed form."""
        before, peak = self.rate, self.peak
        drop = (before - (rate if rate < peak else peak)) / steps
        # where nothing has been taken away there is nothing to settle
        if drop or any(self.momentum):
            annealed, momenta = self.annealed, self.momentum
            for k, decay in enumerate(self.decay):
                left, momentum = decay**steps, momenta[k]
                settled = drop / (1.0 - decay)
                annealed[k] += (momentum - settled) * decay * (1.0 - left) + drop * steps
                momenta[k] = left * momentum + (1.0 - left) * settled
        self.walked += steps * before + (rate - before) * 0.5 * (steps + 1)
        self.rate = rate
        if rate > peak:
            self.peak = rate

    def copy(self) -> AnnealingState:
        """Return an independent copy, to walk a plan ahead without moving this one."""
        twin = AnnealingState([1.0])
        twin.decay, twin.annealed, twin.momentum = self.decay, list(self.annealed), list(self.momentum)
        twin.walked, twin.rate, twin.peak = self.walked, self.rate, self.peak
        return twin


@final
@dataclass(frozen=True, slots=True, eq=False)
class ScheduleFeatures:
    """S and D along a planned schedule, tabulated.

    Attributes:
        steps: knots, steps completed, shape (n,), from 0 to the planned end.
        walked: S at the knots in units of the peak rate, shape (n,).
        annealed: D at the knots for each memory, shape (n, k), each 0 for nothing, 1 for all decayed.
        memories: memories [steps], shape (k,).
        warmup_steps: steps until the peak is reached first.
    """

    steps: Floats
    walked: Floats
    annealed: Floats
    memories: Floats
    warmup_steps: int

    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return S, shape (m,), and D, shape (m, k), after `steps`, shape (m,)."""
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        annealed = [np.interp(wanted, self.steps, column) for column in self.annealed.T]
        return np.interp(wanted, self.steps, self.walked), np.stack(annealed, axis=1)


def schedule_features(
    learning_rates: ArrayLike | KnottedRates, memories: ArrayLike, knots: int = TABLE_KNOTS
) -> ScheduleFeatures:
    """Tabulate S and D of the annealing law along a plan.

    Args:
        learning_rates: planned learning rate of steps 1..n, shape (n,), not all zero.
        memories: memories of the decay [steps], shape (k,), each at least 1.
        knots: at most this many rows in the table; half of them lie in the first twentieth of the plan.
    """
    rates = learning_rates if isinstance(learning_rates, KnottedRates) else np.asarray(learning_rates, dtype=np.float64)
    total, peak = len(rates), float(rates.max())
    early = np.linspace(0, max(total // 20, 1), knots // 2)
    at = np.unique(np.rint(np.concatenate([early, np.linspace(0, total, knots - len(early))])).astype(int))
    state = AnnealingState(memories)
    walked, annealed = np.zeros(len(at)), np.zeros((len(at), len(state.decay)))
    if isinstance(rates, KnottedRates):
        _walk_knots(state, rates, at.tolist(), walked, annealed)
    else:
        for start in range(0, total, _CHUNK_STEPS):
            stretch = rates[start : start + _CHUNK_STEPS] / peak
            rows = slice(*np.searchsorted(at, [start, start + len(stretch)], side="right").tolist())
            walked[rows], annealed[rows] = state.walk(stretch, at[rows] - start)
    return ScheduleFeatures(
        steps=at.astype(np.float64),
        walked=walked,
        annealed=annealed,
        memories=np.atleast_1d(np.asarray(memories, dtype=np.float64)),
        warmup_steps=first_at(rates, 0.999 * peak),
    )


def _walk_knots(state: AnnealingState, rates: KnottedRates, at: list[int], walked: Floats, annealed: Floats) -> None:
    """Fill the table row by row, from knot to knot in closed form."""
    peak = rates.max()
    rows = {step: row for row, step in enumerate(at)}
    stops = np.unique(np.concatenate([[1], rates.steps.astype(int), at[1:]])).tolist()
    before = 0
    for step, rate in zip(stops, rates.at(stops).tolist(), strict=True):
        if before == 0:
            state.advance([rate / peak])
        else:
            state.ramp(step - before, rate / peak)
        before = step
        if step in rows:
            walked[rows[step]], annealed[rows[step]] = state.walked, state.annealed
