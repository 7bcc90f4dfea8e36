"""Numbers that people give as options, read alike wherever they may be given.

A number of NumPy is one as Python's is; a text, yes or no are none, and what no float holds is infinite.
"""

from __future__ import annotations

import math
from typing import Any

from scalewatch.errors import ConfigError

__all__ = ["MOST_GIVEN", "number", "number_between", "whole_number"]

#: The largest count of anything, as law files have it. By hand.
MOST_GIVEN = 1e18


def number(value: Any) -> float:
    """Return what was given as a float; NaN where it is no number, infinite where no float holds it.

    >>> import numpy as np
    >>> number(np.int64(3)), number(True), number("3"), number(10**400)
    (3.0, nan, nan, inf)
    """
    if isinstance(value, str | bytes | bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return math.nan
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole_number(option: str, value: Any, least: int, most: float = MOST_GIVEN) -> int:
    """Return a count, which may be written as 5e5.

    Raises:
        ConfigError: naming the option, if it is no whole number from `least` to `most`.
    """
    read = number(value)
    if not (least <= read <= most and read.is_integer()):
        beyond = f", up to {most:g}" if read > most else ""
        got = f"{_shown(value, read)}, {type(value).__name__}"
        raise ConfigError(f"`{option}` must be an integer of at least {least}{beyond} (got {got}).")
    return int(value)


def number_between(option: str, value: Any, what: str, most: float = math.inf, *, most_too: bool = False) -> float:
    """Return a number above 0 and below `most`, or at it where `most_too`.

    Args:
        what: it must be, in words.

    Raises:
        ConfigError: naming the option, if it is none.
    """
    read = number(value)
    if not (0.0 < read < most or (most_too and read == most)):
        raise ConfigError(f"`{option}` must be {what} (got {_shown(value, read)}).")
    return read


def _shown(value: Any, read: float) -> str:
    # Python writes no integer of thousands of digits
    return f"{read:g}" if math.isinf(read) else f"{value!r:.60}"
