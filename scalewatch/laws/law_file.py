"""Law files: a law as JSON, read with suspicion.

A law file may come from a colleague or a download, so it is data and nothing else: one object of known fields, finite
numbers within range, of bounded size and depth. What is wrong is said with file, field and reason.
"""

from __future__ import annotations

import os
from pathlib import Path

from scalewatch.laws.curve_law import CurveLaw
from scalewatch.laws.law import Law
from scalewatch.strict_json import read_record, write_record

__all__ = ["load_law", "save_law"]


def save_law(law: Law, path: str | os.PathLike[str]) -> None:
    """Write `law` to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    write_record(law.to_json(), path)


def load_law(path: str | os.PathLike[str]) -> CurveLaw:
    """Read the law of whole curves that `save_law` wrote, the one that a monitor takes.

    Raises:
        LawFileError: if the file cannot be read or is no law file; the message names file, field and reason.
    """
    source = Path(path)
    return CurveLaw.from_json(read_record(source), source)
