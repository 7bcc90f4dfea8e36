"""JSON lines with any keys: one object a line, nested keys joined by dots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.lines import Lines, head
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.loss_names import training_loss, validation_loss
from scalewatch.logs.naming import run_name
from scalewatch.logs.run_tables import finished_runs
from scalewatch.logs.sample import Sample
from scalewatch.logs.tabular import AbstractTabularLog
from scalewatch.observation import Observation

__all__ = ["JsonLines", "JsonLinesLog", "flattened"]

#: What is looked at to tell the columns, before the rows are given out.
HEAD_BYTES = 4 << 20
#: Lines that are looked at to tell whether a file holds rows of JSON.
LOOK_LINES = 300
#: Levels of nesting that are followed, and columns that one row may have.
MOST_LEVELS, MOST_KEYS = 6, 2_000
_PYTHON_WORDS = re.compile(r"(?<![\w\"'])(-?)(nan|inf|None|True|False)(?![\w\"'])")
_JSON_WORDS = {"nan": "NaN", "inf": "Infinity", "None": "null", "True": "true", "False": "false"}
_DECODER = json.JSONDecoder()


def flattened(record: Mapping[str, Any], before: str = "", level: int = 0) -> dict[str, Any]:
    """Return a record with the keys of inner records joined by dots; lists are left out.

    >>> flattened({"step": 3, "train": {"loss": 2.5}})
    {'step': 3, 'train.loss': 2.5}
    """
    if not before and not any(isinstance(value, dict | list) for value in record.values()):
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
class JsonLinesLog(AbstractTabularLog):
    """One file of JSON lines as one run.

    Args:
        path: the file. name: of the run. columns: field -> key, as the user says.

    Raises:
        LogError: if no loss can be told.
    """

    def __init__(self, path: Path, name: str, columns: Mapping[str, str]) -> None:
        super().__init__(name, path, columns)
        self._lines = Lines(path, self.note)
        self._bad = 0
        keys: dict[str, None] = {}
        sample = Sample()
        for line in head(path, HEAD_BYTES).split("\n"):
            for record in records(line)[0]:
                flat = flattened(record)
                keys.update(dict.fromkeys(k for k, v in flat.items() if not isinstance(v, bool)))
                sample.add(flat)
            if len(keys) > MOST_KEYS:
                break
        if not keys:
            raise LogError(f"{path}: holds no JSON object so far.")
        if "loss" not in self.asked and (why := finished_runs(keys, sample)) is not None:
            raise LogError(f"{path}: {why}")
        self.set_columns(keys, sample)

    def rows(self) -> Iterator[Observation]:
        """Yield what is new."""
        if self._lines.shrank():
            self.note("the file became shorter: read from its start again")
            self._lines.start_over()
        for line in self._lines.new():
            if line:
                yield from self._line(line)
            self.bytes_read = self._lines.bytes_read
        self.bytes_read = self._lines.bytes_read
        if self._lines.rest.strip() and (self._lines.rest.rstrip().endswith("}") or self._lines.quiet()):
            # an object that is closed is complete, with its newline or without
            if records(self._lines.rest)[1]:
                yield from self._line(self._lines.take_rest())
            elif self._lines.quiet():
                self._lines.take_rest()
                self.note("the last line is cut off and left out")
        yield from self.assembled.flush()

    def _line(self, line: str) -> Iterator[Observation]:
        found, whole = records(line)
        if not whole:
            self._bad += 1
            if line.strip():
                self.note(f"line {self._lines.number}: no JSON object; left out (got {line.strip()!r:.60})")
        for record in found:
            cells = flattened(record)
            if not self.covers(cells):
                self.add_columns(cells)
            yield from self.assembled.add(cells, self._lines.number)


def _says_a_loss(record: Mapping[str, Any]) -> bool:
    return any(training_loss(name) is not None or validation_loss(name) is not None for name in flattened(record))


@final
class JsonLines(AbstractFormat):
    """One JSON object a line."""

    name: ClassVar[str] = "jsonl"

    def claims(self, path: Path) -> bool:
        """Return whether a line near the beginning is a JSON object with a loss."""
        if path.suffix.lower() not in (".jsonl", ".ndjson", ".json", ".log", ".txt", ".out", ""):
            return False
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return True
        lines = [line for line in head(path).split("\n")[:LOOK_LINES] if line.startswith("{")]
        # other programs keep their settings in one line of JSON, and print words and numbers below
        return any(_says_a_loss(record) for line in lines for record in records(line)[0])

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [JsonLinesLog(path, run_name(path), columns) for path in paths]
