"""Many lines -> the rows that `LineReader` makes of them one by one, as columns.

Lines of known skeletons whose steps rise are taken at once; a line that is anything else is left for the reader, and
ends a stretch.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import compress
from typing import NamedTuple, final

from scalewatch.logs.console.asides import Asides
from scalewatch.logs.console.learner import Source
from scalewatch.logs.console.parts import plain_lines, says_nothing
from scalewatch.logs.console.patterns import Match, Patterns
from scalewatch.logs.console.reader import LineReader
from scalewatch.logs.console.sayings import (
    Column,
    Role,
    Rows,
    filled,
    merged,
    names_of,
    not_rising,
    numbers_of,
    picked,
    role_of,
    spread,
    steps_of,
)
from scalewatch.logs.console.skeletons import Plan
from scalewatch.logs.console.table_rows import table_rows
from scalewatch.logs.loss_names import training_loss

__all__ = ["Block", "Stretch", "block_of"]

#: Lines of one step that are left out at once, one after the other, where a bar is drawn again and again. By hand.
MOST_REPEATS = 8
#: Where a row stands before all others.
_FIRST = -(1 << 62)


class Stretch(NamedTuple):
    """Lines that were taken at once.

    Attributes:
        end: place of the line after them. size: rows that they make. columns: name -> what stands in each row, in
            lists of shape (size,). places: of the rows among the lines. again: places of lines behind the last row
            that say its loss again, or head a table again. lossy: whether one of them says a loss.
    """

    end: int
    size: int
    columns: dict[str, Column]
    places: Sequence[int]
    again: Sequence[int]
    lossy: bool


def block_of(
    lines: list[str], reader: LineReader, patterns: Patterns, covers: Callable[[set[str]], bool]
) -> Block | None:
    """Return what many lines say, None where they have to be read one by one.

    Args:
        lines: with decimal points. reader: of the log. patterns: of its lines. covers: whether it knows these columns.
    """
    parts = reader.parts
    singly = parts.begun or reader.learnt.within or reader.learnt.source is Source.AFTER
    plain = None if singly else plain_lines(lines)
    if plain is None:
        return None
    heads = parts.heading
    found, left, silent, again = table_rows(plain, heads, reader.counted) if heads.stands else patterns.match(plain)
    block = Block(reader, plain, again)
    for match in found:
        block.add(match, covers)
    # what is nothing without its colours may head a table with them
    hidden = [place for place in silent if lines[place] != plain[place] and not says_nothing(lines[place])]
    block.leave([*hidden, *[place for place in left if not says_nothing(lines[place])]])
    block.close()
    return block


@final
class Block:
    """What many lines say.

    Args:
        reader: of the log. lines: without colours. headings: places of those that head a table again.
    """

    def __init__(self, reader: LineReader, lines: list[str], headings: Sequence[int]) -> None:
        self._reader, self._lines, self._headings, self.count = reader, lines, headings, len(lines)
        self._alone: list[int] = []
        self._others: list[int] = []
        self._own: list[int] = []
        self._parts: list[Rows] = []
        self._asides = Asides()
        self._counters: Column | None = None
        self._epochs: Column | None = None
        self._rows = Rows([], {}, None, None, [])

    def leave(self, places: Sequence[int]) -> None:
        """Leave lines for the reader."""
        if places:
            self._alone = sorted({*self._alone, *places})

    def alone_from(self, place: int) -> int:
        """Return the place of the first line from this one on that is left for the reader."""
        at = bisect_left(self._alone, place)
        return self._alone[at] if at < len(self._alone) else self.count

    # --- what the lines say ------------------------------------------------------------------------

    def add(self, match: Match, covers: Callable[[set[str]], bool]) -> None:
        """Take lines of one pattern."""
        plan, reader, places = match.pattern.plan, self._reader, match.places
        role, says = role_of(plan, reader), any(training_loss(name) is not None for name in plan.names)
        known = not match.pattern.lossy if role is not Role.ROW else says or not plan.rank
        if role in (Role.ROW, Role.ASIDE):
            known = known and covers(names_of(plan, reader))
        # while none that says a loss says its rank, those of all are read
        ranked = plan.rank and (says or reader.parts.ranks.reading is not None)
        if role is Role.ALONE or not known or (ranked and reader.parts.ranks.reading is None):
            self.leave(places)
            return
        if ranked:
            match = self._of_this_rank(match, says=says)
        if not match.places:
            return
        cells = {name: numbers_of(match, place) for name, place in plan.cells}
        cells |= {name: [value] * len(match.places) for name, value in plan.fixed}
        odd = self._odd(plan, cells)
        if odd:
            self.leave([match.places[i] for i in sorted(odd)])
            fine = [i not in odd for i in range(len(match.places))]
            cells = {name: list(compress(column, fine)) for name, column in cells.items()}
            match = match.only(fine)
        if not match.places:
            return
        if ranked and says:
            self._own = sorted([*self._own, *match.places])
        self._take(match, cells, role)

    def close(self) -> None:
        """All lines are there: bring the rows of several patterns into one order."""
        parts = self._parts
        if len(parts) == 1:
            self._rows = parts[0]
        elif parts:
            places = [place for part in parts for place in part.places]
            order = sorted(range(len(places)), key=places.__getitem__)
            names = dict.fromkeys(name for part in parts for name in part.numbers)
            epochs = [part.epochs for part in parts]
            self._rows = Rows(
                [places[i] for i in order],
                {name: merged([part.numbers.get(name) for part in parts], parts, order) for name in names},
                None if parts[0].steps is None else merged([part.steps for part in parts], parts, order),
                None if None in epochs else merged(epochs, parts, order),
                merged([part.kinds for part in parts], parts, order),
            )
        mixed = self._rows.epochs is None or self._epochs is not None
        for part in parts if mixed else ():
            if part.epochs is not None:
                self._epochs = spread(self._epochs, part.epochs, part.places, self.count)

    def _of_this_rank(self, match: Match, *, says: bool) -> Match:
        """Return the lines of the rank that is read; those of the others are left out and counted, those of new ones
        left for the reader.
        """
        plan, known = match.pattern.plan, self._reader.parts.ranks
        ranks = list(map(plan.rank_in, match.column(plan.rank, plan.rank)))
        different = set(ranks)
        if different != {known.reading}:
            new = {rank for rank in different if not known.knows(rank)}
            self.leave([place for place, rank in zip(match.places, ranks, strict=True) if rank in new])
            others = [
                place
                for place, rank in zip(match.places, ranks, strict=True)
                if rank != known.reading and rank not in new
            ]
            self._others = sorted([*self._others, *others]) if says else self._others
            match = match.only([rank == known.reading for rank in ranks])
        return match

    def _odd(self, plan: Plan, cells: dict[str, Column]) -> set[int]:
        """Which lines say something else than the plan has it: a counter that is no whole number, an endless epoch."""
        step = self._reader.learnt.step_name
        odd: set[int] = set()
        for name in {plan.named, step if step in cells else None} - {None}:
            column = cells[str(name)]
            if not set(map(type, column)) <= {int}:
                odd |= {i for i, whole in enumerate(map(float.is_integer, map(float, column))) if not whole}
        if plan.epoch is not None:
            odd |= {i for i, finite in enumerate(map(math.isfinite, cells[plan.epoch])) if not finite}
        return odd

    def _take(self, match: Match, cells: dict[str, Column], role: Role) -> None:
        plan, reader, places = match.pattern.plan, self._reader, match.places
        epochs = None if plan.epoch is None else cells[plan.epoch]
        row = [name for name in plan.names if reader.wanted(name)]
        numbers = {name: cells[name] for name in row}
        if plan.when is not None and "timestamp" not in row:
            numbers["timestamp"] = [text.replace("/", "-") for text in match.column(*plan.when)]
        counts = None if role is Role.ROW else steps_of(match, cells, reader)
        if role is Role.ASIDE:
            left_out = plan.epoch, reader.learnt.step_name
            said = {reader.name_of(name): column for name, column in numbers.items() if name not in left_out}
            if not self._asides.add(places, said):
                self.leave(places)
                return
        if role is not Role.ROW:
            if epochs is not None:
                self._epochs = spread(self._epochs, epochs, places, self.count)
            if role in (Role.COUNTS, Role.ASIDE) and counts is not None:
                self._counters = spread(self._counters, counts, places, self.count)
            return
        self._parts.append(
            Rows(places, numbers, steps_of(match, cells, reader), epochs, [frozenset(row)] * len(places))
        )

    # --- the rows that they make -------------------------------------------------------------------

    def take(self, first: int, end: int) -> Stretch:
        """Take the lines from `first` to before `end`, none of which is left for the reader, or some of them."""
        end = self._before_epochs(first, end)
        source = self._reader.learnt.source
        if source is Source.BEFORE:
            return self._after_counters(first, end)
        low, high = self._between(first, end)
        if source is Source.COUNTED or low == high:
            return self._stretch(first, end, range(low, high), None)
        epochs = self._epochs_of(first, low, high)
        if source is Source.EPOCH:
            if epochs is None:
                return self._nothing(first, low)
            return self._rising(first, end, low, list(map(int, epochs)), None)
        assert self._rows.steps is not None
        steps: Column = self._rows.steps[low:high]
        if source is not Source.BAR:
            return self._rising(first, end, low, steps, epochs if source is Source.NAME else None)
        of_bars = self._reader.position.of_bars(steps, epochs if self._reader.learnt.epochs else None)
        return self._rising(first, end, low, of_bars, None)

    def _between(self, first: int, end: int) -> tuple[int, int]:
        """The rows of these lines."""
        places = self._rows.places
        if isinstance(places, range):
            return first, end
        return bisect_left(places, first), bisect_left(places, end)

    def _before_epochs(self, first: int, end: int) -> int:
        """Return where the first epoch is said of all; that line is left for the reader."""
        if self._reader.position.epoch is not None:
            return end
        if self._epochs is not None:
            return next((place for place in range(first, end) if self._epochs[place] is not None), end)
        low, high = self._between(first, end)
        return end if self._rows.epochs is None or low == high else self._rows.places[low]

    def _epochs_of(self, first: int, low: int, high: int) -> Column | None:
        """The epoch of each row, None without one."""
        newest = self._reader.position.epoch
        if newest is None:
            return None
        if self._epochs is not None:
            known = filled(self._epochs[first : self._rows.places[high - 1] + 1], newest)
            return [known[place - first] for place in self._rows.places[low:high]]
        return [newest] * (high - low) if self._rows.epochs is None else self._rows.epochs[low:high]

    def _rising(self, first: int, end: int, low: int, raw: Column, epochs: Column | None) -> Stretch:
        """Take rows as far as their steps rise; with epochs, steps begin anew in each.

        Args:
            first, end: the lines. low: the first row. raw: steps as the lines say them. epochs: None where they are
                those of the run.
        """
        position, places = self._reader.position, self._rows.places
        named = self._reader.learnt.source is Source.NAME
        offset = position.steps.of(0, None) if named else 0
        if position.newest is not None and raw[0] + offset <= position.newest:
            return self._nothing(first, low)
        cut, again = self._cut(low, raw, epochs)
        rows: Sequence[int] = range(low, low + cut)
        if cut < len(raw):
            end = places[low + cut]
        if again or cut < len(raw):
            out = set(again)
            chosen = [i for i in range(cut) if i not in out]
            rows, raw = [low + i for i in chosen] if again else rows, [raw[i] for i in chosen]
            epochs = None if epochs is None else [epochs[i] for i in chosen]
        steps = [step + offset for step in raw] if offset else raw
        if named and epochs is not None:
            of_run = position.steps.of_rising(raw, epochs, _FIRST)
            if of_run is None:
                return self._nothing(first, low)
            steps = of_run
        return self._stretch(first, end, rows, steps, [places[low + i] for i in again])

    def _cut(self, low: int, raw: Column, epochs: Column | None) -> tuple[int, list[int]]:
        """Return how many rows rise, and which of them say the one before again, as a bar does that is drawn anew."""
        kinds, again, run = self._rows.kinds, list[int](), 0
        for i in not_rising(raw, epochs):
            same = raw[i] == raw[i - 1] and (epochs is None or epochs[i] == epochs[i - 1])
            run = run + 1 if again[-1:] == [i - 1] else 1
            if not same or kinds[low + i] != kinds[low + i - 1] or run > MOST_REPEATS:
                return i, again
            again.append(i)
        return len(raw), again

    def _after_counters(self, first: int, end: int) -> Stretch:
        """Take rows whose step a line before them says."""
        position, learnt = self._reader.position, self._reader.learnt
        counters: Column = [] if self._counters is None else self._counters[first:end]
        newest = position.epoch
        epochs: Column = [newest] * (end - first)
        if newest is not None and self._epochs is not None:
            epochs = filled(self._epochs[first:end], newest)
        offset = position.steps.of(0, None)
        named = [i for i, said in enumerate(counters) if type(said) is int]
        raw = [counters[i] for i in named]
        fall = next(iter(not_rising(raw, None if newest is None else [epochs[i] for i in named])), None)
        if named and newest is not None and not position.steps.fits(raw[0], epochs[named[0]], len(raw)):
            fall = 0
        if fall is not None:
            end = first + named[fall]
        if named or (newest is not None and learnt.epochs):
            given = epochs if learnt.epochs else [None] * len(epochs)
            said = [self._said(*each, offset) for each in zip(counters[: end - first], given, strict=False)]
        else:
            said = [bar and (bar[0] if bar[1] == learnt.whole else None) for bar in counters[: end - first]]
        at = filled(said, position.before) if said else [position.before] * (end - first)
        low, high = self._between(first, end)
        steps = [at[place - first] for place in self._rows.places[low:high]]
        if None in steps:
            high = low + steps.index(None)
            end, steps = self._rows.places[high], steps[: high - low]
        if self._asides:
            end = self._asides.end(first, end, self._rows.places[low:high], steps, at, position.newest)
            steps = steps[: bisect_left(self._rows.places, end) - low]
        stretch = self._rising(first, end, low, steps, None) if steps else self._stretch(first, end, range(0), None)
        if self._asides and stretch.size:
            of_rows = stretch.columns[self._reader.name_of(learnt.step_name)]
            self._asides.put(stretch.columns, of_rows, first, stretch.end, stretch.places, at)
        taken = [i for i in named if first + i < stretch.end]
        if taken and newest is not None:
            position.steps.of_rising([counters[i] for i in taken], [epochs[i] for i in taken], _FIRST)
        if stretch.end > first:
            position.before = at[stretch.end - 1 - first]
        return stretch

    def _said(self, counter: int | tuple[int, int] | None, epoch: float | None, offset: int) -> int | None:
        """The step that a line says of the rows behind it, None if it says none."""
        if type(counter) is tuple:
            return self._reader.position.of_bar(*counter, epoch) if counter[1] == self._reader.learnt.whole else None
        return None if counter is None else int(counter) + offset  # type: ignore[arg-type]  # it is no tuple

    def _nothing(self, first: int, row: int) -> Stretch:
        """Take the lines before a row, which is left for the reader."""
        return self._stretch(first, self._rows.places[row], range(0), None)

    def _stretch(
        self, first: int, end: int, rows: Sequence[int], steps: list[int] | None, again: Sequence[int] = ()
    ) -> Stretch:
        reader, position = self._reader, self._reader.position
        self._see_epochs(first, end)
        others = self._others[bisect_left(self._others, first) : bisect_left(self._others, end)]
        reader.parts.ranks.beside(len(others))
        own = self._own[bisect_left(self._own, first) : bisect_left(self._own, end)]
        if own:
            reader.parts.saw_losses(len(own), self._lines[own[-1]])
        columns: dict[str, Column] = {}
        if rows:
            columns = {name: picked(column, rows) for name, column in self._rows.numbers.items()}
        if rows and steps is not None:
            position.newest = steps[-1]
            position.shape = self._rows.kinds[rows[-1]]
            columns[reader.learnt.step_name] = steps
        columns = {reader.name_of(name): column for name, column in columns.items()}
        places = picked(self._rows.places, rows)
        last = max([*places[-1:], *others[-1:]], default=-1)
        headings = self._headings[bisect_left(self._headings, max(first, last)) : bisect_left(self._headings, end)]
        again = [*[p for p in again if p > last], *headings]
        return Stretch(end, len(rows), columns, places, again, bool(places or others))

    def _see_epochs(self, first: int, end: int) -> None:
        position = self._reader.position
        if position.epoch is None or end <= first:
            return
        if self._epochs is not None:
            position.epoch = filled(self._epochs[first:end], position.epoch)[-1]
        elif self._rows.epochs is not None:
            low, high = self._between(first, end)
            position.epoch = self._rows.epochs[high - 1] if high > low else position.epoch
