"""A folder of logs as the plugin knows it, read to its end at once: no thread, no server."""

from __future__ import annotations

from pathlib import Path

from scalewatch.laws import CurveLaw
from scalewatch_tensorboard.runs.logdirs import Logdirs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import open_source
from scalewatch_tensorboard.views.overview import row_of

__all__ = ["library_of"]


def library_of(folder: Path, law_file: Path | None = None, law: CurveLaw | None = None) -> RunRegistry:
    """All runs below a folder, each held against `law`."""
    library = RunRegistry(Logdirs(str(folder), (("", folder),), (), law_file, None))
    for found in library.found():
        record = RunState(found.name, open_source(found), law)
        while record.advance(1.0):
            pass
        record.summary = row_of(record)
        library.put(record)
    return library
