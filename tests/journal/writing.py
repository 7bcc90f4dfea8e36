"""Small journals for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalewatch.journal import Journal, JournalWriter, observation_record
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["row", "steps_of", "written"]


def row(step: int) -> dict[str, Any]:
    """The record of a step."""
    return observation_record(Observation(step, 10.0 / step, 1e-3, 1.5, step * 1e6))


def steps_of(journal: Journal) -> list[int]:
    """The steps that a journal holds."""
    return [observation.step for observation in journal.observations]


def written(run: Run, folder: Path, first: int, last: int, **options: Any) -> JournalWriter:
    """A journal of the steps from `first` to `last`, closed."""
    writer = JournalWriter(folder, run, **options)
    for step in range(first, last + 1):
        writer.append(row(step))
    writer.close()
    return writer
