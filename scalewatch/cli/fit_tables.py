"""The table of a law's constants, the same for every kind of law that `scalewatch fit` makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from rich.console import Console

from scalewatch.text import percent

__all__ = ["LEVEL", "Constant", "FittedLaw", "Unprinted", "constants_table"]

#: Level of the intervals that are printed.
LEVEL = 0.8


@final
@dataclass(frozen=True, slots=True)
class Constant:
    """A fitted constant: name, value, interval at `LEVEL` (None: it has none; infinite: not known), and what it is."""

    name: str
    value: float
    interval: tuple[float, float] | None
    meaning: str


@final
@dataclass(frozen=True, slots=True)
class FittedLaw:
    """What `scalewatch fit` made: the family, its formula, the runs or rows it rests on, its constants, its worth."""

    family: str
    formula: str
    runs: int
    constants: tuple[Constant, ...]
    usable: bool


@final
class Unprinted(Console):
    """A console that prints nothing and keeps the sentences that `say` would have printed, for JSON."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []


def constants_table(title: str, constants: Sequence[Constant]) -> object:
    """Return a table of the constants of a law for a rich console."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column(f"{percent(LEVEL)} interval", justify="right", no_wrap=True)
    table.add_column("what it is")
    for constant in constants:
        span = "" if constant.interval is None else _interval(*constant.interval)
        table.add_row(constant.name, f"{constant.value:.4g}", span, constant.meaning)
    return table


def _interval(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}" if math.isfinite(low) and math.isfinite(high) else "not known"
