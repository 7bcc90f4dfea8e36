"""The checkpoints of a loop that says when it has written one: known to the advice, and the last good one kept."""

from __future__ import annotations

from typing import final

from scalewatch.acting.gate import known_after
from scalewatch.guard import Guard
from scalewatch_torch.acting.kept import KeptCheckpoints
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions

__all__ = ["SavedByLoop", "end_of_kept"]


@final
class SavedByLoop:
    """The checkpoints of one run, on the process that watches it.

    Args:
        protects: whether acts were asked for: then each has a second name until it is known to be of no use.
    """

    def __init__(self, *, protects: bool) -> None:
        self._protects = protects
        self._guard = Guard()
        self._session: Session | Sessions | None = None
        self._kept: KeptCheckpoints | None = None

    def begin(self, session: Session | Sessions, step: int, path: str) -> None:
        """Know the checkpoint that the run goes on from, after `step`; "" where nobody knows its path."""
        self._session = session
        self._kept = KeptCheckpoints(known_after(session.run), keeps=self._protects, complain=session.note)
        if step:
            self.saved(step, path)

    def saved(self, step: int, path: str) -> None:
        """A checkpoint was written after `step`."""
        if self._kept is not None and self._session is not None:
            self._guard.call("checkpoints", self._saved, step, path, self._kept, self._session)

    def _saved(self, step: int, path: str, kept: KeptCheckpoints, session: Session | Sessions) -> None:
        kept.saved(step, path, session.critical_since)
        session.know_checkpoints(kept.known())

    def end(self) -> None:
        """Leave no second name that nobody needs."""
        kept, session = self._kept, self._session
        self._kept = self._session = None
        if kept is not None and session is not None:
            self._guard.call("checkpoints", end_of_kept, kept, session)


def end_of_kept(kept: KeptCheckpoints, session: Session | Sessions) -> None:
    """Let go of the checkpoints of a run that has ended, and say which one is kept."""
    left = kept.end(session.critical_since)
    session.know_checkpoints(kept.known())
    if left is not None:
        session.note(f"the last good checkpoint, of step {left.step:,}, is kept as {left.path}")
