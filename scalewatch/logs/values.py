"""A number as logs write it: as JSON, as text, as NaN in many spellings, or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

__all__ = ["counted", "fraction", "is_blank", "number", "seconds", "times"]

_BLANK = frozenset({"", "null", "none", "na", "n/a", "-", "--", "<na>"})
#: What C on Windows prints, and what Python prints of a tensor.
_WINDOWS = re.compile(r"(-?)1\.#(INF|QNAN|IND|SNAN)", re.IGNORECASE)
_TENSOR = re.compile(r"(?:tensor|array|np\.float\d+)\(\s*\[?([^,)\]\s]+)")
#: `12,345`, as people write large numbers; `1,23` is none.
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
#: A length of time: `4 days, 5:06:09`, `0:03:29`, `14m 30s`.
_CLOCK = re.compile(r"(?:(\d+) days?,? )?(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?")
#: The hour of a date, and what stands behind it.
_HOUR, _TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d", re.ASCII), re.compile(r":[0-5]\d:[0-5]\d(?:[.,]\d{3})?", re.ASCII)
_FRACTION = re.compile(r"\s*(\d{1,15})\s*/\s*(\d{1,15})\s*")
_COUNTER = re.compile(r"\s*(?:[A-Za-z]+[ _#:-]*)?(\d+(?:,\d{3})*(?:\.\d+)?)([kKmMbB]?)\s*")
_THOUSAND = {"k": 1e3, "m": 1e6, "b": 1e9}
_PARTS = re.compile(r"(?=\d)(?:(\d+)d ?)?(?:(\d+)h ?)?(?:(\d+)m(?:in)? ?)?(?:(\d+(?:\.\d+)?)s(?:ec)?)?")


def is_blank(value: Any) -> bool:
    """Return whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _BLANK)


def number(value: Any) -> float | None:
    """Return the number in a cell, NaN and infinities included; None if it holds none.

    >>> number("3.5"), number("-Infinity"), number("1.#QNAN"), number("tensor(2.5, device='cuda:0')"), number("")
    (3.5, -inf, nan, 2.5, None)
    """
    if isinstance(value, float):
        return value
    if type(value) is str:
        return _spelled(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


def _spelled(text: str) -> float | None:
    try:
        # float() takes "1_000", which is a name in a log and no number
        return None if "_" in text else float(text)
    except ValueError:
        text = text.strip()
    if "," in text and _THOUSANDS.fullmatch(text):
        return float(text.replace(",", ""))
    inner = _TENSOR.match(text)
    if inner is not None:
        return number(inner.group(1))
    windows = _WINDOWS.match(text)
    if windows is not None:
        return math.nan if windows.group(2).upper() != "INF" else math.copysign(math.inf, -1 if windows.group(1) else 1)
    return None


def fraction(value: Any) -> tuple[float, float] | None:
    """Return the two numbers of a cell such as `10/438`, None if it holds none.

    >>> fraction("10/438"), fraction("2024/01/02")
    ((10.0, 438.0), None)
    """
    found = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else (float(found[1]), float(found[2]))


def counted(value: Any) -> float | None:
    """Return the number in the cell of a counter: `step_100`, `10k`, `1.5M`; None if it holds none.

    >>> counted("step_100"), counted("1.5k"), counted("iter 1,000"), counted("2024-01-02")
    (100.0, 1500.0, 1000.0, None)
    """
    found = _COUNTER.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else float(found[1].replace(",", "")) * _THOUSAND.get(found[2].lower(), 1.0)


def seconds(value: Any) -> float | None:
    """Return a time in seconds: a number, a length of time, or a date and time in ISO 8601 as seconds since 1970.

    >>> seconds("0:03:29"), seconds("04:39"), seconds("1 day, 0:00:01"), seconds("14m 30s")
    (209.0, 279.0, 86401.0, 870.0)
    """
    plain = number(value)
    if plain is not None or not isinstance(value, str):
        return plain
    text = value.strip()
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        days, first, second, third = clock.groups()
        least = float(third) if third is not None else None
        hours, minutes, rest = (int(first), int(second), least) if least is not None else (0, int(first), float(second))
        return 86_400.0 * int(days or 0) + 3_600.0 * hours + 60.0 * minutes + rest
    parts = _PARTS.fullmatch(text)
    if parts is not None and any(parts.groups()):
        return sum(float(part or 0.0) * size for part, size in zip(parts.groups(), (86_400, 3_600, 60, 1), strict=True))
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def times(cells: Sequence[Any]) -> list[Any]:
    """Return many times as `seconds` does each of them; a cell that holds none stays as it is.

    A date is read once for each hour: what stands behind it is added.
    """
    hours: dict[str, float | None] = {}
    found: list[Any] = []
    for cell in cells:
        begin = None
        if type(cell) is str and _TIME.fullmatch(cell, 13):
            hour = cell[:13]
            if hour not in hours:
                hours[hour] = _hour(hour)
            begin = hours[hour]
        if begin is not None:
            found.append(begin + (60 * int(cell[14:16]) + int(cell[17:19])) + int(cell[20:] or 0) * 1000 / 1e6)
        else:
            value = None if cell is None else seconds(cell)
            found.append(cell if value is None else value)
    return found


def _hour(text: str) -> float | None:
    """Return when an hour such as `2025-03-01 10` began; None if it is no date, or clocks were changed in it."""
    if not _HOUR.fullmatch(text):
        return None
    begin, end = seconds(f"{text}:00"), seconds(f"{text}:59")
    return begin if begin is not None and end is not None and end - begin == 59 * 60.0 else None
