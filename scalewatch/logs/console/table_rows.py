"""Many rows of a table at once: one expression for the line of a heading, whose groups are its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
def _expression(columns: int, bars: str) -> re.Pattern[str]:
    between = {"|": r"[ \t]*+\|[ \t]*+", "\t": r"[ ]*+\t[ ]*+", "": r"[ \t]++"}[bars]
    begin, end = (rf"(?:\||{_FIRST})[ \t]*+", r"\|?") if bars == "|" else ("", "")
    return re.compile(rf"^(?:[ \t]*+{begin}{between.join([_CELL] * columns)}[ \t]*+{end}[ \t]*+|.*+)$", re.MULTILINE)


def table_rows(lines: list[str], heading: Heading) -> Matches:
    """Return what was matched of lines without colours below a heading, which says nothing where it stands again."""
    match, left = _matched(lines, *heading.named)
    again = [place for place in left if heading.is_again(lines[place])]
    left = [place for place in left if not heading.is_again(lines[place])] if again else left
    silent = [place for place in left if says_nothing(lines[place])]
    return Matches([] if match is None else [match], left, silent, again)


def _matched(lines: list[str], names: Sequence[str], bars: str) -> tuple[Match | None, Sequence[int]]:
    """Return the lines that are rows, None if none is, and the places of the others."""
    every = range(len(lines))
    # two cells between bars may be a line of a box, and CatBoost's names depend on each other
    if len(set(names)) < len(names) or "learn" in names or (bars == "|" and len(names) == 2):
        return None, every
    found = _expression(len(names), bars).findall("\n".join(lines))
    if len(found) != len(lines):
        return None, every
    columns: list[Sequence[str]] = list(zip(*found, strict=True))
    given = [any(column) for column in columns]
    columns, names = list(compress(columns, given)), list(compress(names, given))
    marks = [True] * len(lines)
    for column in columns:
        if "" in column:
            marks = [mark and cell != "" for mark, cell in zip(marks, column, strict=True)]
    if not names or not any(marks):
        return None, every
    places: Sequence[int] = every
    left: Sequence[int] = ()
    if not all(marks):
        left = [place for place in every if not marks[place]]
        places, columns = list(compress(every, marks)), [list(compress(column, marks)) for column in columns]
    return Match(TablePattern(names, columns), places, columns), left
