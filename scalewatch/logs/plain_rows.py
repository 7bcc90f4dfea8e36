"""Many rows of a log at once: what needs no decision of a row is converted column by column.

A row that needs one (no loss, a cell that is no number, a step that does not rise) is a break, before which a stretch
ends; the log adds it as one row, so that what is made of it is said in one place.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import le, lt
from typing import Any, final

from scalewatch.logs.values import is_blank, number, seconds

__all__ = ["PlainRows", "numbers"]

#: Largest step that is one: 64-bit integers end at 2**63. By hand.
MOST_STEP = 2.0**62


@final
class PlainRows:
    """Some rows of a log, as columns of numbers.

    Args:
        fields: field -> its cells, each of shape (rows,), and how a number becomes the field's.
        count: rows. epochs: cells of the column that counts epochs, None without one. alone: places of rows that are
            breaks in any case.

    Attributes:
        values: field -> numbers, None in a row without one. steps: None where rows are to be counted.
        epochs: numbers. breaks: places of the rows that are to be added one by one, rising.

    >>> cells = {"step": (["1", "2", "2", "3"], float), "loss": (["3.5", "3.4", "", "3.3"], float)}
    >>> rows = PlainRows(cells, 4)
    >>> rows.breaks, rows.plain_from(0), rows.plain_from(2), rows.plain_from(3)
    ([2], 2, 2, 4)
    """

    def __init__(
        self,
        fields: Mapping[str, tuple[Sequence[Any] | None, Callable[[float], float] | None]],
        count: int,
        epochs: Sequence[Any] | None = None,
        alone: Iterable[int] = (),
    ) -> None:
        self.count = count
        breaks = set(alone)
        self.values: dict[str, list[float | None]] = {}
        for field, (cells, scaled) in fields.items():
            if cells is not None:
                whole = field == "step" and set(map(type, cells)) == {int}
                column = list(cells) if whole else numbers(cells, seconds if field == "seconds" else number, breaks)
                self.values[field] = column if scaled is None else [v if v is None else scaled(v) for v in column]
        losses = self.values.get("loss")
        if losses is None:
            breaks.update(range(count))
        elif None in losses:
            breaks.update([place for place, value in enumerate(losses) if value is None])
        self.steps = self._whole(self.values.pop("step"), breaks) if "step" in self.values else None
        self.epochs = None if epochs is None else self._epochs(numbers(epochs, number, set()), breaks)
        self.breaks = sorted(breaks)

    def plain_from(self, place: int) -> int:
        """Return the end of the stretch that begins at `place`, which is `place` where a break is there."""
        at = bisect_left(self.breaks, place)
        return self.breaks[at] if at < len(self.breaks) else self.count

    def _whole(self, values: list[float | None], breaks: set[int]) -> list[int]:
        """Steps as whole numbers; one that is none, or does not rise, is a break."""
        try:
            steps = list(map(int, values))  # type: ignore[arg-type]  # None is caught below
        except (TypeError, ValueError, OverflowError):
            odd = [place for place, value in enumerate(values) if value is None or not math.isfinite(value)]
            breaks.update(odd)
            steps = [0 if value is None or not math.isfinite(value) else int(value) for value in values]
        if not all(map(lt, steps, steps[1:])):
            pairs = enumerate(zip(steps[1:], steps, strict=False), 1)
            breaks.update([place for place, (now, then) in pairs if now <= then])
        if steps and max(max(steps), -min(steps)) > MOST_STEP:
            breaks.update([place for place, step in enumerate(steps) if abs(step) > MOST_STEP])
        return steps

    def _epochs(self, values: list[float | None], breaks: set[int]) -> list[float]:
        """Epochs; one that is missing, or falls, is a break."""
        given = [value for value in values if value is not None]
        finite = bool(given) and math.isfinite(given[0]) and math.isfinite(given[-1])
        if finite and len(given) == len(values) and all(map(le, given, given[1:])):
            return given
        epochs: list[float] = []
        before = -math.inf
        for place, epoch in enumerate(values):
            if epoch is None or not math.isfinite(epoch) or epoch < before:
                breaks.add(place)
            else:
                before = epoch
            epochs.append(before)
        return epochs


def numbers(cells: Sequence[Any], convert: Callable[[Any], float | None], breaks: set[int]) -> list[float | None]:
    """Return the number in each cell, None in a blank one; what is neither goes to `breaks` by its place.

    >>> odd = set()
    >>> numbers(["1.5", "", "x"], number, odd), odd
    ([1.5, None, None], {2})
    """
    kinds = set(map(type, cells))
    if kinds <= {float, type(None)}:
        return list(cells)
    if kinds <= {float, int, type(None)}:
        try:
            return [cell if cell is None else float(cell) for cell in cells]
        except OverflowError:
            pass
    if kinds == {str} and "_" not in "".join(cells):
        try:
            return list(map(float, cells))
        except ValueError:
            pass
    found = [None if cell is None or cell == "" else convert(cell) for cell in cells]
    empty = (None, "")
    odd = [at for at, value in enumerate(found) if value is None and cells[at] not in empty]
    breaks.update([at for at in odd if not is_blank(cells[at])])
    return found
