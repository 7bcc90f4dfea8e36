"""`trainer_state.json` of Hugging Face's Trainer.

`log_history` holds dicts of training, of evaluation and one summary. Its losses are means over `logging_steps`, and
by default the Trainer leaves NaN out of them (`logging_nan_inf_filter`): a log of it never shows a NaN that was.
Any other JSON value that holds rows is read too (shapes.py): an array of such dicts, which is all that
`json.dump(history)` writes, a list for each name, as Keras keeps its history, TensorBoard's download. Of a file that
was cut off the whole rows are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError, RunError
from scalewatch.logs.formats.json_lines import flattened
from scalewatch.logs.json_stream import StreamedRows
from scalewatch.logs.lines import head
from scalewatch.logs.log import AbstractFormat, AbstractLog, NoLogError
from scalewatch.logs.naming import run_name
from scalewatch.logs.record_log import AbstractRecordLog
from scalewatch.logs.sample import Sample
from scalewatch.logs.shapes import json_rows, long_form, may_be_a_loss
from scalewatch.run import Run

__all__ = ["TrainerState", "TrainerStateLog"]

#: The file is read at once [bytes]: its JSON is one value. 100 MB take half a GB for a moment, unless they are a list
#: of rows, which is read piece by piece from so many bytes on. By hand.
MAX_BYTES, LONG_BYTES = 1 << 30, 4 << 20
#: Keys of the summary at the end, whose loss is a mean over the whole run.
_SUMMARY = "train_runtime"
#: Rows that one JSON value must hold to be a log [rows].
FEWEST_ROWS = 2
#: Under what it is kept that a file was cut off.
_CUT = "scalewatch:cut"
_MAX_STEPS = re.compile(r'"max_steps":\s*(\d{1,15})')
#: A list of numbers, or of lists of two or three: no name in it says of what.
_NUMBERS = re.compile(r"\[\s*(?:\[\s*)?-?\d[\d.eE+-]*\s*(?:,|\]\s*(?:[,\]]|$))")
#: What programs call a file of text that may be one JSON value, and how one begins that is an array of rows.
_PRINTED = frozenset({"", ".log", ".txt", ".out"})
_ROWS = re.compile(r"\s*\[\s*\{\s*\"")
_STATE = re.compile(r"\s*\{\s*\"")
_LOSS_KEY = re.compile(r'"[^"]*loss"\s*:', re.IGNORECASE)
#: A list of numbers under a name, and one of a loss.
_COLUMN = re.compile(r"\{\s*\"[^\"]*\"\s*:\s*\[\s*-?\d")
_LOSS_COLUMN = re.compile(rb'"[^"\n]{0,80}loss[^"\n]{0,80}"\s*:\s*\[', re.IGNORECASE)
_LISTS = re.compile(r'loss"\s*:\s*\[')


def _streamed(path: Path) -> StreamedRows | None:
    """The rows of a long list, None where they have to be looked at all at once."""
    try:
        rows = StreamedRows(path)
    except (ValueError, RecursionError):
        return None
    return rows if rows.first and long_form(dict.fromkeys(name for row in rows.first for name in row)) is None else None


def _loaded(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > LONG_BYTES and _ROWS.match(head(path)) and (streamed := _streamed(path)) is not None:
            return {"log_history": streamed}
        if size > MAX_BYTES:
            raise LogError(f"{path}: is larger than {MAX_BYTES >> 20} MiB, and JSON is read at once.")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        state = json.loads(text)
    except (ValueError, RecursionError) as fault:
        rows, cut = _whole_rows(text)
        if not rows:
            raise LogError(f"{path}: is no JSON, or cut off: {str(fault)[:100]}.") from None
        found = _MAX_STEPS.search(text)
        return {"log_history": rows, _CUT: cut, "max_steps": int(found[1]) if found is not None else 0}
    except OSError as fault:
        raise LogError(f"{path}: cannot be read: {fault.strerror or fault}.") from None
    history = json_rows(state)
    if history is None:
        no_log = LogError if path.name == "trainer_state.json" else NoLogError
        raise no_log(f"{path}: has no list `log_history`, as trainer_state.json has, and no other rows.")
    return {**state, "log_history": history} if isinstance(state, dict) else {"log_history": history}


def _whole_rows(text: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows before the place where a file is cut off, and whether it is: else one value follows the other."""
    begin = max(text.find('"log_history"'), 0)
    start, at = text.lstrip()[:1], text.find("[", begin) + 1
    if start == "{" and not begin:
        at = text.find("{")
    rows: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    while True:
        next_at = next((place for place in range(at, len(text)) if text[place] not in " \t\r\n,"), -1)
        if next_at < 0:
            return rows, start == "["
        try:
            row, at = decoder.raw_decode(text, next_at)
        except (ValueError, RecursionError):
            return rows, True
        if isinstance(row, dict):
            rows.append(row)


@final
class TrainerStateLog(AbstractRecordLog):
    """One trainer_state.json as one run.

    Raises:
        LogError: if it cannot be read, or no loss can be told.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        state = _loaded(path)
        name = run_name(path)
        if name.startswith("checkpoint-"):
            name = path.absolute().parent.parent.name or name
        super().__init__(name, path, columns, _run(name, state), "log_history")
        self._changed = 0.0
        if next(self._rows_of(state), None) is None:
            raise LogError(f"{path}: its `log_history` is empty so far.")
        sample = Sample()
        any(not sample.add(record) for record in self._rows_of(state))
        history = state["log_history"]
        kinds = {"log_history": history.kinds} if isinstance(history, StreamedRows) else state
        self.set_columns(dict.fromkeys(key for record in self._rows_of(kinds) for key in record), sample)
        if state.get(_CUT):
            self.note(f"the file is cut off: its {len(state['log_history']):,} whole rows are read")
        if "max_steps" in state or "global_step" in state:
            self.note("the Trainer leaves NaN out of the losses it logs, unless logging_nan_inf_filter=False was set")
        self._state: dict[str, Any] | None = state

    def _rows_of(self, state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return (flattened(row) for row in state["log_history"] if isinstance(row, dict) and _SUMMARY not in row)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what is new; the file is written anew at each checkpoint."""
        state, self._state = self._state, None
        try:
            changed = self.path.stat().st_mtime
            if state is None and changed == self._changed:
                return
            self._changed = changed
            state = state or _loaded(self.path)
        except OSError as fault:  # a LogError is one
            self.note(str(fault))
            return
        count = len(state["log_history"])
        for place, record in enumerate(islice(self._rows_of(state), self._given, None), self._given):
            self.bytes_read = self.bytes_total * place // count
            yield record


def _run(name: str, state: Mapping[str, Any]) -> Run:
    steps, done, epochs = state.get("max_steps"), state.get("global_step"), state.get("epoch")
    length = done / epochs if isinstance(done, int) and isinstance(epochs, float) and 0.0 < epochs <= done else None
    try:
        planned = steps if isinstance(steps, int) and steps > 0 else None
        return Run(name, total_steps=planned, steps_per_epoch=length)
    except RunError:
        return Run(name)


def _is_longer(path: Path) -> tuple[int, int]:
    """Sort key: the run's own file after those of its checkpoints, these by step."""
    folder = path.absolute().parent.name
    step = folder.removeprefix("checkpoint-")
    return (0, int(step)) if folder.startswith("checkpoint-") and step.isdigit() else (1, 0)


def _has_a_loss_below(path: Path) -> bool:
    """Whether a list of a loss stands behind others: a long column fills what is looked at of a file."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as whole:
            return path.stat().st_size <= MAX_BYTES and _LOSS_COLUMN.search(whole) is not None
    except (OSError, ValueError):
        return False


def _is_a_row(line: str) -> bool:
    """Whether a line is a whole JSON value that holds no rows: then each line is one."""
    try:
        value = json.loads(line)
        return isinstance(value, dict) and len(json_rows(value) or ()) < FEWEST_ROWS
    except (ValueError, RecursionError):
        return False


@final
class TrainerState(AbstractFormat):
    """`trainer_state.json` of Hugging Face's Trainer."""

    name: ClassVar[str] = "trainer-state"

    def claims(self, path: Path) -> bool:
        """Return whether it is called so, begins like a Trainer's state, or is an array of rows with a loss."""
        if path.name == "trainer_state.json":
            return True
        suffix = path.suffix.lower()
        if suffix in _PRINTED:
            start = head(path)
            state = _STATE.match(start) is not None and '"log_history"' in start
            return state or (_ROWS.match(start) is not None and _LOSS_KEY.search(start) is not None)
        return suffix == ".json" and self.holds(path)

    def holds(self, path: Path) -> bool:
        """Return whether it begins like a Trainer's state, or like a value that holds rows with a loss."""
        start = head(path).lstrip()
        if '"log_history"' in start or _LISTS.search(start) or (_ROWS.match(start) and "loss" in start.lower()):
            return True
        if _NUMBERS.match(start):
            return may_be_a_loss(path.stem)
        if _COLUMN.match(start) and "loss" not in start.lower():
            return _has_a_loss_below(path)
        return start[:1] == "{" and "loss" in start.lower() and not _is_a_row(start.split("\n", 1)[0])

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [TrainerStateLog(path, columns) for path in paths]

    def newest(self, paths: Sequence[Path]) -> list[Path]:
        """Return the one file of each run that holds all its history: each checkpoint's begins at the first step."""
        runs: dict[Path, Path] = {}
        for path in sorted(paths, key=_is_longer):
            folder = path.parent.parent if _is_longer(path)[0] == 0 else path.parent
            runs[folder if path.name == "trainer_state.json" else path] = path
        return sorted(runs.values())
