"""Printed lines -> rows: each with the step that its own line, or a line before it, says.

What counts the steps differs from program to program: a name (`iter 250`, `step=10/1000`), a progress bar with or
without an epoch before it, a number that the line begins with, or the epoch alone. `Learner` looks at the first
lines and says which it is; `LineReader` then reads the log from its start.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, final

from scalewatch.logs.columns import COUNTER_OF_EPOCHS, FIELDS, placed, ranked, step_place
from scalewatch.logs.console.scan import Scanned, scan
from scalewatch.logs.console.tables import Boxes, Heading
from scalewatch.logs.epoch_steps import EpochSteps
from scalewatch.logs.loss_names import TRAIN, training_loss, validation_loss
from scalewatch.logs.sample import SPARSE
from scalewatch.objective import words_of

__all__ = ["Learner", "Learnt", "Line", "LineReader", "Source", "loss_among", "parsed", "plain_line"]

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_BARS = str.maketrans({"│": "|", "┃": "|", "║": "|", "\x08": "\n"})
#: A longer line is no row of a console [letters]: it is read up to here.
MOST_LETTERS = 20_000
_RANK = re.compile(
    r"(?:^|[\[(\s,/])(?:global_|local_)?rank[ :=_]*(\d+)|^\s*\[?default(\d+)\]?:|\[gpu[ :]?(\d+)\]|\bpid=(\d+)",
    re.IGNORECASE,
)
#: What a progress bar may be called that counts steps of training.
_TRAINING_BAR = TRAIN | {"epoch", "step", "steps", "iter", "iteration", "iterations", "it", "progress", "loss"}
#: Words beside a counter that leave it one.
_ADJECTIVES = frozenset({"completed", "current", "cur", "finished", "done", "train", "training", "number", "no"})
#: Counters that are none in a table, where a batch is a size; `up` are the updates of Marian. Behind all others.
_ODD, _LAST = ("up", "batch", "minibatch", "batches", "idx"), 1_000.0
#: Part of the rows with a loss that have to have a counter for it to be the step. By hand.
MOSTLY = 0.8


class Source(StrEnum):
    """What says the step of a row."""

    NAME = "a counter with a name"
    BAR = "the progress bar"
    LEAD = "the number that a line begins with"
    BEFORE = "a line before the row"
    EPOCH = "the epoch"
    COUNTED = "rows are counted"


@lru_cache(maxsize=8192)
def _is_epoch(name: str) -> bool:
    words = [word for word in words_of(name) if word not in TRAIN]
    return placed(" ".join(words), COUNTER_OF_EPOCHS) is not None


@lru_cache(maxsize=8192)
def _step_rank(name: str) -> float | None:
    words = [word for word in words_of(name) if word not in _ADJECTIVES]
    place = step_place(name)
    if place is None and len(words) == 1:
        place = step_place(words[0])
        if place is None and words[0] in _ODD:
            place = _LAST + _ODD.index(words[0])
    return place


@lru_cache(maxsize=8192)
def _is_held_out(name: str) -> bool:
    return validation_loss(name) is not None


@lru_cache(maxsize=8192)
def _is_field(name: str) -> bool:
    return any(ranked([name], field) for field in FIELDS if field != "step") or _is_epoch(name)


def plain_line(line: str) -> str:
    """Return a line without colours, with one kind of bar, and what stood before the cursor went back left out."""
    if "\x1b" in line:
        line = _ANSI.sub("", line)
    if not line.isascii() or "\x08" in line:
        line = line.translate(_BARS)
        if "\n" in line:
            line = next((part for part in reversed(line.split("\n")) if part.strip()), "")
    return line[:MOST_LETTERS]


class Line(NamedTuple):
    """A line that says something: its numbers, and its counters."""

    cells: dict[str, float]
    named: str | None
    whole: int | None
    bar: tuple[int, int] | None
    lead: int | None
    epoch: float | None
    epochs: int | None
    when: str | None
    held_out: bool
    text: str


class Learnt(NamedTuple):
    """How the lines of a log are to be read.

    Attributes:
        source: what says the step. step_name: the counter that it is called by. loss: the name of the training loss.
        whole: steps of an epoch or of the run, as the counter says it, 0 if it does not. total_steps: the planned end.
        epochs: whether epochs are counted in whole numbers, and a bar begins anew in each.
        example: a line of the kind that holds the loss. rows: lines with the loss among those looked at.
    """

    source: Source
    step_name: str
    loss: str
    whole: int
    total_steps: int | None
    epochs: bool
    example: str
    rows: int


class _Parts:
    """What lines are made of: tables, boxes and everything else, of the first rank that speaks."""

    def __init__(self) -> None:
        self._boxes, self._heading = Boxes(), Heading()
        self._rank: str | None = None
        self.other_ranks = 0

    def lines(self, text: str) -> list[Line]:
        """Return what a line says, mostly one thing or nothing."""
        text = plain_line(text)
        box = self._boxes.line(text)
        found = [] if box is None else [_read(box, {}, None, "a box of names and numbers")]
        if self._boxes.inside:
            return found
        scanned = scan(text)
        if scanned is None:
            self._heading.starts(text)
            return found
        row = self._heading.cells(text)
        if row is not None:
            cells, wholes, rest = row
            after = scan(rest) if rest else None
            return [*found, _read(cells, wholes, after, text)]
        if (not scanned.cells or max(map(len, scanned.cells)) < 2) and self._heading.starts(text):
            return found
        if self._of_another_rank(text, scanned):
            return found
        return [*found, _read(scanned.cells, scanned.wholes, scanned, text)]

    def end(self) -> list[Line]:
        """Return what a box holds that the log ends in."""
        box = self._boxes.end()
        return [] if box is None else [_read(box, {}, None, "")]

    def _of_another_rank(self, text: str, scanned: Scanned) -> bool:
        rank = None
        if "rank" in text or "default" in text or "pid=" in text or "[gpu" in text.lower()[:40] or "RANK" in text:
            found = _RANK.search(text)
            rank = None if found is None else next(group for group in found.groups() if group is not None)
        elif scanned.lead is not None and any(_step_rank(name) is not None for name in scanned.cells):
            rank = str(scanned.lead)  # srun --label puts it before each line
        if rank is None:
            return False
        if self._rank is None and any(training_loss(name) is not None for name in scanned.cells):
            self._rank = rank
        other = self._rank is not None and rank != self._rank
        self.other_ranks += other and any(training_loss(name) is not None for name in scanned.cells)
        return other


def _read(cells: dict[str, float], wholes: dict[str, int], scanned: Scanned | None, text: str) -> Line:
    epoch = next((name for name in cells if _is_epoch(name)), None)
    steps = [(rank, name) for name in cells if (rank := _step_rank(name)) is not None and cells[name].is_integer()]
    named = min(steps)[1] if steps else None
    bar = None if scanned is None else scanned.bar
    lead = None if scanned is None else scanned.lead
    if bar is not None and scanned is not None:
        label = set(words_of(scanned.label)) if named is None else set()
        if label and not label & _TRAINING_BAR:
            bar = None  # of a download, or of checkpoints that are loaded
        own = next((name for name in cells if set(words_of(name)) <= TRAIN), None)
        if epoch is None and own is not None and own.lower() == "train":
            epoch = own  # Train: 3 [50/1251]
    if "learn" in cells and ("test" in cells or "remaining" in cells or lead is not None):
        cells = {{"learn": "learn loss", "test": "test loss"}.get(name, name): v for name, v in cells.items()}
    return Line(
        cells,
        named,
        wholes.get(named) if named is not None else None,
        bar,
        lead,
        cells[epoch] if epoch is not None else None,
        wholes.get(epoch) if epoch is not None else None,
        None if scanned is None or not (scanned.when or "")[:4].isdigit() else (scanned.when or "").replace("/", "-"),
        scanned is not None and scanned.held_out,
        text,
    )


def _with_step(line: Line, name: str) -> Line:
    """Take the counter of this name before any other."""
    if name in line.cells and name != line.named and line.cells[name].is_integer():
        return line._replace(named=name, whole=None)
    return line


def parsed(lines: Iterable[str]) -> Iterator[Line]:
    """Yield what lines say, those that say nothing left out."""
    parts = _Parts()
    for text in lines:
        yield from parts.lines(text)
    yield from parts.end()


def loss_among(lines: Sequence[Line]) -> str:
    """Return the name that is likeliest the training loss, "" if there is none: in some lines of many is none."""
    counts: Counter[str] = Counter(name for line in lines for name in line.cells if training_loss(name) is not None)
    most = max(counts.values(), default=0)
    dense = [name for name, count in counts.items() if SPARSE * count >= most]
    held_out = [] if dense else ranked({name: None for line in lines for name in line.cells}, "validation_loss")
    return next(iter([*ranked(dense, "loss"), *held_out]), "")


@final
class Learner:
    """Looks at the first lines of a log and says how it is to be read.

    Args:
        loss: the name of the training loss. step: that of the step, "" to find it.
    """

    def __init__(self, loss: str, step: str = "") -> None:
        self._loss, self._step = loss, step
        self._rows = 0
        self._sources: Counter[Source] = Counter()
        self._names: Counter[str] = Counter()
        self._shapes: Counter[frozenset[str]] = Counter()
        self._examples: dict[frozenset[str], str] = {}
        self._wholes: Counter[tuple[Source, int, int]] = Counter()
        self._before: float | None = None
        self._epoch: float | None = None
        self._epochs, self._fractions = 0, False
        self._at: set[tuple[Source, float]] = set()

    def add(self, line: Line) -> None:
        """Look at one line."""
        line = _with_step(line, self._step)
        loss = self._loss in line.cells and not line.held_out
        if line.epoch is not None:
            self._epochs = line.epochs or self._epochs
            self._epoch = line.epoch
            self._fractions = self._fractions or not float(line.epoch).is_integer()
        if not loss:
            self._look_before(line)
            return
        self._rows += 1
        if line.named is not None:
            self._sources[Source.NAME] += 1
            self._names[line.named] += 1
            both = line.epoch is not None and line.epochs is not None
            self._wholes[(Source.NAME, line.whole or 0, self._epochs if both else 1)] += 1
        if line.bar is not None:
            self._sources[Source.BAR] += 1
            self._wholes[(Source.BAR, line.bar[1], 1 if self._epoch is None else self._epochs)] += 1
        if line.lead is not None:
            self._see(Source.LEAD, float(line.lead))
        if self._before is not None:
            self._see(Source.BEFORE, self._before)
        if self._epoch is not None:
            self._see(Source.EPOCH, self._epoch)
            self._wholes[(Source.EPOCH, self._epochs, 1)] += 1
        shape = frozenset(line.cells)
        self._shapes[shape] += 1
        self._examples.setdefault(shape, line.text)

    def _look_before(self, line: Line) -> None:
        if line.held_out:
            return
        if line.named is not None:
            self._before = line.cells[line.named]
            self._wholes[(Source.BEFORE, line.whole or 0, 1)] += 1
        elif line.bar is not None:
            done, whole = line.bar
            self._before = (0 if self._fractions else self._epoch or 0) * whole + done
            self._wholes[(Source.BEFORE, whole, self._epochs or 1)] += 1

    def _see(self, source: Source, at: float) -> None:
        """Count a row that stands at another place than the one before it."""
        if (source, at) not in self._at:
            self._sources[source] += 1
            self._at.add((source, at))

    def learnt(self) -> Learnt:
        """Return how the log is to be read."""
        order = [Source.NAME, Source.BAR, Source.LEAD, Source.BEFORE, *([] if self._fractions else [Source.EPOCH])]
        source = next((s for s in order if self._rows and self._sources[s] >= MOSTLY * self._rows), Source.COUNTED)
        name = self._step or (self._names.most_common(1)[0][0] if source is Source.NAME else "step")
        example = self._examples[self._shapes.most_common(1)[0][0]] if self._shapes else ""
        found = [(count, *sizes) for (of, *sizes), count in self._wholes.items() if of is source and sizes[0]]
        # of bars that stand before the rows, the one of the training has most to do
        by = 1 if source is Source.BEFORE else 0
        _, whole, epochs = max(found, key=lambda one: one[by], default=(0, 0, 0))
        return Learnt(source, name, self._loss, whole, whole * epochs or None, not self._fractions, example, self._rows)


@final
class LineReader:
    """Reads the lines of a log, one after the other, as a `Learner` says.

    Args:
        learnt: what was learnt. keep: names that are given besides those that can be a field; None for all names.
    """

    def __init__(self, learnt: Learnt, keep: Collection[str] | None = None) -> None:
        self._learnt, self._keep = learnt, keep
        self._parts = _Parts()
        self._steps = EpochSteps()
        self._epoch: float | None = None
        self._base: float | None = None
        self._before: int | None = None
        self._newest: int | None = None
        self._shape: frozenset[str] = frozenset()

    @property
    def other_ranks(self) -> int:
        """Lines with a loss of other ranks than the first, which are left out."""
        return self._parts.other_ranks

    def rows(self, text: str) -> list[dict[str, float | str]]:
        """Return the rows that a line completes: name -> number, with the step under the name that was learnt."""
        return [row for line in self._parts.lines(text) if (row := self.row(line)) is not None]

    def end(self) -> list[dict[str, float | str]]:
        """Return the row of a box that the log ends in."""
        return [row for line in self._parts.end() if (row := self.row(line)) is not None]

    def row(self, line: Line) -> dict[str, float | str] | None:
        """Return the row of a line that was parsed, None if it is none of its own."""
        line = _with_step(line, self._learnt.step_name)
        training = self._learnt.loss in line.cells and not line.held_out
        if line.epoch is not None and math.isfinite(line.epoch):
            self._epoch = line.epoch
            if self._base is None:
                self._base = 0.0 if line.epoch < 1 else 1.0
        step = self._step(line, training=training)
        row: dict[str, float | str] = {name: v for name, v in line.cells.items() if self._wanted(name)}
        if not training and not any(map(_is_held_out, line.cells)):
            if step is not None and not line.held_out and (line.named is not None or line.bar is not None):
                self._before = step
            if step is None or len(row) <= (line.epoch is not None):
                return None
        if training and step is not None:
            row = self._without_repeats(row, line, step)
        elif training and self._learnt.source is not Source.COUNTED:
            return None  # a summary at the end, which is of no step
        if line.when is not None:
            row.setdefault("timestamp", line.when)
        if step is not None:
            row[self._learnt.step_name] = step
        return row

    def _wanted(self, name: str) -> bool:
        if self._keep is None:
            return _step_rank(name) is None
        return _is_field(name) or name in self._keep

    def _without_repeats(self, row: dict[str, float | str], line: Line, step: int) -> dict[str, float | str]:
        """Leave out the loss of a summary, and of a bar that is drawn again at the same step."""
        shape = frozenset(line.cells)
        newest, before, self._shape = self._newest, self._shape, shape
        if newest is not None and step <= newest and (step == newest or shape != before):
            row.pop(self._learnt.loss, None)
        else:
            self._newest = step
        return row

    def _step(self, line: Line, *, training: bool) -> int | None:
        source = self._learnt.source
        if line.named is not None and source is not Source.EPOCH:
            step = int(line.cells[line.named])
            if training or source is Source.BEFORE:
                return self._steps.of(step, self._epoch, line.whole)
            return step if not self._steps.restarts else None
        if line.held_out:
            return None
        if line.bar is not None and (
            source is Source.BAR or (source is Source.BEFORE and line.bar[1] == self._learnt.whole)
        ):
            return self._of_bar(*line.bar)
        if line.lead is not None and source is Source.LEAD:
            return line.lead
        if source is Source.BEFORE:
            return self._before
        if source is Source.EPOCH and self._epoch is not None:
            return int(self._epoch)
        return None

    def _of_bar(self, done: int, whole: int) -> int:
        if self._epoch is None or self._base is None or not self._learnt.epochs:
            return done
        return int(self._epoch - self._base) * whole + done
