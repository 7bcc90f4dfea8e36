"""Tables in a console: a heading with rows below it, boxes of a name and a number a line, records in braces."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import final

from scalewatch.logs.columns import COUNTER_OF_EPOCHS, placed, step_place
from scalewatch.logs.loss_names import training_loss, validation_loss
from scalewatch.logs.values import number

__all__ = ["Boxes", "Heading", "Records", "begins"]

#: Columns of a heading at most, and numbers of a box. By hand.
MOST_COLUMNS = 200
_ROOM = re.compile(r"\s{2,}")
_CELL = re.compile(
    r"(?P<number>[-+]?(?:\d{1,3}(?:,\d{3})+|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:/(?P<whole>\d+))?(?:%|[A-Za-z]{0,3})"
    r"|(?P<word>[-+]?(?:nan|inf))|\d+:\d\d(?::\d\d)?|-|N/A|None",
    re.IGNORECASE,
)
#: What kubectl, docker and the runtimes of containers put before each line.
_CARRIED = re.compile(
    r"(?:\[pod/[^\]\s]+\] |[\w.-]+-\d+ +\| )?"
    r"(?:\d{4}-\d\d-\d\dT[\d:]+(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d) (?:std(?:out|err) [FP] )?)?"
)
#: What a line of a box begins with.
_FIRST = "|-+=╒╞╘┏┡└┌├"
_BORDER = re.compile(r"\s*+[-+=|~_╒╞╘╤═─━┏┡└┌├┼]{8,}+[-+=|~_╕╡╛╧═─━┓┩┘┐┤┴]*+\s*")
_LETTER = re.compile("[A-Za-z]")
#: A line of a record in braces: a key in quotes and its value, an item of a list, brackets.
_ENTRY = re.compile(r"""[\s\[{(]*(?:['"][^'"]*['"]\s*(?::|,?\s*$)|[-+\d.eE]+\s*,?\s*$|[\]})\[{(,\s]*$)""")


def begins(line: str) -> bool:
    """Return whether a line begins as those of tables and boxes do, or is blank."""
    return line.lstrip()[:1] in _FIRST


@lru_cache(maxsize=8192)
def _counts(name: str) -> bool:
    return placed(name, COUNTER_OF_EPOCHS) is not None or step_place(name) is not None


@final
class Heading:
    """Names that stood in one line, and the rows of as many numbers that follow it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._bars = self._line = ""
        self._end = 0
        self._above: list[str] = []

    @property
    def stands(self) -> bool:
        """Whether there is one."""
        return bool(self._names)

    @property
    def named(self) -> tuple[tuple[str, ...], str]:
        """The names in it, none where none stands, and what stands between two of them."""
        return tuple(self._names), self._bars

    def is_again(self, line: str) -> bool:
        """Return whether a line is the one that stands, and changes nothing."""
        return line == self._line and self.stands and self._bars != "|" and not self._above

    def starts(self, line: str) -> bool:
        """Return whether a line without a number names columns, one of which is a loss; it is remembered."""
        line = _bare(line)
        names, bars = _split(line)
        if bars and not any(c.isalpha() for name in names for c in name):
            return False  # the line below a heading
        above, self._above = self._above, names if bars == "|" else []
        named = _named(names, bars, above)
        if named:
            self._names, self._bars, self._end, self._line = named, bars, len(line.rstrip()), line
        return bool(named)

    def would_start(self, line: str) -> bool:
        """Return whether a line heads a table, and do not remember it."""
        names, bars = _split(_bare(line))
        return bool(_named(names, bars, self._above) or _named(names, bars, []))

    def cells(self, line: str) -> tuple[dict[str, float], dict[str, int], str] | None:
        """Return the numbers of a row, the wholes of them, and what stands after them; None if it is no row."""
        if not self._names:
            return None
        line = _bare(line)
        text = line.strip().strip("|")
        parts = [part.strip(" *_`") for part in text.split(self._bars)] if self._bars else text.split()
        if len(parts) == len(self._names) + 1 and not self._bars and len(line.rstrip()) == self._end:
            parts = parts[1:] if parts[0].isdigit() else parts  # pandas puts the number of the row before it
        if len(parts) < len(self._names):
            return None
        found = [_CELL.fullmatch(part.rstrip(":,")) for part in parts[: len(self._names)]]
        if not all(found) and not (self._bars == "|" and self._may_lack([cell is None for cell in found], parts)):
            return None
        cells: dict[str, float] = {}
        wholes: dict[str, int] = {}
        for name, cell in zip(self._names, found, strict=True):
            value = number(cell["number"] or cell["word"]) if cell is not None else None
            if value is not None and cell is not None:
                cells[name] = value
                if cell["whole"]:
                    wholes[name] = int(cell["whole"])
        rest = "" if self._bars else " ".join(parts[len(self._names) :])
        return cells, wholes, rest

    def _may_lack(self, lacks: list[bool], parts: list[str]) -> bool:
        """Whether a row between bars is one although cells of it hold words: remarks, in columns that count nothing."""
        told = [name for name, lack in zip(self._names, lacks, strict=True) if lack]
        return len(parts) == len(self._names) and not any(_counts(name) or _is_loss(name) for name in told)


@lru_cache(maxsize=8192)
def _is_loss(name: str) -> bool:
    return training_loss(name) is not None or validation_loss(name) is not None


def _bare(line: str) -> str:
    """A line without what those put before it who carry the output of others: of which container it is, and when."""
    found = _CARRIED.match(line)
    return line if found is None else line[found.end() :]


def _split(line: str) -> tuple[list[str], str]:
    """Return the names in a heading, and what stands between them, "" for room."""
    if line.lstrip().startswith("# "):
        line = line.replace("#", " ", 1)  # as a table for gnuplot is headed
    bars = "|" if line.count("|") > 1 else "\t" if "\t" in line.strip() else ""
    names = [part.strip() for part in (line.strip().strip("|").split(bars) if bars else _ROOM.split(line.strip()))]
    return line.split() if not bars and len(names) < 3 else names, bars


def _named(names: list[str], bars: str, above: list[str]) -> list[str]:
    """Return the names of a table's columns, none where one is no name, or none is a loss or counts."""
    if bars == "|" and len(above) == len(names):
        names = [f"{high} {low}".strip() for high, low in zip(above, names, strict=True)]  # MATLAB's
    if not (1 < len(names) <= MOST_COLUMNS and all(any(c.isalpha() for c in name) or name == "#" for name in names)):
        return []
    names = ["step" if name == "#" else name for name in names]  # spaCy's
    return names if any(map(_is_loss, names)) and any(map(_counts, names)) else []


@final
class Boxes:
    """Boxes as reinforcement learners print them: a name and a number a line, one box a row."""

    def __init__(self) -> None:
        self._cells: dict[str, float] = {}
        self._section = ""
        #: Whether the newest line was of a box.
        self.inside = False

    @property
    def stands(self) -> bool:
        """Whether one was begun and not ended."""
        return bool(self._cells)

    def may_hold(self, line: str) -> bool:
        """Return whether a line may be of a box, or end one."""
        return self.stands or (begins(line) and (line.count("|") == 3 or _BORDER.fullmatch(line) is not None))

    def line(self, line: str) -> dict[str, float] | None:
        """Take a line; return the numbers of the box that it ends, None if it ends none."""
        self.inside = False
        start = line.lstrip()[:1]
        if not start or start not in _FIRST:
            return self.end() if self._cells else None
        if _BORDER.fullmatch(line):
            self.inside = bool(self._cells)
            return self.end()
        before, name, cell, after = map(str.strip, line.split("|")) if line.count("|") == 3 else ("", "", "", "")
        if before or after or not _LETTER.search(name):
            return None
        if not cell:
            self._section, self.inside = (name if name.endswith("/") else ""), True
            return None
        value = number(cell.replace(",", ""))
        if value is None:
            return None
        self.inside = True
        whole = name if "/" in name else self._section + name
        done = self.end() if whole in self._cells or len(self._cells) >= MOST_COLUMNS else None
        self._cells[whole] = value
        return done

    def end(self) -> dict[str, float] | None:
        """Return what a box holds so far, None if nothing, and begin another."""
        cells, self._cells, self._section = self._cells, {}, ""
        return cells or None


@final
class Records:
    """What Python prints of a dict over several lines: one row, from the brace that opens to the one that closes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._open = 0

    @property
    def stands(self) -> bool:
        """Whether one was begun and not ended."""
        return bool(self._lines)

    def may_hold(self, line: str) -> bool:
        """Return whether a line is of a record, or begins one."""
        return self.stands or (
            line.lstrip()[:1] == "{" and line.count("{") > line.count("}") and _ENTRY.match(line) is not None
        )

    def line(self, line: str) -> list[str]:
        """Take a line; return the whole record as one line where it ends, its lines where it turns out to be none."""
        self._open += line.count("{") - line.count("}")
        self._lines.append(line)
        fits = len(self._lines) < MOST_COLUMNS and (_ENTRY.match(line) is not None or not line.strip())
        if self._open > 0 and fits:
            return []
        closed = self._open <= 0
        lines = self.end()
        return [" ".join(map(str.strip, lines))] if closed else lines

    def end(self) -> list[str]:
        """Return the lines of a record that was not closed."""
        lines, self._lines, self._open = self._lines, [], 0
        return lines
