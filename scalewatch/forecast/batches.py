"""How large the batches of a run were, where they grow or shrink in mid-run: told by the tokens consumed so far.

A batch that is k times larger takes as much noise out of the loss as a rate that is k times lower, and a step moves the
weights as far as before (Smith et al. 2018, arXiv 1711.00489).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats

__all__ = ["Batches"]

#: Parts of a run over which tokens of a step are taken together, and how many on end make another size. By hand.
PARTS, ON_END = 200, 2
#: Ratio of sizes from which on they are two: batches of texts of any length differ by less over such a part. By hand.
OTHER = 1.25
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
        self._spacing = max(total_steps // PARTS, 1)
        self.begins: list[int] = []
        self.sizes: list[float] = []
        self._mark: tuple[int, float] | None = None
        self._other: list[tuple[int, float]] = []

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
            self.begins, self.sizes = [1], [size]
            return False
        if max(size / self.sizes[-1], self.sizes[-1] / size) < OTHER:
            self._other.clear()
            return False
        self._other.append((before + 1, size))
        if len(self._other) < ON_END:
            return False
        self.begins.append(self._other[0][0])
        self.sizes.append(self._other[-1][1])
        self._other.clear()
        return True

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
        self._mark, self._other = None, []

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
        pairs = {"sizes": zip(self.begins, self.sizes, strict=True), "other": self._other}
        flat = {name: [value for pair in of for value in pair] for name, of in pairs.items()}
        return {"mark": list(self._mark or ()), **flat}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        flat = [[float(value) for value in state[name]] for name in ("mark", "sizes", "other")]
        mark, sizes, other = ([(int(a), b) for a, b in zip(of[::2], of[1::2], strict=True)] for of in flat)
        if any(not 0.0 < size < MOST_TOKENS for _, size in (*sizes, *other)):
            raise ValueError("batches are of some tokens each")
        self._mark, self._other = mark[0] if mark else None, other
        self.begins, self.sizes = [step for step, _ in sizes], [size for _, size in sizes]

    def copy(self) -> Batches:
        """Return one that goes its own way from here."""
        twin = Batches(1)
        twin._spacing, twin._mark, twin._other = self._spacing, self._mark, list(self._other)
        twin.begins, twin.sizes = list(self.begins), list(self.sizes)
        return twin
