"""What watching costs: its time of each step, beside the time of the step."""

from __future__ import annotations

from time import perf_counter
from typing import final

from scalewatch.text import percent

__all__ = ["Cost"]


@final
class Cost:
    """The time that watching takes of each step, and each step of the training."""

    def __init__(self, first_step: int = 0) -> None:
        self.first_step = first_step
        self.seconds = 0.0
        self._began_at = perf_counter()

    def rows(self, taken: int) -> list[tuple[str, str]]:
        """Return the row of the end table, after `taken` steps."""
        if not taken:
            return []
        cost, whole = self.seconds / taken, (perf_counter() - self._began_at) / taken
        share = f"{percent(cost / whole, 2)} of {whole * 1e3:.3g} ms"
        return [("cost of watching", f"{cost * 1e6:.0f} us a step ({share})")]
