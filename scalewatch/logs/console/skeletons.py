"""Lines whose words were read before: only the numbers that are wanted are taken from them.

A program prints the same words with other numbers a million times. What stands between the numbers of a line is its
skeleton; of each the first line says where the wanted numbers stand, and the others are cut there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple, final

from scalewatch.logs.console.lines import Line
from scalewatch.logs.console.scan import Scanned, Span

__all__ = ["Family", "Key", "Place", "Plan", "Skeletons"]

#: What stands between the numbers of a line.
Key = tuple[str, ...]

#: Skeletons that are remembered: prose has a new one in each line.
MOST_SKELETONS = 10_000
_NUMBERS = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")


class Place(NamedTuple):
    """Where a number stands: the first and the last of the parts of a line that it is made of, its sign and unit."""

    first: int
    last: int
    factor: float

    def value(self, parts: list[str]) -> float:
        if self.first == self.last:
            return float(parts[self.first]) * self.factor
        return float("".join(parts[self.first : self.last + 1]).replace(",", "")) * self.factor


class Plan(NamedTuple):
    """What is taken from the lines of a skeleton.

    Attributes:
        cells: name -> where its number stands. fixed: name -> number, where it is a word such as `nan`.
        named, epoch: names of the counters. whole, epochs, lead, rank: the parts of a line that hold these, 0 for none.
        bar: the parts of a bar. when: the first and the last part of a date. held_out: whether it is of a validation.
    """

    cells: tuple[tuple[str, Place], ...]
    fixed: tuple[tuple[str, float], ...]
    named: str | None
    epoch: str | None
    whole: int
    epochs: int
    bar: tuple[int, int] | None
    lead: int
    rank: int
    when: tuple[int, int] | None
    held_out: bool

    @property
    def names(self) -> list[str]:
        """Names of the numbers."""
        return [name for name, _ in (*self.cells, *self.fixed)]

    def line(self, parts: list[str]) -> tuple[Line, str | None] | None:
        """Return the line of these parts and its rank, None if a counter is no whole number: it says something else."""
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
            ), self.rank_in(parts[self.rank]) if self.rank else None
        except ValueError:
            return None

    def rank_in(self, part: str) -> str:
        """Return the rank that a part says; a line's first number is compared as a number."""
        whole = int(part)
        return str(whole) if self.rank == self.lead else part


class Family:
    """Skeletons of one plan: they differ in what else stands between the numbers, as in how a bar is drawn.

    Attributes:
        plan: theirs. keys: each of them. forms: of each number the forms that it was seen in, as `form_of` says.
    """

    __slots__ = ("forms", "keys", "plan")

    def __init__(self, plan: Plan, width: int) -> None:
        self.plan = plan
        self.keys: dict[Key, None] = {}
        self.forms: list[set[str]] = [set() for _ in range(width // 2)]

    def see(self, parts: list[str]) -> None:
        """Take note of the forms of a line's numbers."""
        for seen, part in zip(self.forms, parts[1::2], strict=True):
            seen.add(form_of(part))


def form_of(digits: str) -> str:
    """Return how a number is written: its digits, and then its point and its exponent where it has them.

    >>> [form_of(digits) for digits in ("12", "1.5", "1e-5", "1.5E+3")]
    ['d', 'd.', 'de', 'd.e']
    """
    point = "." if "." in digits else ""
    return f"d{point}{'' if digits.replace('.', '').isdigit() else 'e'}"


@final
class Skeletons:
    """Remembers skeletons.

    Args:
        wanted: whether a number of this name is.

    Attributes:
        families: those of one plan, by how many parts a line has and the plan.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._known: dict[Key, Family] = {}
        self.families: dict[tuple[int, Plan], Family] = {}
        self._parts: list[str] = []
        self._key: Key = ()

    def bare(self) -> Skeletons:
        """Return one that knows none."""
        return Skeletons(self._wanted)

    def line(self, text: str) -> tuple[Line, str | None] | None:
        """Return what a line says whose skeleton is known, and its rank; None if it is not."""
        family = self.family(text)
        return None if family is None else family.plan.line(self._parts)

    def family(self, text: str) -> Family | None:
        """Return the family of a line, None if its skeleton is not known."""
        self._parts = _NUMBERS.split(text)
        self._key = tuple(self._parts[::2])
        return self._known.get(self._key)

    def see(self, family: Family) -> None:
        """Take note of the forms of the numbers of the line that was asked for last."""
        family.see(self._parts)

    def learn(self, line: Line, epoch: str | None, scanned: Scanned, rank: tuple[str, Span] | None) -> None:
        """Remember the line that was asked for last, which was read in full."""
        if len(self._known) >= MOST_SKELETONS or line.cells.keys() != scanned.cells.keys():
            return
        plan = self._plan(line, epoch, scanned, None if rank is None else rank[1])
        few = line._replace(cells=self._few(line), text="")
        if plan is not None and plan.line(self._parts) == (few, None if rank is None else rank[0]):
            family = self.families.setdefault((len(self._parts), plan), Family(plan, len(self._parts)))
            family.keys[self._key] = None
            family.see(self._parts)
            self._known[self._key] = family

    def _few(self, line: Line) -> dict[str, float]:
        return {name: _canonical(value) for name, value in line.cells.items() if self._wanted(name)}

    def _plan(self, line: Line, epoch: str | None, scanned: Scanned, rank: Span | None) -> Plan | None:
        begins: dict[int, int] = {}
        ends: dict[int, int] = {}
        at = 0
        for i, part in enumerate(self._parts):
            if i % 2:
                begins[at], ends[at + len(part)] = i, i
            at += len(part)

        def place(span: Span | None) -> Place | None:
            if span is None:
                return None
            first, last = begins.get(span.begin + (span.sign != 0)), ends.get(span.end)
            if first is None or last is None:
                return None
            return Place(first, last, span.factor * (-1.0 if span.sign < 0 else 1.0))

        spans = scanned.spans
        names = [name for name in line.cells if self._wanted(name)]
        cells = [(name, place(spans[name])) for name in names if name in spans]
        fixed = tuple((name, _canonical(line.cells[name])) for name in names if name not in spans)
        counters = {
            "whole": spans.get(f"/{line.named}") if line.whole is not None else None,
            "epochs": spans.get(f"/{epoch}") if line.epochs is not None else None,
            "n": spans.get("bar") if line.bar is not None else None,
            "N": spans.get("/bar") if line.bar is not None else None,
            "lead": spans.get("lead") if line.lead is not None else None,
            "rank": rank,
            "when": spans.get("when") if line.when is not None else None,
        }
        places = {what: place(span) for what, span in counters.items()}
        lost = any(places[what] is None for what, span in counters.items() if span is not None)
        if lost or any(found is None for _, found in cells):
            return None
        if rank is not None and (found := places["rank"]) is not None and found.first != found.last:
            return None
        known = {what: found.first if found is not None else 0 for what, found in places.items()}
        when = places["when"]
        return Plan(
            tuple((name, found) for name, found in cells if found is not None),
            fixed,
            line.named,
            epoch,
            known["whole"],
            known["epochs"],
            (known["n"], known["N"]) if line.bar is not None else None,
            known["lead"],
            known["rank"],
            (when.first, when.last) if when is not None else None,
            line.held_out,
        )


def _canonical(value: float) -> float:
    """Each NaN as the same one, which equals itself."""
    return math.nan if math.isnan(value) else value
