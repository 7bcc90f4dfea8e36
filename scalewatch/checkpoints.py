"""The checkpoints that a run has left, and which of them is from before a fault."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple

__all__ = ["SavedCheckpoint", "last_good"]

#: Steps before an incident that a checkpoint has to be [steps]: the loss of step s is that of the weights after s - 1,
#: and the first bad loss may be of weights that were bad already.
BEFORE_STEPS = 2


class SavedCheckpoint(NamedTuple):
    """A checkpoint on the disk.

    Attributes:
        step: optimizer steps that its weights have seen. path: where it is, "" where nobody knows.
    """

    step: int
    path: str

    @property
    def name(self) -> str:
        """What people call it: its file, or the step where the file is not known.

        >>> SavedCheckpoint(100, "/runs/1/step=100.ckpt").name, SavedCheckpoint(100, "").name
        ('step=100.ckpt', 'the checkpoint of step 100')
        """
        return PurePath(self.path).name or f"the checkpoint of step {self.step:,}"


def last_good(checkpoints: Iterable[SavedCheckpoint], since: int) -> SavedCheckpoint | None:
    """Return the newest checkpoint whose weights were good for sure before a fault that began at step `since`.

    >>> saved = [SavedCheckpoint(step, f"{step}.ckpt") for step in (80, 100, 120)]
    >>> last_good(saved, 120), last_good(saved, 101), last_good(saved, 5)
    (SavedCheckpoint(step=100, path='100.ckpt'), SavedCheckpoint(step=80, path='80.ckpt'), None)
    """
    good = [each for each in checkpoints if each.step <= since - BEFORE_STEPS]
    return max(good, key=lambda each: (each.step, bool(each.path)), default=None)
