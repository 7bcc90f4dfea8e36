"""What programs print while they train: any text whose lines hold a loss, read without knowing the program."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.logs.columns import COUNTER_OF_EPOCHS, guess, listed, placed, ranked
from scalewatch.logs.console.blocks import Block, Stretch, block_of
from scalewatch.logs.console.learner import Learner, Learnt, Source, loss_among
from scalewatch.logs.console.parts import parsed
from scalewatch.logs.console.patterns import Patterns
from scalewatch.logs.console.ranks import Ranks
from scalewatch.logs.console.reader import LineReader
from scalewatch.logs.hints import likeliest
from scalewatch.logs.line_log import AbstractLineLog
from scalewatch.logs.lines import head
from scalewatch.logs.log import BLOCK_ROWS, AbstractFormat, AbstractLog
from scalewatch.logs.loss_names import HELD_OUT, TRAIN, training_loss, validation_loss
from scalewatch.logs.naming import run_name
from scalewatch.logs.sample import Sample
from scalewatch.logs.values import times
from scalewatch.objective import words_of
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["LEARNT_FROM", "ConsoleLog", "ConsoleText"]

#: How the note begins that shows a line of those that hold the loss.
LEARNT_FROM = "read from lines such as:"
#: Bytes looked at to learn how the lines are to be read: programs print their settings and downloads first.
LEARN_BYTES = 2 << 20
#: Lines with a loss after which no more are looked at.
LEARN_ROWS = 1_000
#: Bytes looked at to tell whether a file is a console's.
CLAIM_BYTES = 256 << 10
#: Rows with a loss, of one kind and of different numbers, without which a text is none. By hand.
FEWEST_ROWS = 2
#: Part of the letters of a text that may be no letters before it is none.
MOST_ODD = 0.02
#: Lines with a loss, one after the other, that are none of the kind that was learnt, after which it is learnt anew; and
#: part of them that must be of one kind. By hand.
LOST_LINES, MOSTLY = 32, 0.8
#: Lines from which on it is worth to take them at once, and lines after which it is tried again, at first and at
#: most where few could be taken. By hand.
LEAST_LINES, FEW_LINES, MOST_PAUSE = 16, 256, 64 * BLOCK_ROWS
#: Letters of a line that are shown.
SHOWN = 160
_SUFFIXES = frozenset({".log", ".txt", ".out", ".err", ".stdout", ".stderr", ".output", ".text", ".console", ".md", ""})
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d{1,2}(?!\d)|\d{4,})")
_COMMA = re.compile(r"(?<=\d),(?=\d)")
_NUMBERS_ALONE = re.compile(r"(?:[ \t,;]*[-+\d][-+.\deE]*[ \t,;]*){1,20}\n")
#: What a loss is mostly called: where nothing is, far into a file, its lines are not read so far.
_SPEAKS = re.compile("loss|nll|entropy|ppl|perplexity", re.IGNORECASE)
_POINT = re.compile(r"[a-z]['\"]?[ :=]+\d+\.\d", re.IGNORECASE)


def learnt_from(texts: Iterable[str], loss: str = "", step: str = "") -> tuple[Learnt, Sample, dict[str, None]]:
    """Return how lines are to be read, the first rows of them, and their columns.

    Args:
        texts: the lines. loss, step: names that the user says, "" to find them.
    """
    lines = []
    losses = 0
    for line in parsed(texts):
        lines.append(line)
        losses += any(training_loss(name) is not None for name in line.cells)
        if losses > LEARN_ROWS:
            break
    learnt = Learner(lines, loss or loss_among(lines), step).learnt()
    reader, sample = LineReader(learnt), Sample()
    names: dict[str, None] = {}
    for line in lines:
        row = reader.row(line)
        if row is not None:
            names.update(dict.fromkeys(row))
            if not sample.add(row):
                break
    return learnt, sample, names


def with_points(text: str) -> bool:
    """Return whether the numbers of a text have decimal points, and no commas."""
    return bool(_POINT.search(text)) or not _DECIMAL_COMMA.search(text)


@final
class _Pause:
    """Lines after which many are tried at once again, where few could be taken."""

    def __init__(self) -> None:
        self._lines = self._until = 0

    def is_over(self, number: int) -> bool:
        return number >= self._until

    def begin(self, number: int, *, fruitless: bool) -> None:
        self._lines = min(2 * self._lines + FEW_LINES, MOST_PAUSE) if fruitless else 0
        self._until = number + self._lines


@final
class _RanksNoted:
    """What was said of the processes whose lines stand in a log."""

    def __init__(self) -> None:
        self._others, self._taken_over = False, 0

    def news(self, ranks: Ranks, number: int) -> Iterator[str]:
        """Yield what is new by the line of this number."""
        if ranks.taken_over > self._taken_over:
            self._taken_over = ranks.taken_over
            yield f"line {number:,}: read on from another process ({ranks.reading:.40}): it was started again"
        if ranks.others and not self._others:
            self._others = True
            yield "lines of several ranks stand in it: those of one, the first that says a loss, are read"


@final
class ConsoleLog(AbstractLineLog):
    """One file of printed lines as one run.

    Args:
        path: the file. name: of the run. columns: field -> name, as the user says.

    Raises:
        LogError: if no loss can be told.
    """

    def __init__(self, path: Path, name: str, columns: Mapping[str, str]) -> None:
        super().__init__(name, path, columns)
        start = head(path, LEARN_BYTES)
        if not start.strip():
            raise LogError(f"{path}: is empty so far.")
        self._commas = not with_points(start)
        lines = [self._with_points(line) for line in start.split("\n")]
        self.learnt, sample, names = learnt_from(lines, columns.get("loss", ""), columns.get("step", ""))
        counted = self.learnt.source is Source.COUNTED
        known = {} if counted else {"step": self.learnt.step_name}
        if self.learnt.loss in names:
            known["loss"] = self.learnt.loss
        if self.learnt.loss in names and training_loss(self.learnt.loss) is None:
            # `250 train 3.41`, and `250 val 3.52`
            held_out = next((name for name in names if set(words_of(name)) <= HELD_OUT), None)
            known |= {"validation_loss": held_out} if held_out is not None else {}
        self.set_columns(names, sample, known)
        self._plan_to(self.learnt.total_steps, sample)
        asked = {term for name in columns.values() for term in (name, *name.split("+"))}
        self._keep = asked | set(known.values())
        self._reader = LineReader(self.learnt, self._keep)
        self._patterns, self._patterns_of = Patterns(self._reader.parts), self._reader
        self._pause = _Pause()
        self._lost: list[str] = []
        self._patience = LOST_LINES
        self.assembled.blanks.sparse = True  # most lines of a console hold no loss
        self.note(f"{LEARNT_FROM} {self.learnt.example.strip():.{SHOWN}}")
        self._ranks_noted = _RanksNoted()
        # after so many losses no line more is looked at
        enough = self.learnt.rows > LEARN_ROWS and training_loss(self.learnt.loss) is not None
        self.decide(sample, LEARN_BYTES if not (enough and _POINT.search(start)) else 0)

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield what is new, in blocks: lines that were printed before with other numbers are read at once."""
        if became := self._lines.anew():
            self.note(became)
            self._pause = _Pause()
        for piece in self._lines.pieces():
            for at in range(0, len(piece), BLOCK_ROWS):
                yield from self._block(piece[at : at + BLOCK_ROWS])
        self.all_lines_given()
        yield from self.gathered(self._end())

    def _end(self) -> Iterator[Observation]:
        quiet = self._lines.quiet()
        if self._lines.rest and quiet:
            yield from self._line(self._lines.take_rest())
        for row in [*(self._reader.end() if quiet else ()), *self._reader.held(quiet=quiet)]:
            yield from self._row(row)
        self.bytes_read = self._lines.bytes_read
        for line in self._ranks_noted.news(self._reader.parts.ranks, self._lines.number):
            self.note(line)
        yield from self.assembled.flush()

    # --- many lines --------------------------------------------------------------------------------

    def _block(self, lines: list[str]) -> Iterator[tuple[Run, Columns]]:
        while lines:
            block = (
                self._known(lines) if len(lines) >= LEAST_LINES and self._pause.is_over(self._lines.number) else None
            )
            if block is None:
                yield from self.gathered(self._one_by_one(lines[:FEW_LINES]))
                lines = lines[FEW_LINES:]
                continue
            taken, alone = yield from self._at_once(block, lines)
            lines = lines[taken:]
            self._pause.begin(self._lines.number, fruitless=2 * alone > taken)

    def _known(self, lines: list[str]) -> Block | None:
        """Return what lines say, None where they have to be read one by one."""
        if not self.assembled.by_columns:
            return None
        pointed = list(map(self._with_points, lines)) if self._commas else lines
        if self._patterns_of is not self._reader:
            self._patterns, self._patterns_of = Patterns(self._reader.parts), self._reader
        return block_of(pointed, self._reader, self._patterns, self._by_columns)

    def _by_columns(self, names: set[str]) -> bool:
        """Return whether rows of these names need no decision of each: none is new, and each says its step."""
        step = self.columns.get("step")
        return self.covers(names) and (step is None or step in names)

    def _at_once(self, block: Block, lines: list[str]) -> Generator[tuple[Run, Columns], None, tuple[int, int]]:
        """Yield rows of lines; return how many lines were taken, all unless they become of another kind, and how many
        of them by themselves.
        """
        at, failed, singly, began = 0, 0, 0, self._kind

        def singles(end: int) -> Iterator[Observation]:
            nonlocal at, singly
            while at < end and began == self._kind:
                at, singly = at + 1, singly + 1
                yield from self._numbered(lines[at - 1])

        first = self._lines.number
        while at < len(lines) and began == self._kind:
            end = block.alone_from(at)
            if end - at >= LEAST_LINES:
                stretch = block.take(at, end)
                yield from self._stretch(stretch, lines, first)
                failed = 0 if stretch.end - at >= LEAST_LINES else failed + 1
                at = stretch.end
                self._lines.number = first + at
                if at == end:
                    continue
            end = at + min(1 << max(failed - 1, 0), FEW_LINES)
            while end < len(lines) and (to := block.alone_from(end)) - end < LEAST_LINES:
                end = to + 1
            yield from self.gathered(singles(min(end, len(lines))))
        return at, singly

    @property
    def _kind(self) -> tuple[LineReader, int, str | None, object]:
        """What a block was read by: where it changes, the lines behind are looked at anew."""
        parts = self._reader.parts
        return self._reader, self.assembled.plans, parts.ranks.reading, parts.standing

    def _stretch(self, stretch: Stretch, lines: Sequence[str], first: int) -> Iterator[tuple[Run, Columns]]:
        if stretch.lossy:
            self._lost.clear()
        self._lost += [lines[place] for place in stretch.again if "oss" in lines[place] or "OSS" in lines[place]]
        columns = stretch.columns

        def cells(name: str) -> list[Any] | None:
            return times(columns[name]) if name == "timestamp" and name in columns else columns.get(name)

        def add(row: int) -> Iterable[Observation]:
            self._lines.number = first + stretch.places[row] + 1
            found = {name: column[row] for name, column in columns.items() if column[row] is not None}
            return self.assembled.add(found, self._lines.number)

        plain = self.assembled.plain(cells, stretch.size) if stretch.size else None
        if plain is not None:
            self.bytes_read = self._lines.bytes_read
            yield from self.stretches(plain, add, lambda _: None)

    def _one_by_one(self, lines: Sequence[str]) -> Iterator[Observation]:
        for line in lines:
            yield from self._numbered(line)

    # --- one line ----------------------------------------------------------------------------------

    def _numbered(self, line: str) -> Iterator[Observation]:
        self._lines.number += 1
        yield from self._line(line)

    def _line(self, line: str) -> Iterator[Observation]:
        self.bytes_read = self._lines.bytes_read
        line = self._with_points(line) if self._commas else line
        ranks = self._reader.parts.ranks
        others, rows = ranks.others, self._reader.rows(line)
        if others != ranks.others or any(map(self._says_a_loss, rows)):
            self._lost.clear()
        elif "oss" in line or "OSS" in line:
            self._lost.append(line)
            if len(self._lost) >= self._patience and "loss" not in self.asked:
                rows = self._learn_anew()
        for row in rows:
            yield from self._row(row)

    def _row(self, row: dict[str, float | str]) -> Iterator[Observation]:
        if not self.covers(row):
            self.add_columns(row)
        yield from self.assembled.add(row, self._lines.number)

    def _says_a_loss(self, row: Mapping[str, Any]) -> bool:
        return self.columns["loss"] in row or any(validation_loss(name) is not None for name in row)

    def _learn_anew(self) -> list[dict[str, float | str]]:
        """Return the rows of the lines that were lost, if they are of another kind: of a program that was changed."""
        lost, self._lost = self._lost, []
        learnt, sample, names = learnt_from(lost)
        was = self.learnt
        same = (learnt.loss, learnt.source, learnt.step_name) == (was.loss, was.source, was.step_name)
        if same or learnt.rows < MOSTLY * len(lost) or len(set(sample.numbers(learnt.loss))) < FEWEST_ROWS:
            self._patience *= 2  # they are no lines of a run
            return []
        first = f"from line {self._lines.number - len(lost) + 1:,} on"
        if learnt.source is Source.COUNTED and was.source is not Source.COUNTED and not any(map(_trains, names)):
            if self._patience == LOST_LINES:
                self.note(
                    f"{first} lines hold a loss and no step, as those of an evaluation: left out, "
                    f"such as {learnt.example.strip():.{SHOWN}}"
                )
            self._patience *= 2
            return []
        self.note(f"{first} {LEARNT_FROM} {learnt.example.strip():.{SHOWN}}")
        self.learnt, self._reader = learnt, LineReader(learnt, self._keep)
        found = [row for line in lost for row in self._reader.rows(line)]
        self._reader.renamed = {learnt.loss: self.columns["loss"], learnt.step_name: self.columns.get("step", "")}
        return [self._reader.under_names(row) for row in found]

    def _with_points(self, line: str) -> str:
        return _COMMA.sub(".", line) if self._commas else line


@final
class ConsoleText(AbstractFormat):
    """Text that a program printed: lines with a loss, of one kind."""

    name: ClassVar[str] = "text"

    def claims(self, path: Path) -> bool:
        """Return whether it is named like a text, and has lines that hold a loss."""
        return _is_named_so(path) and self.holds(path)

    def holds(self, path: Path) -> bool:
        """Return whether it is text with lines that hold a loss, of one kind and with different numbers."""
        if not _is_text(path):
            return False
        start = head(path, CLAIM_BYTES)
        if "loss" not in start.lower() and path.stat().st_size > CLAIM_BYTES:
            more = head(path, LEARN_BYTES)
            start = more if _SPEAKS.search(more) else start
        learnt, sample, names = learnt_from(start.split("\n"))
        column = guess(names, sample=sample).columns.get("loss", learnt.loss) if learnt.rows else ""
        return len(set(map(str, sample.numbers(column)))) >= FEWEST_ROWS

    def is_text(self, path: Path) -> bool:
        """Return whether a file is named like what a program printed, and holds letters."""
        return _is_named_so(path) and _is_text(path)

    def why_not(self, path: Path) -> str:
        """Return why a text is no log of a run, and what could be said to make it one."""
        lines, sample = list(parsed(head(path, CLAIM_BYTES).split("\n"))), Sample()
        loss = loss_among(lines)
        if loss:
            return f"is text, and '{loss:.60}' in it is one number so far: no curve."
        any(not sample.add(line.cells) for line in lines)
        numbers = [name for line in lines for name in line.cells if len(set(sample.numbers(name))) > 1]
        numbers = list(dict.fromkeys(numbers))
        proposed = likeliest(numbers, sample)
        if proposed is None and _NUMBERS_ALONE.match(head(path, CLAIM_BYTES)):
            return "is numbers without names; say which column is which: --format csv --column step=1 --column loss=2."
        if proposed is None:
            return "is text, and no line of it holds a loss."
        return (
            f"is text whose lines name no loss (numbers stand after {listed(numbers)}). "
            f"Say which it is: --column loss='{proposed:.60}'"
        )

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [ConsoleLog(path, run_name(path), columns) for path in paths]


def _trains(name: str) -> bool:
    """Whether only a training has a number of this name: a rate, a norm, an epoch, a loss that says so."""
    fields = any(ranked([name], field) for field in ("learning_rate", "grad_norm"))
    return fields or placed(name, COUNTER_OF_EPOCHS) is not None or bool(TRAIN & set(words_of(name)))


def _is_named_so(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or path.suffix[1:].isdigit()


def _is_text(path: Path) -> bool:
    start = head(path)
    return bool(start.strip()) and sum(letter in "\ufffd\0" for letter in start) <= MOST_ODD * len(start)
