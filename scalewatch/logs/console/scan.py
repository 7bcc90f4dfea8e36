"""One printed line -> its numbers, each under the name that stands before it.

    iter 250: loss 2.8457, time 306.15ms       name value
    step: 10  loss: 12.2  grad_norm: 1.2       name: value
    loss=14.2, nll_loss=13.9, num_updates=100  name=value
    | lm loss: 5.03E+00 | grad norm: 1.143 |   name and value between bars
    {'loss': 5.0386, 'epoch': 0.01}            what Python prints of a dict
    Epoch [1][50/5000], 10/1000 [00:05<08:00]  numbers of a whole

A name is what stands between a number and the one before it, after the last comma, bar or bracket. Nothing here knows
a program: what a name means is for `columns` to say.
"""

from __future__ import annotations

import re
from typing import NamedTuple, final

from scalewatch.logs.loss_names import HELD_OUT, TRAIN, kind_of
from scalewatch.logs.values import number
from scalewatch.objective import words_of

__all__ = ["HELD_OUT_MARK", "Scanned", "Span", "scan"]

#: What is put before a loss whose line, and not its name, says that it was held out.
HELD_OUT_MARK = "val/"
#: Words of a loss that was trained on, whatever its line is about.
_TRAIN_WORDS = frozenset({"train", "training"})
#: Longest name [letters], and most words of one.
MOST_LETTERS, MOST_WORDS = 60, 6
#: Texts between numbers that are remembered: programs print the same ones in each line.
MOST_REMEMBERED = 20_000

_VALUE = re.compile(
    r"""(?=[-+.\dnNiI])(?<![\w.@-])(?:
      (\d{4}[-/]\d\d[-/]\d\d(?:[ T_]\d\d:\d\d(?::\d\d(?:[.,:]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d\b)?
        |\d\d[/-]\d\d(?:[/-]\d{2,4})?[ ]\d\d[:-]\d\d[:-]\d\d(?:[.,]\d+)?|\d{6}[ ]\d\d:\d\d:\d\d(?:[.,]\d+)?)
     |((?:\d+[ ]days?,[ ])?\d+:\d\d(?::\d\d)?(?:[.,]\d+)?)(?![\w:])
     |([-+]?(?:[nN][aA][nN]|[iI]nf(?:inity)?|INF|1\.\#(?:QNAN|IND|INF))(?:\(ind\)|00)?)(?![\w/])
     |([-+]?(?:\d{1,3}(?:,\d{3})+(?!\d|,\d)|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|[-+]?\.\d+(?:[eE][-+]?\d+)?)
        (?![\d]|\.\d)
        (?:k?(?:it)?\s*/\s*(\d[\d,]*)(?![\d./]))?
        (\s?%|[A-Za-zµ]*(?:/[A-Za-z]+)+|[A-Za-zµ]+|)
    )""",
    re.VERBOSE,
)
#: What ends a name's beginning: brackets, bars, a dash or room between two things.
_BREAKS = re.compile(r"[|\t\[\]{}<>=:»]|\)\s|\s[-–—]+\s|\s{2,}|\.\s|\(\s*$")
_PARENTHESES = re.compile(r"\([^()]*\)")
_WRAPPED = re.compile(r"(?:[tT]ensor|(?:Device)?[aA]rray|j?np\.b?float\d+|float\d*)\(\s*\[?\s*$")
#: `validation loss at iteration 1000`: the name of a value that follows, then that of this one.
_AT = re.compile(r"(.*?\w)\s+(?:at|after|for|in|@|of)\s+(?:the\s+|end\s+of\s+)*(\w[\w ]*)", re.IGNORECASE)
#: `2.31 avg loss, `: the name of the value before; so is a counter, `after 250 iterations the loss is`.
_BEHIND = re.compile(r" ([a-zA-Z][\w ]*),\s*$")
_COUNTED = re.compile(r" (steps?|iters?|iterations?|updates?|batches|epochs?)\b", re.IGNORECASE)
#: `('loss', 2.31`: a name that a comma parts from its value.
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]\s*,\s*$")
#: What a name does not begin with: `▸ loss`.
_SYMBOLS = re.compile(r"^[^\w(%@$]+")
#: What names no number by itself.
_FILLERS = frozenset({"after", "at", "in", "on", "completed", "finished", "done"})
_LEVEL = re.compile(r"^(?:INFO|DEBUG|WARNING|WARN|ERROR|NOTICE)\b\s*")
_HELD = re.compile(
    r"(?<![\w/.-])(?:val|valid|validation|validating|validate|eval|evaluation|evaluating|test|testing|dev|sanity"
    r"|held-?out)(?![\w/.-])",
    re.IGNORECASE,
)
_TRAINED = re.compile(r"(?<![\w/.-])(?:train|training|train_inner)(?![\w/.-])", re.IGNORECASE)
#: A letter, and none that a bar of blocks becomes where it was read in another encoding.
_LETTER = re.compile(r"[A-Za-z]|(?![\u0080-\u024f])[^\W\d_]")
#: The file that a logger's line comes from.
_SOURCE = re.compile(r"\.(?:py|cpp|cc|cu|c|h|go|rs|jl|java|scala)$")
#: Between a number and what it is a part of, as people say it.
_OF = frozenset({"of", "out of", "von", "de", "sur", "di", "van", "av", "из", "z"})
_TIMES = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "k": 1e3}


@final
class _Between(NamedTuple):
    """What a text between two numbers says: the name after it, a name for the number after that, and of what it is."""

    name: str
    pending: str
    mark: int
    of: bool
    lossy: bool
    side: int
    letters: bool
    behind: str


_remembered: dict[str, _Between] = {}


class Span(NamedTuple):
    """Where a number stands in its line: its letters, with its sign, and what its unit multiplies it by."""

    begin: int
    end: int
    sign: int
    factor: float


@final
class _Side:
    """Of which data the words of a line are: `mark` above 0 held out, below 0 trained on; `lossy` after a loss."""

    __slots__ = ("held_out", "lossy", "mark")

    def __init__(self) -> None:
        self.mark = 0
        self.lossy = self.held_out = False

    def hold(self, mark: int) -> None:
        self.mark = mark
        self.held_out = self.held_out or (mark > 0 and not self.lossy)


@final
class Scanned:
    """What a line says.

    Attributes:
        cells: name -> number. wholes: name -> the number that it is a part of, in `10/1000`.
        bar: (n, N) of a number of a whole that has no name, None if there is none.
        lead: whole number that the line begins with, None if it does not.
        when: date and time, or None.
        label: the words that stand nearest before the bar.
        spans: where each of these stands, by the name of a cell, `/name` of its whole, `bar`, `/bar`, `lead`, `when`.
    """

    __slots__ = (
        *("_bare", "_last", "_pending", "_side"),
        *("bar", "cells", "label", "lead", "spans", "when", "wholes"),
    )

    def __init__(self) -> None:
        self.cells: dict[str, float] = {}
        self.wholes: dict[str, int] = {}
        self.bar: tuple[int, int] | None = None
        self.lead: int | None = None
        self.when: str | None = None
        self.spans: dict[str, Span] = {}
        self.label = self._pending = self._last = ""
        self._side = _Side()
        self._bare: tuple[float, Span | None] | None = None

    @property
    def held_out(self) -> bool:
        """Whether the line says, before any loss, that it is of a validation."""
        return self._side.held_out

    def take(self, line: str, at: int, found: re.Match[str]) -> None:
        """Take the next number of a line; `at` is where the one before it ended."""
        text = line[at : found.start()]
        between = _remembered.get(text) or _read(text)
        if self.bar is None and between.letters:
            self.label = text
        if between.mark:
            self._side.hold(between.mark)
        date, clock, word, digits, whole, unit = found.groups()
        if date is not None:
            if self.when is None:
                self.when, self.spans["when"] = date, Span(*found.span(1), 0, 1.0)
            self._pending = ""
            return
        if between.behind and self._bare is not None:
            self._keep(between.behind, *self._bare, lossy=_is_loss(between.behind))
        self._bare = None
        name = between.name
        self._pending = between.pending or self._pending
        if between.of and self._last:
            self.wholes.setdefault(self._last, int(_number(digits or "0")))
            self.spans.setdefault(f"/{self._last}", Span(*found.span(4), 0, 1.0))
            return
        if not name and self._pending and not whole and word is None:
            name, self._pending = self._pending, ""
        if clock is not None or (unit and unit[-1] == "%" and line[found.end() : found.end() + 1] == "|"):
            return  # of a progress bar
        value = _number(digits) if word is None else number(word.partition("(")[0]) or 0.0
        factor = _TIMES.get(unit, 1.0)
        span = (
            None
            if word is not None
            else Span(*found.span(4), "- +".index(digits[0]) - 1 if digits[0] in "-+" else 0, factor)
        )
        if whole is not None and value.is_integer():
            name = self._of_a_whole(name, (int(value), int(whole.replace(",", ""))), between.side, text, found)
        if name:
            lossy = _is_loss(name) if name != between.name else between.lossy
            self._keep(name, value * factor, span, lossy=lossy)
        elif not self.cells and self.lead is None and not unit and _leads(line, found):
            self.lead = int(value) if value.is_integer() else None
            self.spans["lead"] = Span(*found.span(4), 0, 1.0)
        elif not unit:
            self._bare = value, span

    def _of_a_whole(self, name: str, bar: tuple[int, int], side: int, text: str, found: re.Match[str]) -> str:
        """Take a number of a whole; return its name, "" if it has none."""
        if "/" in name:
            name = name.partition("/")[0]  # 'global_step/max_steps': '10/438'
        elif side:  # Test: [ 10/48]
            self._side.hold(side)
            name = ""
        whole = found.start(5), found.start(5) + len(found[5].rstrip(","))
        spans = Span(*found.span(4), 0, 1.0), Span(*whole, 0, 1.0)
        if name:
            self.wholes.setdefault(name, bar[1])
            self.spans.setdefault(f"/{name}", spans[1])
        elif self.bar is None:
            self.bar = bar
            self.spans["bar"], self.spans["/bar"] = spans
        elif text.replace(" ", "") == "][" and "epoch" not in self.cells:
            self.cells["epoch"], self.wholes["epoch"] = float(self.bar[0]), self.bar[1]  # [3/300][10/1251]
            self.spans["epoch"], self.spans["/epoch"] = self.spans["bar"], self.spans["/bar"]
            self.bar = bar
            self.spans["bar"], self.spans["/bar"] = spans
        return name

    def _keep(self, name: str, value: float, span: Span | None, *, lossy: bool) -> None:
        if lossy:
            self._side.lossy = True
            words = set(words_of(name)) if self._side.mark > 0 else set()
            if words & _TRAIN_WORDS:
                self._side.held_out = False  # the line of an evaluation tells the loss of the steps before it
            elif self._side.mark > 0 and not HELD_OUT & words:
                name = HELD_OUT_MARK + name
        if name not in self.cells:
            self.cells[name] = value
            if span is not None:
                self.spans[name] = span
        self._last = name


def scan(line: str) -> Scanned | None:
    """Return what a line says, None if it has no number.

    >>> scan("iter 250: loss 2.8457, time 306.15ms, mfu 40.10%").cells
    {'iter': 250.0, 'loss': 2.8457, 'time': 306.15, 'mfu': 40.1}
    """
    scanned, at = Scanned(), 0
    for found in _VALUE.finditer(line):
        scanned.take(line, at, found)
        at = found.end()
    return scanned if at else None


def _is_loss(name: str) -> bool:
    return kind_of(words_of(name)) is not None


def _leads(line: str, found: re.Match[str]) -> bool:
    """Whether a number begins what its line says: behind nothing, or in brackets behind those of a logger."""
    before = line[: found.start()]
    return not before.strip(" [(#") or (before.endswith("] [") and line[found.end() : found.end() + 1] == "]")


def _number(digits: str) -> float:
    return float(digits.replace(",", "") if "," in digits else digits)


def _read(text: str) -> _Between:
    """Read a text between two numbers, and remember it."""
    made = _between(text)
    if len(_remembered) < MOST_REMEMBERED:
        _remembered[text] = made
    return made


def _between(text: str) -> _Between:
    if text.strip().lower() in _OF:
        return _Between("", "", 0, of=True, lossy=False, side=0, letters=True, behind="")
    plain = _PARENTHESES.sub(" ", _WRAPPED.sub("", text)) if "(" in text else text
    cut = max(plain.rfind(","), plain.rfind(";"))
    near = plain[cut + 1 :]
    quoted = _QUOTED.search(plain) if cut >= 0 and not near.strip() else None
    near = quoted[1] if quoted is not None else near
    pieces = [piece for piece in _BREAKS.split(near.rstrip(" :=['\"(\t|-`*")) if piece.strip()]
    name = pieces[-1].strip(" '\"*`#>-_.()") if pieces else ""
    name = _SYMBOLS.sub("", _LEVEL.sub("", name.rpartition('"')[2]))
    pending = ""
    at = _AT.fullmatch(name)
    if at is not None:
        pending, name = at.group(1).strip(), at.group(2).strip()
    if _SOURCE.search(name):
        name = ""  # train.py:812
    if name and f"::{name}" in text:
        name = ""  # tests/test_fit.py::test_loss PASSED
    if text.rstrip().endswith("#") and " " in name:
        name = ""  # Test net output #1
    if name.endswith(" of") or name.lower() in _FILLERS:
        name = ""  # number of nan iterations: 0
    if not _LETTER.search(name) or len(name) > MOST_LETTERS or len(name.split()) > MOST_WORDS:
        name = ""
    around = text.replace(name, " ") + pending if name else text
    held, trained = _HELD.search(around), _TRAINED.search(around)
    mark = 1 if held and not trained else -1 if trained else 0
    words = set(words_of(name))
    side = 0 if not words or not words <= HELD_OUT | TRAIN else 1 if words & HELD_OUT else -1
    letters = bool(_LETTER.search(text))
    after = _BEHIND.match(text)
    behind = after[1] if after is not None and not name and _is_loss(after[1]) else ""
    counted = _COUNTED.match(text)
    if counted is not None and _is_loss(name):
        behind = counted[1]
    return _Between(name, pending, mark, of=False, lossy=_is_loss(name), side=side, letters=letters, behind=behind)
