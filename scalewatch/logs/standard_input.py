"""Standard input as a file: readers look at the beginning of a log before they read it."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from scalewatch.errors import LogError

__all__ = ["STANDARD_INPUT", "spooled"]

#: What stands for standard input where a path is asked for.
STANDARD_INPUT = Path("-")
#: Bytes copied at once.
CHUNK_BYTES = 1 << 20


def spooled() -> Path:
    """Return a file that holds all of standard input, and is removed at the end of the process.

    Raises:
        LogError: if there is no room for it.
    """
    folder = Path(tempfile.mkdtemp(prefix="scalewatch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "stdin.log"
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, CHUNK_BYTES)
    except OSError as fault:
        raise LogError(f"standard input cannot be kept: {fault.strerror or fault}.") from None
    return path
