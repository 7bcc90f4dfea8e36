"""How an event file is told from others, by its name or its first bytes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MARK", "is_marked", "start_of"]

#: What TensorBoard looks for in a name.
MARK = "tfevents"
#: How the first event of each file says what it is: `file_version`, field 3 of Event; and where it stands [bytes].
_VERSION, _VERSION_BEFORE = b"brain.Event:", 128
#: Enough of a file to hold its first event [bytes].
_START_BYTES = 4096


def start_of(path: Path) -> bytes:
    """Return the first bytes of a file; none of what is no plain file, or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as source:
            return source.read(_START_BYTES)
    except (OSError, ValueError):
        return b""


def is_marked(path: Path) -> bool:
    """Whether a file may be an event file, by its name (`...tfevents...`) or by its first bytes; never raises."""
    return MARK in path.name or _VERSION in start_of(path)[:_VERSION_BEFORE]
