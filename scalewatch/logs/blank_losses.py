"""What is known of a log's first losses, for those that are blank."""

from __future__ import annotations

from typing import final

__all__ = ["BlankLosses"]


@final
class BlankLosses:
    """What a blank loss stands for: a row without one, or NaN where each of the first rows had one.

    Attributes:
        sparse: whether it is only a row without one, and never NaN. losses: rows with a loss so far, count.
        whole: columns that each of the first of them had, None before there is one. guessed: whether NaN was read.
    """

    def __init__(self) -> None:
        self.sparse = self.guessed = False
        self.losses = 0
        self.whole: set[str] | None = None

    def see(self, measured: set[str]) -> None:
        """Take in the columns that one of the first rows had."""
        self.whole = measured if self.whole is None else self.whole & measured
