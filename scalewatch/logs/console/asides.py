"""Lines that say something of a step and no loss, as a rate, a norm, tokens: they are put into the row of the step.

    [step=250/9739328,epoch=0]
        optim/total_grad_norm=0.4521
        train/CrossEntropyLoss=2.845
        throughput/total_tokens=1,048,576,000

What stands before the loss of its step or behind it, with no other loss between, is part of its row; what is of no row
that is at hand is left for the reader.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, final

from scalewatch.logs.console.sayings import Column, not_rising

__all__ = ["Asides"]


class _Part(NamedTuple):
    """Lines of one pattern: their places, rising, and their numbers by name, each of shape (lines,)."""

    places: Sequence[int]
    cells: dict[str, Column]


@final
class Asides:
    """Those of many lines."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, places: Sequence[int], cells: dict[str, Column]) -> bool:
        """Take lines of one pattern; return whether none of their names is another pattern's."""
        if any(name in part.cells for part in self._parts for name in cells):
            return False
        self._parts.append(_Part(places, cells))
        return True

    def end(self, first: int, end: int, places: Sequence[int], steps: Column, at: Column, newest: int | None) -> int:
        """Return up to which line each is of one of these rows, and that row stands before that line.

        Args:
            first, end: the lines. places: of the rows. steps: theirs; those from which on they do not rise are left
                out. at: the step that each line is of, from `first` on. newest: step of the row before.
        """
        rising = next(iter(not_rising(steps, None)), len(steps))
        steps = steps[: rising if newest is None or not steps or steps[0] > newest else 0]
        ends: list[tuple[int, int]] = []
        for part in self._parts:
            before = None
            for place, row in self._rows_of(part, first, end, places, steps, at):
                if row is None or row == before:
                    end = min(end, place)
                    break
                before = row
                if places[row] > place:
                    ends.append((place, places[row]))
        while late := [place for place, row in ends if place < end <= row]:
            end = min(late)
        return end

    def put(
        self, columns: dict[str, Column], steps: Column, first: int, end: int, places: Sequence[int], at: Column
    ) -> None:
        """Put the numbers of the lines from `first` to before `end` into rows that have none under their names.

        Args:
            columns: of the rows. steps: theirs. first, end: the lines. places: of the rows. at: the step that each
                line is of, from `first` on.
        """
        for part in self._parts:
            found = list(self._rows_of(part, first, end, places, steps, at))
            begin = bisect_left(part.places, first)
            for name, values in part.cells.items():
                column: list[Any] = columns.setdefault(name, [None] * len(steps))
                for value, (_, row) in zip(values[begin:], found, strict=False):
                    if row is not None and column[row] is None:
                        column[row] = value

    def _rows_of(
        self, part: _Part, first: int, end: int, places: Sequence[int], steps: Column, at: Column
    ) -> Iterator[tuple[int, int | None]]:
        """Yield the place of each line and which row it is of, None for none."""
        behind, rows = 0, len(steps)
        for place in part.places[bisect_left(part.places, first) : bisect_left(part.places, end)]:
            while behind < rows and places[behind] < place:
                behind += 1
            step = at[place - first]
            if behind < rows and steps[behind] == step:
                yield place, behind
            elif behind and steps[behind - 1] == step:
                yield place, behind - 1
            else:
                yield place, None
