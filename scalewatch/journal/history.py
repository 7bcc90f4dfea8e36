"""The rows of all segments of a run as one history, in which no step stands twice.

A run that is resumed from an older checkpoint goes back: the rows after the checkpoint were trained
away, and what the new segment says takes their place. Nothing is deleted but in this view.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple, final

from scalewatch.observation import Observation

__all__ = ["History", "Rewind"]


class Rewind(NamedTuple):
    """A place where a run went back.

    Attributes:
        file: the segment in which it did.
        step: the step from which on earlier rows do not count.
        dropped: rows that were left out [count].
    """

    file: Path
    step: int
    dropped: int


@final
class History:
    """Joins rows in the order in which they were written.

    >>> history = History()
    >>> history.begin(Path("journal-000001.jsonl"))
    >>> for step in (1, 2, 3, 4):
    ...     history.add(Observation(step, 3.0))
    >>> history.begin(Path("journal-000002.jsonl"))
    >>> history.add(Observation(3, 2.5))
    >>> [(row.step, row.loss) for row in history.rows]
    [(1, 3.0), (2, 3.0), (3, 2.5)]
    >>> history.rewinds
    [Rewind(file=PosixPath('journal-000002.jsonl'), step=3, dropped=2)]
    """

    def __init__(self) -> None:
        self.rows: list[Observation] = []
        self.rewinds: list[Rewind] = []
        self._file = Path()
        self._first_in_file = True

    def begin(self, file: Path) -> None:
        """The rows that follow stand in `file`."""
        self._file = file
        self._first_in_file = True

    def resume(self, after_step: int) -> None:
        """Training goes on after `after_step`: what was measured beyond it does not count."""
        if self.rows and self.rows[-1].step > after_step:
            self._cut(after_step + 1)

    def add(self, row: Observation) -> None:
        """The next row. It takes the place of all that stand at its step and beyond."""
        if self.rows and row.step <= self.rows[-1].step:
            if row.step == self.rows[-1].step and not self._first_in_file:
                # Measured in two goes, such as the loss and then the validation loss.
                row = _together(self.rows.pop(), row)
            else:
                self._cut(row.step)
        self.rows.append(row)
        self._first_in_file = False

    def _cut(self, step: int) -> None:
        first = bisect_left(self.rows, step, key=lambda row: row.step)
        self.rewinds.append(Rewind(self._file, step, len(self.rows) - first))
        del self.rows[first:]


def _together(earlier: Observation, later: Observation) -> Observation:
    pairs = zip(earlier, later, strict=True)
    return Observation._make(old if new is None else new for old, new in pairs)
