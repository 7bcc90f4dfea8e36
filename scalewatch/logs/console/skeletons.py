"""Lines whose words were read before: only the numbers that are wanted are taken from them.

A program prints the same words with other numbers a million times. What stands between the numbers of a line is its
skeleton; of each the first line says where the wanted numbers stand, and the others are cut there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, final

from scalewatch.logs.console.lines import Line
from scalewatch.logs.console.scan import Scanned, Span

__all__ = ["Skeletons"]

#: Skeletons that are remembered: prose has a new one in each line.
MOST_SKELETONS = 10_000
_NUMBERS = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")


class _Place(NamedTuple):
    """Where a number stands: the first and the last of the parts of a line that it is made of, its sign and unit."""

    first: int
    last: int
    factor: float

    def value(self, parts: list[str]) -> float:
        if self.first == self.last:
            return float(parts[self.first]) * self.factor
        return float("".join(parts[self.first : self.last + 1]).replace(",", "")) * self.factor


class _Plan(NamedTuple):
    """What is taken from the lines of a skeleton."""

    cells: tuple[tuple[str, _Place], ...]
    fixed: dict[str, float]
    named: str | None
    epoch: str | None
    whole: int
    epochs: int
    bar: tuple[int, int] | None
    lead: int
    when: tuple[int, int] | None
    held_out: bool

    def line(self, parts: list[str]) -> Line | None:
        """Return the line of these parts, None if a counter is no whole number: then it says something else."""
        cells = {name: place.value(parts) for name, place in self.cells}
        cells.update(self.fixed)
        if self.named is not None and not cells[self.named].is_integer():
            return None
        try:
            return Line(
                cells,
                self.named,
                int(parts[self.whole]) if self.whole else None,
                (int(parts[self.bar[0]]), int(parts[self.bar[1]])) if self.bar is not None else None,
                int(parts[self.lead]) if self.lead else None,
                cells[self.epoch] if self.epoch is not None else None,
                int(parts[self.epochs]) if self.epochs else None,
                "".join(parts[self.when[0] : self.when[1] + 1]).replace("/", "-") if self.when is not None else None,
                self.held_out,
                "",
            )
        except ValueError:
            return None


@final
class Skeletons:
    """Remembers skeletons.

    Args:
        wanted: whether a number of this name is.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._parts: list[str] = []
        self._key: tuple[str, ...] = ()

    def line(self, text: str) -> Line | None:
        """Return what a line says whose skeleton is known, None if it is not."""
        self._parts = _NUMBERS.split(text)
        self._key = tuple(self._parts[::2])
        plan = self._plans.get(self._key)
        return None if plan is None else plan.line(self._parts)

    def learn(self, line: Line, epoch: str | None, scanned: Scanned) -> None:
        """Remember the line that was asked for last, which was read in full."""
        if len(self._plans) >= MOST_SKELETONS or line.cells.keys() != scanned.cells.keys():
            return
        plan = self._plan(line, epoch, scanned)
        if plan is not None and plan.line(self._parts) == line._replace(cells=self._few(line), text=""):
            self._plans[self._key] = plan

    def _few(self, line: Line) -> dict[str, float]:
        return {name: value for name, value in line.cells.items() if self._wanted(name)}

    def _plan(self, line: Line, epoch: str | None, scanned: Scanned) -> _Plan | None:
        begins: dict[int, int] = {}
        ends: dict[int, int] = {}
        at = 0
        for i, part in enumerate(self._parts):
            if i % 2:
                begins[at], ends[at + len(part)] = i, i
            at += len(part)

        def place(span: Span | None) -> _Place | None:
            if span is None:
                return None
            first, last = begins.get(span.begin + (span.sign != 0)), ends.get(span.end)
            if first is None or last is None:
                return None
            return _Place(first, last, span.factor * (-1.0 if span.sign < 0 else 1.0))

        spans = scanned.spans
        names = [name for name in line.cells if self._wanted(name)]
        cells = [(name, place(spans[name])) for name in names if name in spans]
        fixed = {name: line.cells[name] for name in names if name not in spans}
        counters = {
            "whole": spans.get(f"/{line.named}") if line.whole is not None else None,
            "epochs": spans.get(f"/{epoch}") if line.epochs is not None else None,
            "n": spans.get("bar") if line.bar is not None else None,
            "N": spans.get("/bar") if line.bar is not None else None,
            "lead": spans.get("lead") if line.lead is not None else None,
            "when": spans.get("when") if line.when is not None else None,
        }
        places = {what: place(span) for what, span in counters.items()}
        lost = any(places[what] is None for what, span in counters.items() if span is not None)
        if lost or any(found is None for _, found in cells):
            return None
        known = {what: found.first if found is not None else 0 for what, found in places.items()}
        when = places["when"]
        return _Plan(
            tuple((name, found) for name, found in cells if found is not None),
            fixed,
            line.named,
            epoch,
            known["whole"],
            known["epochs"],
            (known["n"], known["N"]) if line.bar is not None else None,
            known["lead"],
            (when.first, when.last) if when is not None else None,
            line.held_out,
        )
