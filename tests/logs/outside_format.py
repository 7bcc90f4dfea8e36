"""A format as another package would bring it: `step 7: loss=3.2 lr=0.001`, a line a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs import AbstractFormat, AbstractLog
from scalewatch.logs.lines import Lines, head
from scalewatch.logs.tabular import AbstractTabularLog
from scalewatch.observation import Observation


def cells_of(line: str) -> dict[str, str]:
    """The cells of a line, none if it is damaged."""
    when, colon, rest = line.partition(":")
    pairs = [part.partition("=") for part in rest.split()]
    fine = colon and when.startswith("step ") and all(equals and value for _, equals, value in pairs)
    return {"step": when.removeprefix("step "), **{name: value for name, _, value in pairs}} if fine else {}


@final
class DiaryLog(AbstractTabularLog):
    """One diary as one run."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        super().__init__(path.stem, path, columns)
        first = cells_of(head(path).split("\n")[0])
        if not first:
            raise LogError(f"{path}: is empty, or begins with no step.")
        self._lines = Lines(path, self.note)
        self.set_columns(first)

    def rows(self) -> Iterator[Observation]:
        for line in self._lines.new():
            yield from self.assembled.add(cells_of(line), self._lines.number)
        self.bytes_read = self._lines.bytes_read
        yield from self.assembled.flush()


@final
class Diary(AbstractFormat):
    """What the tests' other package writes."""

    name: ClassVar[str] = "diary"

    def claims(self, path: Path) -> bool:
        return path.suffix == ".diary"

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        return [DiaryLog(path, columns) for path in paths]


@final
class Faulty(AbstractFormat):
    """One that fails wherever the name of the file says so."""

    name: ClassVar[str] = "faulty"

    def claims(self, path: Path) -> bool:
        if path.stem == "claims":
            raise RuntimeError("cannot look")
        return path.suffix == ".faulty"

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        if paths[0].stem == "open":
            raise KeyError("no such key")
        return [FaultyLog(paths[0].stem, paths[0])]


@final
class FaultyLog(AbstractLog):
    """Three rows and a fault."""

    def rows(self) -> Iterator[Observation]:
        yield from (Observation(step, 3.0) for step in (1, 2, 3))
        raise ZeroDivisionError("at the fourth row")
