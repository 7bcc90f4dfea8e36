"""JSON lines with any keys: one object a line, nested keys joined by dots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.logs.columns import run_column
from scalewatch.logs.line_log import AbstractLineLog
from scalewatch.logs.lines import Lines, head
from scalewatch.logs.log import BLOCK_ROWS, AbstractFormat, AbstractLog
from scalewatch.logs.loss_names import training_loss, validation_loss
from scalewatch.logs.naming import run_name
from scalewatch.logs.plain_rows import PlainRows
from scalewatch.logs.run_tables import finished_runs, named_runs
from scalewatch.logs.sample import Sample
from scalewatch.logs.shapes import LongForm, long_form
from scalewatch.logs.values import is_blank, number
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["JsonLines", "JsonLinesLog", "flattened", "json_runs"]

#: What is looked at to tell the columns, before the rows are given out.
HEAD_BYTES = 4 << 20
#: Lines that are looked at to tell whether a file holds rows of JSON.
LOOK_LINES = 300
#: Levels of nesting that are followed, and columns that one row may have.
MOST_LEVELS, MOST_KEYS = 6, 2_000
#: Lines that are read by themselves at the beginning of a file: what a run's rows have is learnt from them. By hand.
FIRST_LINES = 16
_PYTHON_WORDS = re.compile(r"(?<![\w\"'])(-?)(nan|inf|None|True|False)(?![\w\"'])")
_JSON_WORDS = {"nan": "NaN", "inf": "Infinity", "None": "null", "True": "true", "False": "false"}
_DECODER = json.JSONDecoder()
_NESTED = frozenset({dict, list})


def flattened(record: Mapping[str, Any], before: str = "", level: int = 0) -> dict[str, Any]:
    """Return a record with the keys of inner records joined by dots; lists are left out.

    >>> flattened({"step": 3, "train": {"loss": 2.5}})
    {'step': 3, 'train.loss': 2.5}
    """
    if not before and _NESTED.isdisjoint(map(type, record.values())):
        return dict(record)
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            if level < MOST_LEVELS:
                flat.update(flattened(value, f"{before}{key}.", level + 1))
        elif not isinstance(value, list) and len(flat) < MOST_KEYS:
            flat[f"{before}{key}"] = value
    return flat


def records(line: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the objects on a line, and whether all of it could be read."""
    found: list[dict[str, Any]] = []
    at, text = 0, line.strip()
    while at < len(text):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            python = _PYTHON_WORDS.sub(lambda word: word.group(1) + _JSON_WORDS[word.group(2)], text[at:])
            if python == text[at:]:
                return found, False
            text, at = python, 0
            continue
        if isinstance(value, dict):
            found.append(value)
        while at < len(text) and text[at] in " \t,":
            at += 1
    return found, True


@final
class JsonLinesLog(AbstractLineLog):
    """One file of JSON lines as one run.

    Args:
        path: the file. name: of the run. columns: field -> key, as the user says. only: of a file of several runs the
            one to read.

    Raises:
        LogError: if no loss can be told.
    """

    NAMED_BYTES = HEAD_BYTES

    def __init__(self, path: Path, name: str, columns: Mapping[str, str], only: str | None = None) -> None:
        super().__init__(name, path, columns, only)
        self._bad = 0
        keys: dict[str, None] = {}
        sample = Sample()
        self._long: LongForm | None = None
        for line in head(path, HEAD_BYTES).split("\n"):
            for record in records(line)[0]:
                flat = flattened(record)
                if not keys:
                    self._long = long_form(flat)
                    self.assembled.blanks.sparse = self._long is not None  # a row holds one number
                flat = self._named(flat)
                keys.update(dict.fromkeys(k for k, v in flat.items() if not isinstance(v, bool)))
                sample.add(flat)
            if len(keys) > MOST_KEYS:
                break
        if not keys:
            raise LogError(f"{path}: holds no JSON object so far.")
        if "loss" not in self.asked and (why := finished_runs(keys, sample)) is not None:
            raise LogError(f"{path}: {why}")
        self.set_columns(keys, sample)
        self.decide(sample, HEAD_BYTES)

    @property
    def names(self) -> list[str]:
        """The columns, in the order in which they turned up."""
        return list(self._seen)

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield what is new, in blocks: lines that are one plain object each are converted by column."""
        if became := self._lines.anew():
            self.note(became)
        for piece in self._lines.pieces():
            at = 0
            while at < len(piece):
                size = BLOCK_ROWS if self._lines.number else FIRST_LINES
                yield from self._block(piece[at : at + size])
                at += size
                self.bytes_read = self._lines.bytes_read
        self.bytes_read = self._lines.bytes_read
        self.all_lines_given()
        yield from self.gathered(self._end())

    def _end(self) -> Iterator[Observation]:
        if self._lines.rest.strip() and (self._lines.rest.rstrip().endswith("}") or self._lines.quiet()):
            # an object that is closed is complete, with its newline or without
            if records(self._lines.rest)[1]:
                yield from self._line(self._lines.take_rest())
            elif self._lines.quiet():
                self._lines.take_rest()
                self.note("the last line is cut off and left out")
        yield from self.assembled.flush()

    def _block(self, lines: list[str]) -> Iterator[tuple[Run, Columns]]:
        objects = _one_a_line(lines)
        at = 0
        while at < len(lines):
            plain = None if objects is None else self._plain(objects[at:])
            if plain is None:
                yield from self.gathered(self._one_by_one(lines[at:]))
                return
            at += yield from self.stretches(plain, lambda n, at=at: self._one_by_one([lines[at + n]]), self._count)  # type: ignore[misc]  # a default binds the turn

    def _named(self, cells: dict[str, Any]) -> dict[str, Any]:
        return cells if self._long is None else self._long.widened(cells)

    def _plain(self, objects: list[dict[str, Any]]) -> PlainRows | None:
        if self._long is not None or not self.covers(set().union(*objects)):
            return None
        return self.assembled.plain(lambda name: [row.get(name) for row in objects], len(objects))

    def _count(self, lines: int) -> None:
        self._lines.number += lines

    def _one_by_one(self, lines: Sequence[str]) -> Iterator[Observation]:
        for line in lines:
            self._lines.number += 1
            if line:
                yield from self._line(line)

    def _line(self, line: str) -> Iterator[Observation]:
        found, whole = records(line)
        if not whole:
            self._bad += 1
            if line.strip():
                self.note(f"line {self._lines.number}: no JSON object; left out (got {line.strip()!r:.60})")
        for record in found:
            cells = self._named(flattened(record))
            if not self.covers(cells):
                self.add_columns(cells)
            yield from self.assembled.add(cells, self._lines.number)


def _says_a_loss(record: Mapping[str, Any]) -> bool:
    return any(
        (training_loss(name) is not None or validation_loss(name) is not None)
        and (is_blank(cell) or number(cell) is not None)
        for name, cell in flattened(record).items()
    )


@final
class JsonLines(AbstractFormat):
    """One JSON object a line."""

    name: ClassVar[str] = "jsonl"

    def claims(self, path: Path) -> bool:
        """Return whether a line near the beginning is a JSON object with a loss."""
        if path.suffix.lower() not in (".jsonl", ".ndjson", ".json", ".log", ".txt", ".out", ""):
            return False
        return path.suffix.lower() in (".jsonl", ".ndjson") or self.holds(path)

    def holds(self, path: Path) -> bool:
        """Return whether a line near the beginning is a JSON object with a loss."""
        lines = [line for line in head(path).split("\n")[:LOOK_LINES] if line.startswith("{")]
        # other programs keep their settings in one line of JSON, and print words and numbers below
        return any(_says_a_loss(record) for line in lines for record in records(line)[0])

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [log for path in paths for log in json_runs(path, columns)]


def json_runs(path: Path, columns: Mapping[str, str]) -> list[AbstractLog]:
    """Return the run of a file of JSON lines, or each of those that a key names.

    Raises:
        LogError: if no loss can be told.
    """
    first = JsonLinesLog(path, run_name(path), columns)
    column = run_column(first.names)
    if column is None or column in first.asked.values():
        return [first]
    cells = (flattened(record).get(column) for line in Lines(path, lambda _: None).new() for record in records(line)[0])
    runs = named_runs(cells)
    if len(runs) < 2:
        return [first]
    return [JsonLinesLog(path, f"{run_name(path)}/{run:.60}", columns, only=run) for run in runs]


def _one_a_line(lines: Sequence[str]) -> list[dict[str, Any]] | None:
    """The object of each line, None if a line holds anything else."""
    try:
        objects = json.loads(f"[{','.join(lines)}]")
    except (ValueError, RecursionError):
        return None
    # a line may hold two objects, or none
    if len(objects) != len(lines) or not all(line[:1] == "{" and line[-1:] == "}" for line in lines):
        return None
    return [flattened(each) for each in objects] if set(map(type, objects)) == {dict} else None
