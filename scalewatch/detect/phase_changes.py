"""Which rows begin a phase: what was noted since the row before, and what a row says itself."""

from __future__ import annotations

from typing import Any, final

from scalewatch.detect.state import Stateful
from scalewatch.phases import MOST_LETTERS, NOTES, phase_text

__all__ = ["PhaseChanges"]


@final
class PhaseChanges(Stateful):
    """The notes of one monitor that no row has taken yet.

    The same name on rows running is one phase: who says it at each step, or has a column of it, means its beginning.

    Attributes:
        heard: notes of this process that it has taken in, count; those from before it was made are not for it.
        quiet: whether it has nothing to tell of the next row. before: what the row before was said to begin.

    >>> changes = PhaseChanges()
    >>> changes.note("stage 2")
    >>> changes.take(None), changes.take("stage 2"), changes.take(None), changes.take("stage 2")
    ('stage 2', '', '', 'stage 2')
    """

    STATE = ("noted", "before")

    def __init__(self) -> None:
        self.heard = NOTES.count
        self.quiet = True
        self.before = ""
        self._noted = ""

    @property
    def noted(self) -> str:
        """What was noted for the next row."""
        if self.heard != NOTES.count:
            self.heard, names = NOTES.since(self.heard)
            for name in names:
                self.note(name)
        return self._noted

    @noted.setter
    def noted(self, names: str) -> None:
        self._noted = names

    def note(self, name: str) -> None:
        """Let the next row begin a phase."""
        self._noted = (f"{self._noted}, {name}" if self._noted else name)[:MOST_LETTERS]
        self.quiet = False

    def take(self, given: Any) -> str:
        """Return what begins with this row, which says `given` itself; "" if nothing does."""
        names = [name for name in (self.noted, phase_text(given)) if name]
        begins, before = ", ".join(names), self.before
        self._noted, self.before, self.quiet = "", begins, not begins
        return "" if begins == before else begins

    def _loaded(self) -> None:
        self.quiet = not (self._noted or self.before)
