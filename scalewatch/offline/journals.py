"""Where journals are, below the folders that somebody named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scalewatch.errors import JournalError

__all__ = ["find_journals"]

PATTERN = "journal-*.jsonl"


def find_journals(paths: Sequence[Path]) -> list[Path]:
    """Return every folder at or below `paths` that holds journal segments, and every segment named itself.

    Raises:
        JournalError: if a path does not exist, or there is no journal at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise JournalError(f"{str(path)!a} does not exist.")
        if path.is_file():
            found[path] = None
            continue
        for segment in sorted(path.rglob(PATTERN)):
            found[segment.parent] = None
    if not found:
        named = ", ".join(repr(str(p)) for p in paths)
        raise JournalError(f"There is no journal ({PATTERN}) at or below {named}. The callback ScaleWatch writes them.")
    return list(found)
