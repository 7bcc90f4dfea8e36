"""A table that fits its terminal: columns go in a fixed order, and where too few are left each row is a record.

A number is never cut. The name of a run is shortened in its middle, once, and two names never become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from scalewatch.text import no_control, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["NARROW", "Column", "fitting_table", "told_apart"]

#: Columns of a terminal below which each row is a record, where a table does not fit whole. By hand.
NARROW = 72
#: Columns that a name and a sentence keep at least. By hand.
LEAST_NAME, LEAST_TEXT = 16, 22
#: Part of the width that a name may take. By hand.
NAME_PART = 3
#: Columns between two columns, and at both edges together.
GAP, EDGES = 2, 3


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        head: its name. kind: "number", which stands to the right, or "words", to the left, of both of which nothing is
            cut; "name" of a run; "text", which may wrap. goes: in which order it is left out where there is no room,
            the greatest first; 0 for never.
    """

    head: str
    kind: str = "number"
    goes: int = 0


def fitting_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int,
    styles: Sequence[str] | None = None,
    *,
    edge: bool = True,
) -> RenderableType:
    """Return rows as a table that is at most `width` columns wide, or as records.

    Args:
        columns: of which the first is what a record is called by; one that is empty in every row is left out.
        rows: a cell for each column, "" for nothing. width: of the terminal [columns]. styles: of each row.
        edge: whether an empty line stands above and below it.
    """
    kept = [place for place in range(len(columns)) if place == 0 or any(row[place] for row in rows)]
    natural = [max(len(columns[place].head), *(len(row[place]) for row in rows), 0) for place in range(len(columns))]
    while kept:
        widths = _widths([columns[place] for place in kept], [natural[place] for place in kept], width)
        if widths is not None:
            cells = [[row[n] for n in kept] for row in rows]
            return _table([columns[place] for place in kept], cells, widths, styles, edge=edge)
        wordy = any(columns[place].kind in ("name", "text") for place in kept)
        if (width < NARROW and wordy) or not any(columns[place].goes for place in kept):
            break
        kept.remove(max(kept, key=lambda place: columns[place].goes))
    return _records(columns, rows, width, styles)


def _widths(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int] | None:
    """How wide each column is, None where they do not fit."""
    most = {"name": max(width // NAME_PART, LEAST_NAME)}
    wanted = [min(wide, most.get(column.kind, wide)) for column, wide in zip(columns, natural, strict=True)]
    least = {"name": LEAST_NAME, "text": LEAST_TEXT}
    needed = [min(wide, least.get(column.kind, wide)) for column, wide in zip(columns, wanted, strict=True)]
    spare = width - EDGES - sum(needed) - GAP * (len(columns) - 1)
    if spare < 0:
        return None
    for kind in ("name", "text"):
        for place, column in enumerate(columns):
            if column.kind == kind:
                more = min(spare, wanted[place] - needed[place])
                needed[place] += more
                spare -= more
    return needed


def _table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    styles: Sequence[str] | None,
    *,
    edge: bool,
) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=edge)
    for column, wide in zip(columns, widths, strict=True):
        right = "right" if column.kind == "number" else "left"
        table.add_column(column.head, justify=right, width=wide, no_wrap=column.kind != "text")  # type: ignore[arg-type]
    names = {
        place: told_apart([row[place] for row in rows], widths[place])
        for place, column in enumerate(columns)
        if column.kind == "name"
    }
    for n, row in enumerate(rows):
        cells = [Text(names[place][n] if place in names else cell) for place, cell in enumerate(row)]
        table.add_row(*cells, style=styles[n] if styles else "")
    return table


def _records(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, styles: Sequence[str] | None
) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    lines: list[RenderableType] = []
    heads = told_apart([row[0] for row in rows], width) if columns and columns[0].kind == "name" else None
    for n, row in enumerate(rows):
        style = styles[n] if styles else ""
        lines.append(Text(heads[n] if heads else f"{columns[0].head} {row[0]}", style=f"bold {style}".strip()))
        texts = [cell for column, cell in zip(columns[1:], row[1:], strict=True) if cell and column.kind == "text"]
        pairs = [
            f"{column.head} {cell}".replace(" ", "\N{NO-BREAK SPACE}")
            for column, cell in zip(columns[1:], row[1:], strict=True)
            if cell and column.kind != "text"
        ]
        lines += [Padding(Text(text, style=style), (0, 0, 0, 2)) for text in [*texts, ", ".join(pairs)] if text]
    return Group(*lines)


def told_apart(names: Sequence[str], letters: int) -> list[str]:
    """Return names as short as they can be told apart: what all begin and end with goes first, where that is needed.

    >>> told_apart(["sweep-of-may-lr-1e-3-seed-0", "sweep-of-may-lr-3e-3-seed-0"], 12)
    ['…1e-3-seed-0', '…3e-3-seed-0']
    """
    short = [shortened(name, letters) for name in names]
    if len(set(short)) == len(set(names)):
        return short
    over = max(map(len, names)) - letters + 1
    head = min(_in_common(names), over)
    tail = min(_in_common([name[head:][::-1] for name in names]), max(over - head + 1, 0) if over > head else 0)
    cut = [f"{'…' * bool(head)}{name[head : len(name) - tail]}{'…' * bool(tail)}" for name in names]
    short = [shortened(name, letters) for name in cut]
    return short if len(set(short)) == len(set(names)) else [no_control(name) for name in cut]


def _in_common(names: Sequence[str]) -> int:
    """Letters with which all of them begin."""
    columns = zip(*names, strict=False)
    return next((n for n, letters in enumerate(columns) if len(set(letters)) > 1), min(map(len, names), default=0))
