"""Keeps a server small that reads long logs: what they took goes back to the system, not into the allocator's pockets.

Rows are read in blocks of megabytes and charts made from arrays of megabytes. glibc learns from the first of these to
keep such pieces for the thread that freed them, so that a server that once read a long log would hold them for ever.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["return_large_pieces", "trim"]

#: `M_MMAP_THRESHOLD` of glibc's malloc.h, and the size from which a piece is asked of the system itself [bytes].
M_MMAP_THRESHOLD, LARGE_BYTES = -3, 1 << 19


def return_large_pieces() -> bool:
    """Have large pieces of memory returned when they are freed, where glibc can; whether it does."""
    return _glibc("mallopt", M_MMAP_THRESHOLD, LARGE_BYTES)


def trim() -> bool:
    """Return unused memory to the system now, where glibc can; whether it did."""
    return _glibc("malloc_trim", 0)


def _glibc(function: str, *numbers: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(getattr(ctypes.CDLL(None), function)(*numbers))
    except (OSError, AttributeError):  # another C library
        return False
