"""Many lines at once: the skeletons of one plan as one regular expression, whose groups are columns.

A line matches exactly where its skeleton is one that was read in full before. A number ends where the skeletons end it:
either its form and the letters after it leave no choice, or the expression takes as much as there is of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter, not_
from typing import Any, NamedTuple, Protocol, final

from scalewatch.logs.console.parts import Parts, says_nothing
from scalewatch.logs.console.skeletons import Family, Key, Plan

__all__ = ["Match", "Matches", "Patterns"]

#: Lines of one plan from which on an expression is made for it: it costs as much as reading some hundred. By hand.
LEAST_LINES = 16
#: Lines of a block whose skeletons are looked at; expressions that are tried on it, and kept. By hand.
MOST_LOOKED_AT, MOST_PATTERNS, MOST_KEPT = 512, 12, 48
#: Numbers of a line at most that is matched.
MOST_NUMBERS = 60
_FORMS = {
    "d": "[0-9]++",
    "d.": r"[0-9]++\.[0-9]++",
    "de": "[0-9]++[eE][-+]?[0-9]++",
    "d.e": r"[0-9]++\.[0-9]++[eE][-+]?[0-9]++",
}
_ANY_FORM = r"(?>[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
_WHOLE = {"d"}
#: What a number may go on with.
_GOES_ON = (".", "e", "E")


class AnyPattern(Protocol):
    """An expression for lines, whose groups hold their numbers.

    Attributes:
        plan: of the lines. groups: (first, last) of the parts of a line -> which group holds them.
        lossy: whether a line of it may speak of a loss.
    """

    plan: Plan
    groups: dict[tuple[int, int], int]
    lossy: bool

    def is_whole(self, part: int) -> bool:
        """Return whether a number is matched only where it is written without a point."""


class Match(NamedTuple):
    """The lines of a block that one pattern matches.

    Attributes:
        pattern: which. places: of the lines in the block, rising.
        groups: what its groups hold, each of shape (lines,).
    """

    pattern: AnyPattern
    places: Sequence[int]
    groups: list[Sequence[str]]

    def only(self, fine: Sequence[bool]) -> Match:
        """Return those of the lines for which this holds."""
        groups: list[Sequence[str]] = [list(compress(group, fine)) for group in self.groups]
        return Match(self.pattern, list(compress(self.places, fine)), groups)

    def column(self, first: int, last: int) -> Sequence[str]:
        """Return the letters of the parts from `first` to `last` of each line."""
        return self.groups[self.pattern.groups[first, last]]


class Matches(NamedTuple):
    """What was matched of a block.

    Attributes:
        found: each once. left, silent: places of the other lines; the second say nothing. again: places of a heading
            that is printed again.
    """

    found: list[Match]
    left: Sequence[int]
    silent: Sequence[int]
    again: Sequence[int] = ()


@final
class Pattern:
    """One expression for the skeletons of a family.

    Attributes:
        plan: of the skeletons. groups: (first, last) of the parts of a line -> which group holds them.
        lossy: whether a line of it may speak of a loss.
    """

    def __init__(self, family: Family) -> None:
        self.plan = family.plan
        keys = list(family.keys)
        self._fixed = [letters[0] if len(set(letters)) == 1 else None for letters in zip(*keys, strict=True)]
        self._forms = [set(forms) for forms in family.forms]
        self._loose = [i for i, letters in enumerate(self._fixed) if letters is None]
        # whether a number ends at the letters behind it, whichever of the known ones they are
        self._ends = [_end_numbers(set(letters)) for letters in list(zip(*keys, strict=True))[1:]]
        self._family, self._taken = family, 0
        self._known: set[Key] = set()
        self.lossy = False
        self.groups: dict[tuple[int, int], int] = {}
        self._expression = re.compile(f"^(?:{self._body()}|.*+)$", re.MULTILINE)
        self._mark = next(group for (first, last), group in self.groups.items() if first % 2 or len(self._fixed) == 1)
        self.holds_all()

    def holds_all(self) -> bool:
        """Return whether it matches each skeleton of its family, in every form that was seen; new ones are taken."""
        if any(seen - mine for seen, mine in zip(self._family.forms, self._forms, strict=True)):
            return False
        keys = list(self._family.keys)
        for key in keys[self._taken :]:
            if any(mine is not None and mine != letters for mine, letters in zip(self._fixed, key, strict=True)):
                return False
            if any(i and self._ends[i - 1] and key[i].startswith(_GOES_ON) for i in self._loose):
                return False
            self._known.add(tuple(key[i] for i in self._loose))
            self.lossy = self.lossy or any("oss" in letters or "OSS" in letters for letters in key)
        self._taken = len(keys)
        return True

    def is_whole(self, part: int) -> bool:
        """Return whether a number is matched only where it is written without a point."""
        return self._forms[part // 2] == _WHOLE and self._ends[part // 2]

    def match(self, text: str, places: Sequence[int]) -> tuple[Match | None, list[int]]:
        """Return the lines that match, None if none does, and the places of the others.

        Args:
            text: the lines. places: where they stand in the block.
        """
        found = self._expression.findall(text)
        columns: list[Sequence[str]] = [found]
        if len(self.groups) > 1:
            columns = [list(map(itemgetter(group), found)) for group in range(len(self.groups))]
        marks: Sequence[Any] = columns[self._mark]
        if self._loose:
            loose = [columns[self.groups[2 * i, 2 * i]] for i in self._loose]
            if not self._known.issuperset(zip(*loose, strict=True)):
                letters = zip(*loose, strict=True)
                marks = [mark and each in self._known for mark, each in zip(marks, letters, strict=True)]
        if all(marks):
            return Match(self, places, columns), []
        hits = list(compress(places, marks))
        if not hits:
            return None, list(places)
        columns = [list(compress(column, marks)) for column in columns]
        return Match(self, hits, columns), list(compress(places, map(not_, marks)))

    def _body(self) -> str:
        ranges = self._ranges()
        begins: dict[int, list[tuple[int, int]]] = {}
        for first, last in sorted(ranges, key=lambda each: (each[0], -each[1])):
            begins.setdefault(first, []).append((first, last))
        made: list[str] = []
        for part in range(2 * len(self._fixed) - 1):
            for group in begins.get(part, ()):
                self.groups[group] = len(self.groups)
                made.append("(")
            made.append(self._number(part // 2) if part % 2 else self._letters(part // 2))
            made.append(")" * sum(last == part for _, last in ranges))
        return "".join(made)

    def _letters(self, which: int) -> str:
        fixed = self._fixed[which]
        return r"[^\d\n]*+" if fixed is None else re.escape(fixed)

    def _number(self, which: int) -> str:
        forms = self._forms[which]
        return _FORMS[next(iter(forms))] if len(forms) == 1 and self._ends[which] else _ANY_FORM

    def _ranges(self) -> set[tuple[int, int]]:
        """Parts that are taken from a line: numbers, what differs between them, and one by which to tell a match."""
        plan = self.plan
        taken = {(place.first, place.last) for _, place in plan.cells}
        taken |= {(part, part) for part in (*(plan.bar or ()), plan.lead, plan.rank) if part}
        taken |= {(2 * i, 2 * i) for i in self._loose}
        taken |= {plan.when} if plan.when is not None else set()
        if not any(first % 2 for first, _ in taken):
            taken.add((1, 1) if len(self._fixed) > 1 else (0, 0))
        return taken


def _end_numbers(letters: set[str]) -> bool:
    """Whether a number before any of these is at its end: they are the same, or begin none of its parts."""
    return len(letters) == 1 or not any(each.startswith(_GOES_ON) for each in letters)


def _can_be_matched(family: Family) -> bool:
    """Whether the counters of its lines are whole numbers, and what is taken from them does not overlap."""
    plan = family.plan
    counters = [part for part in (*(plan.bar or ()), plan.lead, plan.rank, plan.whole, plan.epochs) if part]
    if len(family.forms) > MOST_NUMBERS or not (family.forms or plan.fixed):
        return False
    if any(family.forms[part // 2] != _WHOLE for part in counters):
        return False
    wide = [(place.first, place.last) for _, place in plan.cells if place.first != place.last]
    wide += [plan.when] if plan.when is not None else []
    return all(a == b or a[1] < b[0] or b[1] < a[0] for a in wide for b in wide)


def _is_blank(line: str) -> bool:
    return not line or line.isspace()


def _parted(lines: list[str], places: Sequence[int], says: Callable[[str], bool]) -> tuple[list[int], list[int]]:
    """Return the places of lines for which this holds, and of the others."""
    held = [says(lines[place]) for place in places]
    return list(compress(places, held)), list(compress(places, map(not_, held)))


@final
class Patterns:
    """The patterns of one log.

    Args:
        parts: who reads its lines, and knows their skeletons.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._patterns: dict[int, Pattern] = {}

    def bare(self) -> Patterns:
        """Return those of a log of which no line was read yet."""
        return Patterns(self._parts)

    def match(self, lines: list[str]) -> Matches:
        """Return what was matched of a block of lines without colours, outside tables and boxes."""
        found: list[Match] = []
        left: Sequence[int] = range(len(lines))
        blank: list[int] = []
        for turn, pattern in enumerate(list(self._patterns.values())[:MOST_PATTERNS]):
            pattern.holds_all()
            left = self._try(pattern, lines, left, found)
            if not turn:
                blank, left = _parted(lines, left, _is_blank)
            if len(left) < LEAST_LINES:
                break
        silent, left = _parted(lines, left, says_nothing)
        for pattern in self._new([lines[place] for place in left[:MOST_LOOKED_AT]]):
            left = self._try(pattern, lines, left, found)
        for match in reversed(found):  # what matched comes first in the next block
            assert isinstance(match.pattern, Pattern)
            kept = [each for each in self._patterns.items() if each[1] is not match.pattern]
            self._patterns = {id(match.pattern.plan): match.pattern, **dict(kept[:MOST_KEPT])}
        return Matches(found, left, [*blank, *silent])

    def _try(self, pattern: Pattern, lines: list[str], left: Sequence[int], found: list[Match]) -> Sequence[int]:
        if not left:
            return left
        match, left = pattern.match("\n".join([lines[place] for place in left]), left)
        if match is not None:
            found.append(match)
        return left

    def _new(self, lines: list[str]) -> list[Pattern]:
        """Return the patterns that some of these lines call for."""
        counts: dict[int, int] = {}
        families: dict[int, Family] = {}
        for line in lines:
            family = self._parts.family(line)
            if family is not None:
                families[id(family.plan)] = family
                counts[id(family.plan)] = counts.get(id(family.plan), 0) + 1
        made = []
        for plan, count in counts.items():
            if count < LEAST_LINES or not _can_be_matched(families[plan]):
                continue
            pattern = self._patterns.get(plan)
            if pattern is None or not pattern.holds_all():
                self._patterns[plan] = pattern = Pattern(families[plan])
            made.append(pattern)
        return made
