"""Many rows of a table at once: one expression for the line of a heading, whose groups are its columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress
from typing import final

from scalewatch.logs.console.parts import counters_of, says_nothing
from scalewatch.logs.console.patterns import Match, Matches
from scalewatch.logs.console.skeletons import Place, Plan
from scalewatch.logs.console.tables import Heading

__all__ = ["TablePattern", "table_rows"]

#: A number as most programs write it, with a unit that cannot be part of it; and cells that hold none.
_CELL = (
    r"(?:([-+]?[0-9]++(?:\.[0-9]*+)?+(?:[eE][-+]?[0-9]{1,2}+(?![0-9]))?+)(?:%|[A-Za-df-z][A-Za-z]{0,2}+)?+"
    r"|[0-9]++:[0-9]{2}(?::[0-9]{2})?|-|N/A|None)"
)
#: Behind what a row may begin that has no bar before it: a power of ten there looks like the name of a container.
_FIRST = r"(?![^|\n]*[eE]-)"


@final
class TablePattern:
    """What the rows have in common that were matched of some lines.

    Args:
        names: of the columns that hold numbers. columns: these, each of shape (rows,).

    Attributes:
        plan, lossy, groups: as those of a `Pattern`.
    """

    def __init__(self, names: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
        step, epoch = counters_of(names)
        parts = [2 * number + 1 for number in range(len(names))]
        cells = tuple((name, Place(part, part, 1.0)) for name, part in zip(names, parts, strict=True))
        self.plan = Plan(cells, (), step, epoch, 0, 0, None, 0, 0, None, held_out=False)
        self.groups = {(part, part): number for number, part in enumerate(parts)}
        self.lossy = True
        self._whole = {part for part, column in zip(parts, columns, strict=True) if "".join(column).isdigit()}

    def is_whole(self, part: int) -> bool:
        """Return whether a column has whole numbers alone."""
        return part in self._whole


@lru_cache(maxsize=64)
def _expression(wanted: tuple[bool, ...], bars: str) -> re.Pattern[str]:
    between = {"|": r"[ \t]*+\|[ \t]*+", "\t": r"[ ]*+\t[ ]*+", "": r"[ \t]++"}[bars]
    begin, end = (rf"(?:\||{_FIRST})[ \t]*+", r"\|?") if bars == "|" else ("", "")
    row = between.join([_CELL if taken else _CELL.replace("([", "(?:[", 1) for taken in wanted])
    return re.compile(rf"^(?:[ \t]*+{begin}{row}[ \t]*+{end}[ \t]*+|.*+)$", re.MULTILINE)


def table_rows(lines: list[str], heading: Heading, wanted: Callable[[str], bool]) -> Matches:
    """Return what was matched of lines below a heading, which says nothing where it stands again.

    Args:
        lines: without colours. heading: that stands. wanted: whether a number of a name is.
    """
    match, left = _matched(lines, *heading.named, wanted)
    again = [place for place in left if heading.is_again(lines[place])]
    left = [place for place in left if not heading.is_again(lines[place])] if again else left
    silent = [place for place in left if says_nothing(lines[place])]
    return Matches([] if match is None else [match], left, silent, again)


def _matched(
    lines: list[str], names: Sequence[str], bars: str, wanted: Callable[[str], bool]
) -> tuple[Match | None, Sequence[int]]:
    """Return the lines that are rows, None if none is, and the places of the others."""
    every: Sequence[int] = range(len(lines))
    taken = tuple(map(wanted, names))
    # two cells between bars may be a line of a box, and CatBoost's names depend on each other
    if not any(taken) or len(set(names)) < len(names) or "learn" in names or (bars == "|" and len(names) == 2):
        return None, every
    found = _expression(taken, bars).findall("\n".join(lines))
    if len(found) != len(lines):
        return None, every
    columns: list[Sequence[str]] = [found] if sum(taken) == 1 else list(zip(*found, strict=True))
    names = list(compress(names, taken))
    given = [any(column) for column in columns]
    columns, names, places = list(compress(columns, given)), list(compress(names, given)), every
    for number in range(len(columns)):
        if "" in columns[number]:
            marks = list(map(bool, columns[number]))
            columns, places = [list(compress(column, marks)) for column in columns], list(compress(places, marks))
    if not names or not places:
        return None, every
    held = set(places) if len(places) < len(every) else None
    left = () if held is None else [place for place in every if place not in held]
    return Match(TablePattern(names, columns), places, columns), left
