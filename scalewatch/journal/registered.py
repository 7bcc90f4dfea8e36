"""Finds the prediction that a run registered when it began, without reading all that came after."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from scalewatch.journal.lines import Record, scan
from scalewatch.journal.segment import first_record, open_to_read, segments_in

__all__ = ["REGISTERED", "registered_in"]

#: What a record that holds one calls itself.
REGISTERED = "registered"
#: Lines of a segment among which it is: it is written before the first step.
LINES = 1_000


def registered_in(folder: Path, run_id: str | None = None) -> Record | None:
    """Return the first prediction that a run registered in a folder, None if there is none that can be read.

    Args:
        folder: where the journal is. run_id: of the run; with None, that of the newest segment.
    """
    try:
        headers = [(path, first_record(path) or {}) for _, path in segments_in(folder)]
    except OSError:
        return None
    known = [header["run_id"] for _, header in headers if "run_id" in header]
    wanted: Any = run_id if run_id is not None else (known[-1] if known else None)
    for path, header in headers:
        if header.get("run_id") != wanted:
            continue
        try:
            with os.fdopen(open_to_read(path), "rb") as source:
                for _, _, record, _ in itertools.islice(scan(source), LINES):
                    if record is not None and record.get("type") == REGISTERED:
                        return record
        except OSError:  # also a JournalError
            continue
    return None
