"""The raw numbers of a run in TensorBoard event files, tag by tag."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import LogError
from scalewatch.logs.log import MAX_NOTES
from scalewatch.logs.tensorboard.events_folder import EventFolder, event_files

__all__ = ["EventSeries", "Series"]


@final
class Series(NamedTuple):
    """What was written of one tag, in the order in which it was; arrays of shape (n,).

    Attributes:
        steps: the writer's step.
        wall_times: when it was written, since 1970 [s].
        values: the numbers.
    """

    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]


@final
class EventSeries:
    """The series of one run's folder, while it grows.

    Args:
        folder: holds the event files; those of its subfolders are runs of their own.

    Attributes:
        notes: one line for each thing that was damaged, at most `MAX_NOTES`.

    Raises:
        LogError: if no event file lies in `folder`.
    """

    def __init__(self, folder: Path | str) -> None:
        files = event_files(Path(folder))
        if not files:
            raise LogError(f"`folder` must hold an event file, `...tfevents...` (got {str(folder)!r}).")
        self.notes: list[str] = []
        self._events = EventFolder(files, self._note)

    def poll(self) -> dict[str, Series]:
        """Return what has been written since the last call, tag -> series; never raises for the files' content."""
        parts = [scalars for _, scalars in self._events.batches()]
        if not parts:
            return {}
        tags = np.concatenate([part.tags for part in parts])
        order = np.argsort(tags, kind="stable")
        tags = tags[order]
        steps = np.concatenate([part.steps for part in parts])[order]
        times = np.concatenate([part.wall_times for part in parts])[order]
        values = np.concatenate([part.values for part in parts])[order]
        begins = np.flatnonzero(np.diff(tags, prepend=-1))
        ends = np.append(begins[1:], len(tags))
        return {
            self._events.decoder.tags[int(tags[begin])]: Series(steps[begin:end], times[begin:end], values[begin:end])
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        }

    def _note(self, line: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(line)
