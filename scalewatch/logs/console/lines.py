"""What one printed line says, whoever read it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Line"]


class Line(NamedTuple):
    """A line that says something: its numbers, and its counters.

    Attributes:
        cells: name -> number. named: the counter of steps among them. whole: what it counts to.
        bar: how far a bar without a name is, and of how much. lead: whole number that the line begins with.
        epoch: the epoch it says. epochs: of how many. when: date and time. held_out: whether it is of a validation.
        text: the line.
    """

    cells: dict[str, float]
    named: str | None
    whole: int | None
    bar: tuple[int, int] | None
    lead: int | None
    epoch: float | None
    epochs: int | None
    when: str | None
    held_out: bool
    text: str
