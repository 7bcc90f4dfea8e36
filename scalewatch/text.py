"""How things are written for people: names from somebody's file, times."""

from __future__ import annotations

__all__ = ["duration", "no_control", "percent", "shortened"]

#: Letters of a run's name in a table.
NAME_LETTERS = 36


def percent(part: float, digits: int = 0, *, sign: bool = False) -> str:
    """Return a part of one in per cent, with the space that ISO 31-0 asks for.

    >>> percent(0.8), percent(0.0123, 1, sign=True)
    ('80 %', '+1.2 %')
    """
    return f"{100 * part:{'+' if sign else ''}.{digits}f} %"


def shortened(name: str, letters: int = NAME_LETTERS) -> str:
    """Return a run's name with its middle left out where it is long: names differ at their ends.

    >>> shortened("a" * 20 + "b" * 20, 11)
    'aaaaa…bbbbb'
    """
    name = no_control(name)
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[: letters - 1 - half]}…{name[-half:]}"


def no_control(text: str) -> str:
    """Return a text from somebody's file without letters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(75), duration(3 * 3600 + 120), duration(200_000)
    ('1:15 min', '3:02 h', '2.3 days')
    """
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02} h"
    return f"{seconds / 86400:.1f} days"
