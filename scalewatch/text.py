"""Texts from somebody's file, fit for a terminal."""

from __future__ import annotations

__all__ = ["no_control", "shortened"]

#: Letters of a run's name in a table.
NAME_LETTERS = 36


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
