"""Rows of a validation, as a column such as `split` says it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, final

from scalewatch.logs.columns import SPLITS
from scalewatch.logs.loss_names import HELD_OUT
from scalewatch.logs.sample import Sample

__all__ = ["Splits"]


@final
class Splits:
    """The columns that say of which data a row is; none where every row is of a validation, the only curve there is."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self._evaluations_only = False

    def look(self, sample: Sample) -> None:
        """See whether the first rows are all of a validation."""
        words = [word.strip().lower() for name in SPLITS for word in sample.words(name)]
        self._evaluations_only = len(words) >= sample.rows > 0 and HELD_OUT.issuperset(words)

    def know(self, names: Collection[str]) -> None:
        """Take note of the columns that there are."""
        self.names = () if self._evaluations_only else tuple(name for name in SPLITS if name in names)

    def held_out(self, cells: Mapping[str, Any]) -> bool:
        """Whether a row is one of validation."""
        split = next((cell for name in self.names if isinstance(cell := cells.get(name), str)), "")
        return split.strip().lower() in HELD_OUT
