"""Lines -> rows: each with the step that its own line, or a line before it, says."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import final

from scalewatch.logs.console.learner import Learnt, Source, is_held_out, under_one_name, with_step, within
from scalewatch.logs.console.lines import Line
from scalewatch.logs.console.parts import Parts, is_field, step_rank
from scalewatch.logs.epoch_steps import EpochSteps

__all__ = ["LineReader", "Position"]


@final
class Position:
    """How far the lines are.

    Attributes:
        steps: makes steps of the run of those of an epoch. epoch: the newest, None if none was said. base: what the
            first epoch is called. before: step that a line before the row says. newest: step of the newest row.
        shape: names of the newest row. goes_on: whether a bar counts on where an epoch begins, None before one did.
    """

    __slots__ = ("_bar", "base", "before", "epoch", "goes_on", "newest", "shape", "steps")

    def __init__(self) -> None:
        self.steps = EpochSteps()
        self.epoch: float | None = None
        self.base: float | None = None
        self.before: int | None = None
        self.newest: int | None = None
        self.shape: frozenset[str] = frozenset()
        self.goes_on: bool | None = None
        self._bar: tuple[int, float, int] | None = None

    def of_bar(self, done: int, whole: int, epoch: float | None) -> int:
        """Return the step of a bar that begins anew in each epoch; of one that counts on, how far it is."""
        if epoch is None or self.base is None or self.goes_on:
            return done
        if self.goes_on is None:
            before, self._bar = self._bar, (whole, epoch, done)
            if before is not None and before[0] == whole and int(epoch) > int(before[1]):
                self.goes_on = done > before[2]
                if self.goes_on:
                    return done
        return int(epoch - self.base) * whole + done

    def of_bars(self, bars: Sequence[tuple[int, int]], epochs: Sequence[float] | None) -> list[int]:
        """Return the step of each of many bars."""
        base = self.base
        if epochs is None or base is None or self.goes_on:
            return [done for done, _ in bars]
        if self.goes_on is None:
            return [self.of_bar(*bar, epoch) for bar, epoch in zip(bars, epochs, strict=True)]
        return [int(epoch - base) * whole + done for (done, whole), epoch in zip(bars, epochs, strict=True)]


@final
class LineReader:
    """Reads the lines of a log, one after the other, as a `Learner` says.

    Args:
        learnt: what was learnt. keep: names that are given besides those that can be a field; None for all names.

    Attributes:
        learnt: the same. parts: what lines are made of. position: how far they are. renamed: names of this reader's
            rows -> those that the log had before its lines changed.
    """

    def __init__(self, learnt: Learnt, keep: Collection[str] | None = None) -> None:
        self.learnt, self._keep = learnt, keep
        self.parts = Parts(None if keep is None else self.counted)
        self.position = Position()
        self.renamed: dict[str, str] = {}
        self._waiting: dict[str, float | str] | None = None

    def rows(self, text: str) -> list[dict[str, float | str]]:
        """Return the rows that a line completes: name -> number, with the step under the name that was learnt."""
        found = [row for line in self.parts.lines(text) if (row := self.row(line)) is not None]
        return [self.under_names(row) for row in found] if self.renamed else found

    def held(self, *, quiet: bool) -> list[dict[str, float | str]]:
        """Return the rows of a process that goes on in place of another, where the log ends in them so far."""
        found = [row for line in self.parts.ranks.end(quiet=quiet) if (row := self.row(line)) is not None]
        return [self.under_names(row) for row in found]

    def under_names(self, row: dict[str, float | str]) -> dict[str, float | str]:
        """Return a row with loss and step under the names of the first lines."""
        return {self.name_of(name): value for name, value in row.items()}

    def name_of(self, name: str) -> str:
        """Return what the first lines call a number of this name."""
        return self.renamed.get(name) or name

    def end(self) -> list[dict[str, float | str]]:
        """Return the row of a box that the log ends in."""
        return [self.under_names(row) for line in self.parts.end() if (row := self.row(line)) is not None]

    def row(self, line: Line) -> dict[str, float | str] | None:
        """Return the row of a line that was parsed, None if it is none of its own."""
        line = with_step(within(line) if self.learnt.within else line, self.learnt.step_name)
        line = under_one_name(line, self.learnt) if self.learnt.also else line
        training = self.learnt.loss in line.cells and not line.held_out
        if self.learnt.before and line.named not in (None, self.learnt.before) and not training:
            line = line._replace(named=None)  # counts something else: frames beside iterations
        if training and self._is_of_another(line):
            return None
        if line.epoch is not None and math.isfinite(line.epoch):
            self.position.epoch = line.epoch
            if self.position.base is None:
                self.position.base = 0.0 if line.epoch < 1 else 1.0
        if self.learnt.source is Source.AFTER:
            return self._behind(line, training=training)
        step = self._step(line, training=training)
        row: dict[str, float | str] = {name: v for name, v in line.cells.items() if self.wanted(name)}
        if not training and not any(map(is_held_out, line.cells)):
            if step is not None and not line.held_out and (line.named is not None or line.bar is not None):
                self.position.before = step
            if step is None or len(row) <= (line.epoch is not None):
                return None
        if training and step is not None:
            row = self._without_repeats(row, step)
        elif training and self.learnt.source is not Source.COUNTED:
            return None  # a summary at the end, which is of no step
        elif training and self.learnt.alone and any(map(is_held_out, line.cells)):
            row.pop(self.learnt.loss)  # of an epoch, beside rows that count as steps
        if line.when is not None:
            row.setdefault("timestamp", line.when)
        if step is not None:
            row[self.learnt.step_name] = step
        return row

    def _behind(self, line: Line, *, training: bool) -> dict[str, float | str] | None:
        """Take a line of a log whose rows say their step last; return the row that is whole with it."""
        row: dict[str, float | str] = {name: v for name, v in line.cells.items() if self.wanted(name)}
        if line.held_out or (any(map(is_held_out, line.cells)) and not training):
            return row or None
        if training:
            self._waiting = row
        elif self._waiting is not None:
            self._waiting = {**row, **self._waiting}
        bar = line.bar if line.bar is not None and line.bar[1] == self.learnt.whole else None
        if self._waiting is None or (line.named is None and bar is None):
            return None
        whole, self._waiting = self._waiting, None
        if line.named is not None:
            step = self.position.steps.of(int(line.cells[line.named]), self.position.epoch, line.whole)
        elif bar is not None:
            step = self.position.of_bar(*bar, self.position.epoch if self.learnt.epochs else None)
        self.position.newest = step
        return {**whole, self.learnt.step_name: step}

    def _is_of_another(self, line: Line) -> bool:
        """Whether a line counts by another name, and from behind: batches of an evaluation between the steps."""
        newest = self.position.newest
        if self.learnt.source is not Source.NAME or line.named in (None, self.learnt.step_name) or newest is None:
            return False
        return line.cells[str(line.named)] <= newest

    def wanted(self, name: str) -> bool:
        """Return whether a number of this name is part of a row."""
        if self._keep is None:
            return step_rank(name) is None
        return is_field(name) or name in self._keep

    def counted(self, name: str) -> bool:
        """Return whether a number of this name is part of a row, or counts."""
        counts = step_rank(name) is not None or name == self.learnt.step_name
        return counts or self.wanted(name) or name in self.learnt.also

    def _without_repeats(self, row: dict[str, float | str], step: int) -> dict[str, float | str]:
        """Leave out the loss of a summary, and of a bar that is drawn again at the same step."""
        shape = frozenset(row)
        newest, before, self.position.shape = self.position.newest, self.position.shape, shape
        if newest is not None and step <= newest and (step == newest or shape != before):
            row.pop(self.learnt.loss, None)
        else:
            self.position.newest = step
        return row

    def _step(self, line: Line, *, training: bool) -> int | None:
        source = self.learnt.source
        if line.named is not None and source is not Source.EPOCH:
            step = int(line.cells[line.named])
            if training or source is Source.BEFORE:
                step = self.position.steps.of(step, self.position.epoch, line.whole)
                if source is Source.BEFORE:
                    self.position.before = step
                return step
            return step if not self.position.steps.restarts else None
        if line.held_out:
            return None
        if line.bar is not None and (
            source is Source.BAR or (source is Source.BEFORE and line.bar[1] == self.learnt.whole)
        ):
            return self.position.of_bar(*line.bar, self.position.epoch if self.learnt.epochs else None)
        if line.lead is not None and source is Source.LEAD:
            return line.lead
        if source is Source.BEFORE:
            return self.position.before
        if source is Source.EPOCH and self.position.epoch is not None:
            return int(self.position.epoch)
        return None
