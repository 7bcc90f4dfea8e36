"""Which of the processes that print into one log is read.

Processes side by side say the same steps, and one of them is enough. One that speaks when the one before has ceased is
the same run going on: it was started again, and has another number. So lines of a new process are held until the old
one speaks again, or it is plain that it does not.
"""

from __future__ import annotations

from typing import final

from scalewatch.logs.console.lines import Line
from scalewatch.logs.loss_names import training_loss

__all__ = ["Ranks"]

#: Losses that a new process says in a row before it is taken for the one that goes on, where the other had company;
#: losses that one says alone before nobody is expected beside it; lines of one that are held at most; processes whose
#: lines are held, and that are known to be beside another, at most. By hand.
ENOUGH, ALONE, MOST_HELD, MOST_NEW, MOST_RANKS = 4, 8, 1_000, 32, 10_000

#: Where a process stands: its epoch and its counter, or how many losses it has said.
_Mark = tuple[float, float]


class _Speaker:
    """A process: where it began and where it is."""

    __slots__ = ("began", "beyond", "first", "held", "last", "losses", "newest")

    def __init__(self) -> None:
        self.losses = self.beyond = 0
        self.first: _Mark | None = None
        self.newest: _Mark = (0.0, 0.0)
        #: Date and time of its first and its newest loss, where lines say them.
        self.began: str | None = None
        self.last: str | None = None
        self.held: list[Line] = []

    def says(self, line: Line, losses: int = 1) -> None:
        self.losses += losses
        counter = line.cells[line.named] if line.named is not None else line.bar[0] if line.bar else line.lead
        if counter is None and line.epoch is None:
            counter = self.losses
        self.newest = (line.epoch or 0.0, float(counter or 0.0))
        if self.first is None:
            self.first, self.began = self.newest, line.when
        self.last = line.when or self.last


@final
class Ranks:
    """Follows the process that is read.

    Attributes:
        reading: its number or name, None before any has said a loss. others: lines with a loss that are left out.
        taken_over: how often another process went on where the one that was read had ceased.
    """

    def __init__(self) -> None:
        self.reading: str | None = None
        self.others = self.taken_over = 0
        self._now = _Speaker()
        self._company = False
        self._beside: set[str] = set()
        self._new: dict[str, _Speaker] = {}

    def knows(self, rank: str) -> bool:
        """Return whether it is settled that a process is read, or that it is left out."""
        return rank == self.reading or rank in self._beside

    def of(self, rank: str, line: Line) -> list[Line]:
        """Return the lines to go on with after a line of a process: itself, none, or those that were held too."""
        says = any(training_loss(name) is not None for name in line.cells)
        if self.reading is None and says:
            self.reading = rank
        if self.reading is None:
            return [line]
        if rank == self.reading:
            if says:
                self.spoke(line)
            return [line]
        self.others += says
        if rank in self._beside:
            self._company = self._company or says
            return []
        return self._of_new(rank, line, says=says)

    def spoke(self, line: Line, losses: int = 1) -> None:
        """Take note that the process that is read said losses, the last of them here: who is new is beside it."""
        self._now.says(line, losses)
        if self._new:
            self._company = self._company or any(one.losses for one in self._new.values())
            if len(self._beside) < MOST_RANKS:
                self._beside.update(self._new)
            self._new.clear()

    def beside(self, losses: int) -> None:
        """Take note of losses of processes that are left out."""
        self.others += losses
        self._company = self._company or losses > 0

    def end(self, *, quiet: bool) -> list[Line]:
        """Return lines that were held, where the log ends in those of a process that goes on.

        Args:
            quiet: whether nobody has written to the log for a while.
        """
        for rank, one in self._new.items():
            again = one.first == self._now.first
            if one.losses and (not again or (quiet and one.newest != self._now.newest)):
                return self._take_over(rank, one)
        return []

    def _of_new(self, rank: str, line: Line, *, says: bool) -> list[Line]:
        one = self._new.get(rank)
        if one is None:
            if len(self._new) >= MOST_NEW:
                return []
            one = self._new[rank] = _Speaker()
        one.held.append(line)
        if says:
            one.says(line)
            one.beyond = one.beyond + 1 if one.newest > self._now.newest else 0
            if self._goes_on(one):
                return self._take_over(rank, one)
        if len(one.held) > MOST_HELD:
            del one.held[0]
        return []

    def _goes_on(self, one: _Speaker) -> bool:
        """Whether a process that is new is plainly the run going on, and none beside the one that was read."""
        dated = one.began is not None and self._now.last is not None and len(one.began) == len(self._now.last)
        if dated and str(one.began) < str(self._now.last):
            return False
        if one.first == self._now.first and not dated:
            # as a copy of it begins
            return one.beyond >= ENOUGH or len(one.held) >= MOST_HELD
        return one.losses >= ENOUGH or (
            self._now.losses >= ALONE and not self._company and one.first != self._now.first
        )

    def _take_over(self, rank: str, one: _Speaker) -> list[Line]:
        held, one.held = one.held, []
        self.others -= one.losses
        self.reading, self._now = rank, one
        self._company = any(other.losses for other in self._new.values() if other is not one)
        self._beside = {name for name in self._new if name != rank}
        self._new = {}
        self.taken_over += 1
        return held
