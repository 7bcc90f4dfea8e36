"""A folder of logs as the plugin knows it, read to its end at once: no thread, no server."""

from __future__ import annotations

from pathlib import Path

from scalewatch.laws import CurveLaw
from scalewatch_tensorboard.library import Library
from scalewatch_tensorboard.overview import row_of
from scalewatch_tensorboard.record import Record
from scalewatch_tensorboard.source import open_source
from scalewatch_tensorboard.where import Where

__all__ = ["library_of"]


def library_of(folder: Path, law_file: Path | None = None, law: CurveLaw | None = None) -> Library:
    """All runs below a folder, each held against `law`."""
    library = Library(Where(str(folder), (("", folder),), (), law_file, None))
    for found in library.found():
        record = Record(found.name, open_source(found), law)
        while record.advance(1.0):
            pass
        record.summary = row_of(record)
        library.put(record)
    return library
