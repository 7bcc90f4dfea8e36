"""How large the batches of a run were, where they grow or shrink in mid-run: told by the tokens consumed so far.

A batch that is k times larger takes as much noise out of the loss as a rate that is k times lower, and a step moves the
weights as far as before (Smith et al. 2018, arXiv 1711.00489).
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats

__all__ = ["Batches"]

#: Parts of a run over which tokens of a step are taken together, steps of one at least, and how many on end make
#: another size. By hand.
PARTS, LEAST_STEPS, ON_END = 200, 5, 2
#: Ratio of sizes from which on they are two, and sds of a part: batches of texts of any length differ too, by how much
#: has to be seen in a few first. By hand.
OTHER, SIGMAS, FEW = 1.25, 3.0, 5
#: Where a size was seen to change, it may go on to do so slowly: then the mean of `FEW` parts is another size from this
#: ratio on. By hand.
DRIFT = 1.05
#: Mean of |x - y| over the sd of x, for two equal Gaussians: 2 / sqrt(pi), by definition.
ABS_DIFFERENCE_OVER_SD = 1.1284
#: Sizes that are told apart at most. By hand.
MOST_SIZES = 64
#: Tokens beyond this are none, and sizes of a batch. By hand.
MOST_TOKENS = 1e30


@final
class Batches:
    """The sizes of the batches of one run, constant time a row.

    Args:
        total_steps: of the plan.

    Attributes:
        begins, sizes: step from which on batches had a size [tokens a step], oldest first.

    >>> batches = Batches(1_000)
    >>> [step for step in range(1, 1_001) if batches.see(step, 8.0 * step + 24.0 * max(step - 396, 0))]
    [406]
    >>> batches.begins, batches.sizes, batches.over_first([1, 400, 401, 1_000]).tolist()
    ([1, 397], [8.0, 32.0], [1.0, 4.0, 4.0, 4.0])
    """

    def __init__(self, total_steps: int) -> None:
        self._spacing = max(total_steps // PARTS, LEAST_STEPS)
        self.begins: list[int] = []
        self.sizes: list[float] = []
        self._mark: tuple[int, float] | None = None
        self._other: list[tuple[int, float]] = []
        # newest part; the first of the newest size; those since the last look at a drift; how far parts were from the
        # next, added up, and how many
        self._newest = self._apart = 0.0
        self._pairs = 0
        self._firsts: list[float] = []
        self._recent: list[tuple[int, float]] = []

    def see(self, step: int, tokens: float) -> bool:
        """Take the tokens consumed up to and including `step`; return whether there is another size by it."""
        if not 0.0 <= tokens < MOST_TOKENS:
            return False
        if self._mark is None:  # what a log that begins in mid-run counts from, nobody knows
            self._mark = step, tokens
        before, at = self._mark
        if step - before < self._spacing:
            return False
        self._mark = step, tokens
        size = (tokens - at) / (step - before)
        if size <= 0.0 or len(self.sizes) >= MOST_SIZES:
            return False
        if not self.sizes:
            self.begins, self.sizes, self._firsts, self._newest = [1], [size], [size], size
            return False
        if self._is_like(size):
            self._other.clear()
            return self._drifted(before + 1, size)
        if self._other and (self._other[-1][1] > self._mean) != (size > self._mean):
            self._other.clear()
        self._other.append((before + 1, size))
        if len(self._other) < ON_END:
            return False
        self._end_first(size)
        self._begin(self._other[0][0], [size])
        self._other.clear()
        return True

    def _end_first(self, size: float) -> None:
        """Tell the first size once there is another: where it grew from the first part on it is that of this part."""
        if len(self.sizes) == 1:
            steps = np.diff([*self._firsts, size])
            grew = len(self._firsts) >= FEW and bool((steps > 0.0).all() or (steps < 0.0).all())
            self.sizes[0] = self._firsts[0] if grew else self._mean

    def _begin(self, step: int, firsts: list[float]) -> None:
        self.begins.append(step)
        self._firsts, self._recent = firsts, []
        self.sizes.append(self._mean)

    def _drifted(self, begun: int, size: float) -> bool:
        """Whether parts of the newest size have become another one slowly, or tell it better than its first did."""
        if len(self.sizes) < 2:
            return False
        self._recent.append((begun, size))
        if len(self._recent) < FEW:
            return False
        steps, sizes = zip(*self._recent, strict=True)
        mean, least = math.fsum(sizes) / FEW, max(math.log(DRIFT), SIGMAS * self._scatter / math.sqrt(FEW))
        self._recent = []
        if abs(math.log(mean / self.sizes[-1])) <= least:
            return False
        if abs(math.log(mean / self._mean)) <= least:
            self.sizes[-1] = mean
        else:
            self._begin(steps[0], list(sizes))
        return True

    @property
    def _mean(self) -> float:
        """Mean of the first parts of the newest size."""
        return math.fsum(self._firsts) / len(self._firsts)

    @property
    def _scatter(self) -> float:
        """Sd of a part, relative."""
        return self._apart / max(self._pairs, 1) / ABS_DIFFERENCE_OVER_SD

    def _is_like(self, size: float) -> bool:
        """Whether batches of a part are of the newest size; the first of such parts tell more of it."""
        # from part to part, so that a size that grows slowly is no scatter
        self._apart, self._pairs = self._apart + abs(math.log(size / self._newest)), self._pairs + 1
        self._newest = size
        like = abs(math.log(size / self._mean)) < max(math.log(OTHER), SIGMAS * self._scatter)
        if len(self._firsts) < FEW and (like or self._pairs < FEW):
            self._firsts.append(size)
        return like or self._pairs < FEW

    def over_first(self, steps: ArrayLike) -> Floats:
        """Return the size of the batch at `steps`, shape (n,), over the first, as the newest from there on."""
        if not self.sizes:
            return np.ones(np.shape(steps))
        place = np.searchsorted(np.asarray(self.begins), np.asarray(steps), side="right") - 1
        found: Floats = np.asarray(self.sizes)[np.maximum(place, 0)] / self.sizes[0]
        return found

    def rewind(self, step: int) -> None:
        """Forget what came from `step` on."""
        kept = bisect_right(self.begins, step - 1)
        del self.begins[kept:], self.sizes[kept:]
        self._mark, self._other, self._recent = None, [], []
        self._newest, self._firsts = self.sizes[-1] if self.sizes else 0.0, self.sizes[-1:]

    @property
    def text(self) -> str:
        """What the newest size means for a forecast, in a sentence; "" where all batches are alike."""
        if len(self.sizes) < 2:
            return ""
        ratio = self.sizes[-1] / self.sizes[0]
        return (
            f"Since step {self.begins[-1]:,} a batch has {ratio:.3g} times the tokens of the first: that is taken to "
            f"change the noise as a rate {1.0 / ratio:.2g} times as high would, and to stay so."
        )

    def state(self) -> dict[str, list[float]]:
        """Return what a resumed run needs, as plain numbers."""
        pairs = {"sizes": zip(self.begins, self.sizes, strict=True), "other": self._other, "recent": self._recent}
        flat = {name: [value for pair in of for value in pair] for name, of in pairs.items()}
        scatter = [self._newest, self._apart, self._pairs, *self._firsts]
        return {"mark": list(self._mark or ()), "scatter": scatter, **flat}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        flat = [[float(value) for value in state[name]] for name in ("mark", "sizes", "other", "recent")]
        pairs = [[(int(a), b) for a, b in zip(of[::2], of[1::2], strict=True)] for of in flat]
        mark, sizes, other, recent = pairs
        self._newest, self._apart, count, *firsts = (float(value) for value in state["scatter"])
        told = [*firsts, *(size for of in pairs[1:] for _, size in of)]
        if not all(0.0 < size < MOST_TOKENS for size in told) or bool(firsts) != bool(sizes) or len(recent) >= FEW:
            raise ValueError("batches are of some tokens each")
        self._mark, self._other, self._recent = mark[0] if mark else None, other, recent
        self._pairs, self._firsts = int(count), firsts
        self.begins, self.sizes = [step for step, _ in sizes], [size for _, size in sizes]

    def copy(self) -> Batches:
        """Return one that goes its own way from here."""
        twin = copy.copy(self)
        twin._other, twin._recent, twin._firsts = list(self._other), list(self._recent), list(self._firsts)
        twin.begins, twin.sizes = list(self.begins), list(self.sizes)
        return twin
