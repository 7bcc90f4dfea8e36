"""What the lines of a pattern say: what they are for the reader, and their numbers as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from operator import le, lt
from typing import Any, NamedTuple

from scalewatch.logs.console.learner import Source, is_held_out
from scalewatch.logs.console.patterns import Match
from scalewatch.logs.console.reader import LineReader
from scalewatch.logs.console.skeletons import Place, Plan

__all__ = [
    *("Column", "Role", "Rows", "converted", "filled", "merged", "names_of", "not_rising", "numbers_of", "picked"),
    *("role_of", "spread", "steps_of"),
]

#: Largest whole number below which a float holds each.
MOST_EXACT = 1 << 53

#: Times that letters have to stand in a column on average before they are looked up, and how many tell that. By hand.
FEW_OF, LOOKED_AT = 4, 64

Column = list[Any]


class Role(Enum):
    """What a line is for the reader."""

    ROW = auto()
    COUNTS = auto()
    ASIDE = auto()
    NOTHING = auto()
    ALONE = auto()


class Rows(NamedTuple):
    """Lines that are rows, of one pattern or of several.

    Attributes:
        places: of the lines, rising. numbers: name -> what stands in each. steps: what each says of its step, None
            where another line says it. epochs: the same of its epoch. kinds: the names in each.
    """

    places: Sequence[int]
    numbers: dict[str, Column]
    steps: Column | None
    epochs: Column | None
    kinds: Column


def names_of(plan: Plan, reader: LineReader) -> set[str]:
    """Return the names of a row of a plan."""
    names = {name for name in plan.names if reader.wanted(name)} | ({"timestamp"} if plan.when is not None else set())
    if reader.learnt.source is not Source.COUNTED:
        names.add(reader.learnt.step_name)
    return {reader.name_of(name) for name in names}


def role_of(plan: Plan, reader: LineReader) -> Role:
    """What the lines of a plan are for a reader."""
    learnt = reader.learnt
    named, held_out = _named(plan, reader), any(map(is_held_out, plan.names))
    if any(name == plan.epoch for name, _ in plan.fixed) or not learnt.also.isdisjoint(plan.names):
        return Role.ALONE
    if learnt.loss in plan.names and not plan.held_out:
        fits = {
            Source.NAME: named is not None and named == learnt.step_name,
            Source.BAR: named is None and plan.bar is not None,
            Source.LEAD: named is None and plan.lead > 0,
            Source.BEFORE: named is None and plan.bar is None,
            Source.AFTER: False,
            Source.EPOCH: True,
            Source.COUNTED: named is None and not (learnt.alone and held_out),
        }
        return Role.ROW if fits[learnt.source] else Role.ALONE
    if held_out:
        return Role.ALONE
    before = learnt.source is Source.BEFORE
    counts = (named is not None and learnt.source is not Source.EPOCH) or (
        not plan.held_out
        and (
            learnt.source in (Source.BEFORE, Source.EPOCH)
            or (plan.bar is not None and learnt.source is Source.BAR)
            or (plan.lead > 0 and learnt.source is Source.LEAD)
        )
    )
    if counts and sum(map(reader.wanted, plan.names)) > (plan.epoch is not None):
        return Role.ASIDE if before and plan.bar is None and not plan.held_out else Role.ALONE
    return (
        Role.COUNTS if before and (named is not None or (plan.bar is not None and not plan.held_out)) else Role.NOTHING
    )


def _named(plan: Plan, reader: LineReader) -> str | None:
    """The counter of steps in lines of a plan, None without one."""
    learnt = reader.learnt
    named = learnt.step_name if learnt.step_name in plan.names else plan.named
    training = learnt.loss in plan.names and not plan.held_out
    return None if learnt.before and named != learnt.before and not training else named


def steps_of(match: Match, cells: dict[str, Column], reader: LineReader) -> Column | None:
    """What lines say of their step: whole numbers, or (n, N) of a bar; None where they say nothing of it."""
    plan, learnt = match.pattern.plan, reader.learnt
    named = _named(plan, reader)
    if named is not None and learnt.source is not Source.EPOCH:
        column = cells[named]
        return column if set(map(type, column)) <= {int} else list(map(int, column))
    if plan.bar is not None and learnt.source in (Source.BAR, Source.BEFORE):
        done, whole = (converted(int, match.column(part, part)) for part in plan.bar)
        return list(zip(done, whole, strict=True))
    if plan.lead and learnt.source is Source.LEAD:
        return list(map(int, match.column(plan.lead, plan.lead)))
    return None


def numbers_of(match: Match, place: Place) -> Column:
    """The numbers at a place of each line; whole ones where they are written as such and a float holds them."""
    letters = match.column(place.first, place.last)
    if place.first == place.last and place.factor == 1.0 and match.pattern.is_whole(place.first):
        whole = converted(int, letters)
        if max(whole) <= MOST_EXACT:
            return whole
    if place.first != place.last:
        letters = [each.replace(",", "") for each in letters]
    numbers = converted(float, letters)
    return numbers if place.factor == 1.0 else [number * place.factor for number in numbers]


def converted(to: Callable[[str], Any], letters: Sequence[str]) -> Column:
    """Return letters as numbers; each once where they are the same again and again, as a rate is."""
    if FEW_OF * len(set(letters[:LOOKED_AT])) > LOOKED_AT:
        return list(map(to, letters))
    different = set(letters)
    return list(map({each: to(each) for each in different}.__getitem__, letters))


def spread(into: Column | None, values: Column, places: Sequence[int], count: int) -> Column:
    """Put values at their places among lines."""
    if into is None:
        into = [None] * count
    for place, value in zip(places, values, strict=True):
        into[place] = value
    return into


def merged(columns: Sequence[Column | None], parts: Sequence[Rows], order: Sequence[int]) -> Column:
    """Columns of several parts as one in the order of the lines."""
    whole: Column = []
    for column, part in zip(columns, parts, strict=True):
        whole += [None] * len(part.places) if column is None else column
    return [whole[i] for i in order]


def picked(column: Any, rows: Sequence[int]) -> Any:
    """Return some rows of a column."""
    return column[rows.start : rows.stop] if isinstance(rows, range) else [column[row] for row in rows]


def filled(column: Column, before: Any) -> Column:
    """Each value, or the one before it where there is none."""
    if None not in column:
        return column
    filled = []
    for value in column:
        if value is not None:
            before = value
        filled.append(before)
    return filled


def not_rising(steps: Column, epochs: Column | None) -> list[int]:
    """Places of steps that are not higher than the one before, or whose epoch is lower."""
    found: list[int] = []
    if not all(map(lt, steps, steps[1:])):
        found = [i for i, (now, then) in enumerate(zip(steps[1:], steps, strict=False), 1) if now <= then]
    if epochs is None or all(map(le, epochs, epochs[1:])):
        return found
    return sorted({*found, *[i for i in range(1, len(epochs)) if epochs[i] < epochs[i - 1]]})
