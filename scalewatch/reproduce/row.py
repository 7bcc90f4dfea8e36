"""One line of the page: published numbers, ours, and how far apart they may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, final

from scalewatch.reproduce.data import DataFolder, DataMissingError

__all__ = ["Check", "Outcome", "Row", "RowResult"]


@final
class Outcome(StrEnum):
    """How a row ended."""

    PASS = "pass"
    FAIL = "fail"
    MISSING = "missing"


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One number.

    Attributes:
        quantity: what it is. published: as printed. ours: recomputed. tolerance: how far apart they may be.
        how: "abs" or "rel" difference, or "at least" or "at most" the published number, tolerance aside.

    >>> Check("a", 0.5, 0.503, 0.01).passed, Check("delay", 104.0, 94.0, 88.0, "at most").passed
    (True, True)
    """

    quantity: str
    published: float
    ours: float
    tolerance: float = 0.0
    how: Literal["abs", "rel", "at least", "at most"] = "abs"

    @property
    def passed(self) -> bool:
        """Whether ours agrees; a number that is none does not."""
        if self.how == "at least":
            return self.ours >= self.published - self.tolerance
        if self.how == "at most":
            return self.ours <= self.published + self.tolerance
        allowed = self.tolerance * (abs(self.published) if self.how == "rel" else 1.0)
        return abs(self.ours - self.published) <= allowed


@final
@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of a row.

    Attributes:
        row: the row. checks: its numbers, empty if it could not be computed. seconds: it took.
        missing: what was not there, None if nothing. file: the name of the file that was not there, "" if it was.
    """

    row: Row
    checks: tuple[Check, ...]
    seconds: float
    missing: str | None = None
    file: str = ""

    @property
    def outcome(self) -> Outcome:
        """Pass if every number agrees."""
        if self.missing is not None:
            return Outcome.MISSING
        return Outcome.PASS if self.checks and all(check.passed for check in self.checks) else Outcome.FAIL


@final
@dataclass(frozen=True, slots=True)
class Row:
    """What is recomputed.

    Attributes:
        number: of the row in the headline table. title: what it is. source: where the numbers are published.
        compute: recomputes them from the data. left_out: what it does not cover.
        timed: whether it measures time, which a busy machine fails through no fault of ours.
    """

    number: int
    title: str
    source: str
    compute: Callable[[DataFolder], list[Check]]
    left_out: str = ""
    timed: bool = False

    def run(self, data: DataFolder) -> RowResult:
        """Recompute the row; what is missing is told, and what is wrong with the code is raised."""
        began = time.perf_counter()
        try:
            checks = tuple(self.compute(data))
        except DataMissingError as fault:
            return RowResult(self, (), time.perf_counter() - began, str(fault), fault.file)
        return RowResult(self, checks, time.perf_counter() - began)
