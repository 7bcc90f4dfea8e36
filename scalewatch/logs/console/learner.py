"""How the lines of a log are to be read, learnt from the first of them.

What counts the steps differs from program to program: a name (`iter 250`, `step=10/1000`), a progress bar with or
without an epoch before it, a number that the line begins with, or the epoch alone. `Learner` looks at the first
lines and says which it is; `reader.LineReader` then reads the log from its start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, final

from scalewatch.logs.columns import ranked
from scalewatch.logs.console.lines import Line
from scalewatch.logs.console.parts import step_rank
from scalewatch.logs.loss_names import TRAIN, training_loss, validation_loss
from scalewatch.logs.sample import SPARSE
from scalewatch.objective import words_of

__all__ = ["Learner", "Learnt", "Source", "is_held_out", "loss_among", "under_one_name", "with_step", "within"]

#: Part of the rows with a loss that have to have a counter for it to be the step; and of them all where those without
#: one come last, as an evaluation's do. By hand.
MOSTLY, FIRST = 0.8, 0.2


class Source(StrEnum):
    """What says the step of a row."""

    NAME = "a counter with a name"
    BAR = "the progress bar"
    LEAD = "the number that a line begins with"
    BEFORE = "a line before the row"
    AFTER = "a line after the row"
    EPOCH = "the epoch"
    COUNTED = "rows are counted"


@lru_cache(maxsize=8192)
def is_held_out(name: str) -> bool:
    """Return whether a number of this name is a loss on held-out data."""
    return validation_loss(name) is not None


class Learnt(NamedTuple):
    """How the lines of a log are to be read.

    Attributes:
        source: what says the step. step_name: the counter that it is called by. loss: the name of the training loss.
        whole: steps of an epoch or of the run, as the counter says it, 0 if it does not. total_steps: the planned end.
        epochs: whether epochs are counted in whole numbers, and a bar begins anew in each.
        example: a line of the kind that holds the loss. rows: lines with the loss among those looked at.
        within: whether what a counter counts to is the step, and itself the epoch: `Batch 3/500`.
        alone: whether the loss stands in lines without one that was held out.
        before: the counter of the lines before the rows, or after them, "" if it has no name.
        also: other names of the same loss: of lines that are alike but for it.
    """

    source: Source
    step_name: str
    loss: str
    whole: int
    total_steps: int | None
    epochs: bool
    example: str
    rows: int
    within: bool = False
    alone: bool = False
    before: str = ""
    also: frozenset[str] = frozenset()


def _counts_within(lines: Iterable[Line], loss: str) -> bool:
    """Return whether counters stay as they are while what they count to moves on."""
    rows = moved = 0
    before: tuple[float, int] | None = None
    for line in lines:
        if loss in line.cells and not line.held_out:
            at = (line.cells[line.named], line.whole) if line.named is not None and line.whole is not None else line.bar
            rows += 1
            moved += at is not None and before is not None and at[0] == before[0] and at[1] > before[1]
            before = at
    return moved > rows / 2


def within(line: Line) -> Line:
    """Take a counter for the epoch, and what it counts to for the step in it."""
    if line.named is not None and line.whole is not None:
        cells = line.cells | {line.named: float(line.whole)}
        return line._replace(cells=cells, whole=None, epoch=line.cells[line.named], epochs=None)
    if line.bar is not None:
        cells = {"step": float(line.bar[1]), **line.cells}
        return line._replace(cells=cells, named="step", bar=None, epoch=float(line.bar[0]), epochs=None)
    return line


def under_one_name(line: Line, learnt: Learnt) -> Line:
    """Put the loss of a line under its one name."""
    name = next((name for name in learnt.also if name in line.cells), None)
    if name is None or learnt.loss in line.cells:
        return line
    return line._replace(cells={learnt.loss if each == name else each: v for each, v in line.cells.items()})


def same_loss(lines: Sequence[Line], loss: str) -> frozenset[str]:
    """Return other names of a loss: they stand in lines that are alike but for it, and in none beside it."""
    shapes: dict[str, Counter[frozenset[str]]] = {}
    for line in lines:
        for name in line.cells:
            if name == loss or (training_loss(name) is not None and _plainly(name) == _plainly(loss)):
                shapes.setdefault(name, Counter())[frozenset(line.cells) - {name}] += 1
    if len(shapes) < 2 or loss not in shapes:
        return frozenset()
    ((mine, count),) = shapes.pop(loss).most_common(1)
    names = [name for name, other in shapes.items() if SPARSE * other[mine] >= count and SPARSE * count >= other[mine]]
    both = any(step_rank(name) is not None for name in mine) and not mine & {loss, *names}
    return frozenset(names) if both and _once(lines, {loss, *names}) else frozenset()


def _plainly(name: str) -> frozenset[str]:
    return frozenset(words_of(name)) - TRAIN


def _once(lines: Iterable[Line], names: set[str]) -> bool:
    """Whether no step is said with two of these names."""
    at: dict[float, str] = {}
    for line in lines:
        said = next((name for name in names if name in line.cells), None)
        if said is not None and line.named is not None and at.setdefault(line.cells[line.named], said) != said:
            return False
    return True


def with_step(line: Line, name: str) -> Line:
    """Take the counter of this name before any other."""
    if name in line.cells and name != line.named and line.cells[name].is_integer():
        return line._replace(named=name, whole=None)
    return line


def loss_among(lines: Sequence[Line]) -> str:
    """Return the name that is likeliest the training loss, "" if there is none: in some lines of many is none."""
    counts: Counter[str] = Counter(name for line in lines for name in line.cells if training_loss(name) is not None)
    most = max(counts.values(), default=0)
    if most == 1 and len(lines) > SPARSE:
        counts.clear()  # the number of a title
    dense = [name for name, count in counts.items() if SPARSE * count >= most]
    dense = [name for name in dense if _moves(lines, name)] or dense  # a part that is not trained is 0 all along
    if not dense:
        # `250 train 3.41`: nothing else is trained that falls
        dense = [name for name, values in _trained(lines).items() if len(values) > 1 and values[-1] < values[0]]
    likely = ranked(dense, "loss")
    if len(likely) > 1:
        # of two that follow each other, as of a program that was changed, the first: the other is learnt when it comes
        where = {name: [i for i, line in enumerate(lines) if name in line.cells] for name in likely}
        first = min(likely, key=lambda name: where[name][0])
        if where[first][-1] < where[likely[0]][0]:
            return first
    held_out = [] if dense else ranked({name: None for line in lines for name in line.cells}, "validation_loss")
    return next(iter([*likely, *dense, *held_out]), "")


def _moves(lines: Iterable[Line], name: str) -> bool:
    """Return whether a name has more than one number."""
    first = None
    for line in lines:
        value = line.cells.get(name, first)
        first = value if first is None else first
        if value != first:
            return True
    return False


def _trained(lines: Sequence[Line]) -> dict[str, list[float]]:
    """Return the numbers under names that say no more than that they are of training."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line.cells.items():
            if set(words_of(name)) <= TRAIN and step_rank(name) is None:
                found.setdefault(name, []).append(value)
    return found


@final
class _Epochs:
    """The epochs that lines tell of: the newest, how many are planned, whether they are told in parts.

    `goes_on` counts the epochs at whose beginning a counter went on, less those where it began anew.
    """

    def __init__(self) -> None:
        self.newest: float | None = None
        self.planned = 0
        self.in_parts = False
        self.goes_on = 0
        self._at: tuple[float, float] | None = None

    def see(self, line: Line) -> None:
        if line.epoch is not None:
            self.planned = line.epochs or self.planned
            self.newest = line.epoch
            self.in_parts = self.in_parts or not float(line.epoch).is_integer()

    def look_on(self, epoch: float, counter: float) -> None:
        """See whether a counter goes on where an epoch begins, or begins anew."""
        if self._at is not None and epoch > self._at[0]:
            self.goes_on += 1 if counter > self._at[1] else -1
        self._at = epoch, counter


@final
class _Counters:
    """Counters with names: how many rows each tells from the one before, and the rows without one, by their cells."""

    def __init__(self) -> None:
        self.until = 0
        self.nameless: Counter[frozenset[str]] = Counter()
        self._rows: Counter[str] = Counter()
        self._at: dict[str, float] = {}

    def add(self, line: Line, row: int) -> None:
        """Take in a row that has one: of two that stand in a line, one moves slower."""
        self.until = row
        for name, value in line.cells.items():
            if step_rank(name) is not None and value.is_integer() and self._at.get(name) != value:
                self._at[name] = value
                self._rows[name] += 1

    def likeliest(self) -> str:
        """Return the likeliest name of those that tell most rows apart."""
        most = MOSTLY * max(self._rows.values())
        return min((name for name, count in self._rows.items() if count >= most), key=lambda name: step_rank(name) or 0)


@final
class _CounterBefore:
    """The counter of the lines before the rows: where it is, its name, how many rows it was before, by its name,
    whether it comes behind the first, and how many of these lines are bars.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self.name = ""
        self.names: Counter[str] = Counter()
        self.behind, self.bars = False, 0


@final
class _Kinds:
    """The kinds of rows, by the names of their cells, each with a line of it, and other names of their loss."""

    def __init__(self, also: frozenset[str]) -> None:
        self.also = also
        self._rows: Counter[frozenset[str]] = Counter()
        self._lines: dict[frozenset[str], str] = {}

    def add(self, line: Line) -> None:
        kind = frozenset(line.cells)
        self._rows[kind] += 1
        self._lines.setdefault(kind, line.text)

    def example(self) -> str:
        """Return a line of the kind that most rows are of, "" without any."""
        return self._lines[self._rows.most_common(1)[0][0]] if self._rows else ""


@final
class Learner:
    """Looks at the first lines of a log and says how it is to be read.

    Args:
        lines: those that are looked at. loss: the name of the training loss. step: that of the step, "" to find it.
    """

    def __init__(self, lines: Sequence[Line], loss: str, step: str = "") -> None:
        self._loss, self._step = loss, step
        self._within = not step and _counts_within(lines, loss)
        self._alone = 0
        self._rows = 0
        self._sources: Counter[Source] = Counter()
        self._counters = _Counters()
        self._kinds = _Kinds(same_loss(lines, loss))
        self._wholes: Counter[tuple[Source, int, int]] = Counter()
        self._before = _CounterBefore()
        self._epochs = _Epochs()
        self._at: set[tuple[Source, float]] = set()
        for line in lines:
            self._add(line)

    def _add(self, line: Line) -> None:
        line = with_step(within(line) if self._within else line, self._step)
        loss = not line.held_out and (self._loss in line.cells or not self._kinds.also.isdisjoint(line.cells))
        epochs = self._epochs
        epochs.see(line)
        if not loss:
            self._look_before(line)
            return
        self._before.behind = self._before.behind or (not self._rows and self._before.at is None)
        self._rows += 1
        self._alone += not any(map(is_held_out, line.cells))
        if line.named is not None:
            self._sources[Source.NAME] += 1
            self._counters.add(line, self._rows)
            epochs.look_on(line.epoch or 0.0, line.cells[line.named])
            self._before.at = line.cells[line.named]
            both = line.epoch is not None and line.epochs is not None
            self._wholes[(Source.NAME, line.whole or 0, epochs.planned if both else 1)] += 1
        else:
            self._counters.nameless[frozenset(line.cells)] += 1
        if line.bar is not None:
            if line.named is None:
                epochs.look_on(epochs.newest or 0.0, line.bar[0])
            self._sources[Source.BAR] += 1
            self._wholes[(Source.BAR, line.bar[1], 1 if epochs.newest is None else epochs.planned)] += 1
        if line.lead is not None:
            self._see(Source.LEAD, float(line.lead))
        if self._before.at is not None:
            self._see(Source.BEFORE, self._before.at)
            self._before.names[self._before.name] += 1
        if epochs.newest is not None:
            self._see(Source.EPOCH, epochs.newest)
            self._wholes[(Source.EPOCH, epochs.planned, 1)] += 1
        self._kinds.add(line)

    def _look_before(self, line: Line) -> None:
        if line.held_out:
            return
        before, epochs = self._before, self._epochs
        if line.named is not None:
            before.at, before.name = line.cells[line.named], line.named
            self._wholes[(Source.BEFORE, line.whole or 0, 1)] += 1
        elif line.bar is not None:
            done, whole = line.bar
            before.at, before.name = (0 if epochs.in_parts else epochs.newest or 0) * whole + done, ""
            before.bars += 1
            self._wholes[(Source.BEFORE, whole, epochs.planned or 1)] += 1

    def _see(self, source: Source, at: float) -> None:
        """Count a row that stands at another place than the one before it."""
        if (source, at) not in self._at:
            self._sources[source] += 1
            self._at.add((source, at))

    def learnt(self) -> Learnt:
        """Return how the log is to be read."""
        order = [
            Source.NAME,
            Source.BAR,
            Source.LEAD,
            Source.BEFORE,
            *([] if self._epochs.in_parts else [Source.EPOCH]),
        ]
        source = next((s for s in order if self._rows and self._sources[s] >= MOSTLY * self._rows), Source.COUNTED)
        if source is Source.COUNTED and self._sources[Source.NAME] >= max(self._counters.nameless.values(), default=1):
            source = Source.NAME  # another line says the same loss again, without its step
        elif source is Source.COUNTED and self._sources[Source.NAME] >= max(
            MOSTLY * self._counters.until, FIRST * self._rows, 1
        ):
            source = Source.NAME
        name = self._step or (self._counters.likeliest() if source is Source.NAME else "step")
        found = [(count, *sizes) for (of, *sizes), count in self._wholes.items() if of is source and sizes[0]]
        # of bars that stand before the rows, the one of the training has most to do
        by = 1 if source is Source.BEFORE else 0
        _, whole, epochs = max(found, key=lambda one: one[by], default=(0, 0, 0))
        goes_on = self._epochs.goes_on > 0
        epochs = 1 if source in (Source.NAME, Source.BAR) and goes_on else epochs
        total, alone = whole * epochs or None, self._alone >= MOSTLY * self._rows
        example, rows = self._kinds.example(), self._rows
        before, count = next(iter(self._before.names.most_common(1)), ("", 0))
        before = before if source is Source.BEFORE and count >= MOSTLY * rows else ""
        anew = not self._epochs.in_parts and not (source is Source.BAR and goes_on)
        # a bar that is drawn more often than there are rows says of none that it follows it
        a_row_a_bar = source is Source.BEFORE and self._before.bars <= (1 + FIRST) * rows
        if self._before.behind and rows > 1 and (before or a_row_a_bar):
            source = Source.AFTER  # the first loss stands before any counter
        return Learnt(
            source, name, self._loss, whole, total, anew, example, rows, self._within, alone, before, self._kinds.also
        )
