"""A folder of its own for the journal of each run, where the loop has none for it.

Runs without a logger are told the same folder. Two of them in one would be one run that goes back to its first step.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from scalewatch.guard import attempt
from scalewatch.journal.segment import first_record, segments_in

__all__ = ["own_folder"]

#: Folders that are tried: more runs beside each other than anyone looks at. By hand.
MOST_FOLDERS = 10_000


def own_folder(folder: Path, run_id: str | None, *, goes_on: bool) -> Path:
    """Return `folder`, or where another run has it `folder-2` and on; a run that goes on returns to its own.

    Args:
        folder: where the first run is. run_id: that the checkpoint holds, None for none. goes_on: whether there is one.
    """
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, MOST_FOLDERS))
    newest = folder
    for place in itertools.chain([folder], numbered):
        if goes_on:
            if run_id in _runs_in(place):
                return place
            if not place.exists():
                return newest  # its journal is elsewhere, or nobody knows which run it is
            newest = place
        elif _claimed(place):
            return place
    return folder


def _runs_in(folder: Path) -> set[str]:
    segments, _ = attempt(segments_in, folder)
    return {str(record.get("run_id")) for _, path in segments or () if (record := first_record(path)) is not None}


def _claimed(folder: Path) -> bool:
    """Whether the folder is ours now: it was not there, or there was no journal in it."""
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        return not folder.is_dir() or not _runs_in(folder)
    except OSError:
        return True  # who opens the journal says why it cannot
    return True
