"""Finds what a run registered when it began, its prediction and its law, without reading all that came after."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalewatch.journal.lines import Record, scan
from scalewatch.journal.segment import first_record, segments_in
from scalewatch.system import open_to_read

__all__ = ["LAW", "LOGGED", "REGISTERED", "logged_in", "registered_in"]

#: What a record calls itself that holds the prediction, and one that holds the law it was made by.
REGISTERED, LAW, LOGGED = "registered", "law", "logged"
#: Lines of a segment among which it is: it is written before the first step.
LINES = 1_000


def logged_in(record: Mapping[str, Any]) -> list[str]:
    """Return the names of series that a record says are logged with the loss; of another record none."""
    names = record.get("names") if record.get("type") == LOGGED else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def registered_in(folder: Path, run_id: str | None = None, kind: str = REGISTERED) -> Record | None:
    """Return the first record of a kind that a run registered in a folder, None if there is none that can be read.

    Args:
        folder: where the journal is. run_id: of the run; with None, that of the newest segment.
        kind: `REGISTERED` or `LAW`.
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
                    if record is not None and record.get("type") == kind:
                        return record
        except OSError:  # also a JournalError
            continue
    return None
