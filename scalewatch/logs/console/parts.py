"""Printed lines -> what each says: its numbers and what counts on it, of one rank where several speak."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import final

from scalewatch.logs.columns import COUNTER_OF_EPOCHS, FIELDS, placed, ranked, step_place
from scalewatch.logs.console.lines import Line
from scalewatch.logs.console.ranks import Ranks
from scalewatch.logs.console.scan import Scanned, Span, scan
from scalewatch.logs.console.skeletons import Family, Skeletons
from scalewatch.logs.console.tables import Boxes, Heading, Records, begins
from scalewatch.logs.loss_names import TRAIN
from scalewatch.objective import words_of

__all__ = ["Parts", "counters_of", "is_field", "parsed", "plain_line", "plain_lines", "says_nothing", "step_rank"]

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
#: `第3轮`, the third epoch: its number stands before what it counts.
_ORDINAL = re.compile(r"第\s*(\d+)\s*(?:个|個)?\s*(轮次?|輪|步|エポック|ステップ)")
_BARS = str.maketrans({"│": "|", "┃": "|", "║": "|", "\x08": "\n"})
#: Stands for a line that has to be looked at by itself: no line that was read is like it.
NOT_PLAIN = "\x08"
#: A longer line is no row of a console [letters]: it is read up to here.
MOST_LETTERS = 20_000
_RANK = re.compile(
    r"(?:^|[\[(\s,/])(?:global_|local_)?rank[ :=_]*(\d+)|^\s*\[?default(\d+)\]?:|\[gpu[ :]?(\d+)\]|\bpid=(\d+)",
    re.IGNORECASE,
)
#: What a line has to have that holds a number; one that heads a table has a loss instead.
_SAYS = re.compile(r"\d|[nN][aA][nN]|[iI][nN][fF]|^\s*[|+=\-╒╞╘┏┡└┌├]|^\s*\{[^}]*$")
#: What a progress bar may be called that counts steps of training.
_TRAINING_BAR = TRAIN | {
    "epoch",
    "epochs",
    "step",
    "steps",
    "iter",
    "iteration",
    "iterations",
    "it",
    "progress",
    "loss",
}
#: Words beside a counter that leave it one.
_ADJECTIVES = frozenset(
    {"completed", "current", "cur", "finished", "done", "train", "training", "learning", "number", "no"}
)
#: Counters that are none in a table, where a batch is a size; `up` are the updates of Marian. Behind all others.
_ODD, _LAST = ("up", "batch", "minibatch", "batches", "idx"), 1_000.0


@lru_cache(maxsize=8192)
def _is_epoch(name: str) -> bool:
    words = [word for word in words_of(name) if word not in TRAIN]
    return placed(" ".join(words), COUNTER_OF_EPOCHS) is not None


@lru_cache(maxsize=8192)
def step_rank(name: str) -> float | None:
    """Return where a name stands among those of steps, the less the likelier; None if it counts none."""
    words = [word for word in words_of(name) if word not in _ADJECTIVES]
    place = step_place(name)
    if place is None and len(words) == 1:
        place = step_place(words[0])
        if place is None and words[0] in _ODD:
            place = _LAST + _ODD.index(words[0])
    return place


@lru_cache(maxsize=8192)
def is_field(name: str) -> bool:
    """Return whether a number of this name can be a field of a row, or an epoch."""
    return any(ranked([name], field) for field in FIELDS if field != "step") or _is_epoch(name)


def plain_line(line: str) -> str:
    """Return a line without colours, with one kind of bar, and what stood before the cursor went back left out."""
    if "\x1b" in line:
        line = _ANSI.sub("", line)
    if not line.isascii() or "\x08" in line:
        line = _ORDINAL.sub(r"\2 \1", line.translate(_BARS))
        if "\n" in line:
            line = next((part for part in reversed(line.split("\n")) if part.strip()), "")
    return line[:MOST_LETTERS]


def plain_lines(lines: list[str]) -> list[str] | None:
    """Return many lines as `plain_line` does each of them, None where one has to be looked at by itself."""
    begun = text = "\n".join(lines)
    if "\x1b" in text:
        if "\x1b]" in text:
            return None  # it goes on to its end, which may be in another line
        text = _ANSI.sub("", text)
    if not text.isascii():
        if "第" in text:
            return None
        for bar in "│┃║":
            if bar in text:
                text = text.replace(bar, "|")
    plain = lines if text is begun else text.split("\n")
    if "\x08" in text:
        plain = [line.rstrip("\x08") for line in plain]
        plain = [line if line.strip() and "\x08" not in line else NOT_PLAIN for line in plain]
    return plain if len(plain) == len(lines) and max(map(len, plain)) <= MOST_LETTERS else None


def says_nothing(line: str) -> bool:
    """Return whether a line holds no number and speaks of no loss."""
    return not line or line.isspace() or not (_SAYS.search(line) or "oss" in line or "OSS" in line)


def counters_of(names: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the name that counts steps, the likeliest, and the one that counts epochs."""
    steps = [(rank, name) for name in names if (rank := step_rank(name)) is not None]
    return min(steps)[1] if steps else None, next((name for name in names if _is_epoch(name)), None)


@final
class Parts:
    """What lines are made of: tables, boxes and everything else, of one rank where several speak.

    Args:
        wanted: whether a number of this name is; None for all, and then no line is read by its skeleton.

    Attributes:
        ranks: the processes that speak, and which of them is read.
    """

    def __init__(self, wanted: Callable[[str], bool] | None = None) -> None:
        self._boxes, self._heading, self._records = Boxes(), Heading(), Records()
        self._skeletons = None if wanted is None else Skeletons(wanted)
        self.ranks = Ranks()

    def lines(self, text: str) -> list[Line]:
        """Return what a line says, mostly one thing or nothing."""
        if says_nothing(text) and not self._records.stands:
            return []
        text = plain_line(text)
        if self._records.may_hold(text):
            return [line for whole in self._records.line(text) for line in self._said(whole)]
        return self._said(text)

    def _said(self, text: str) -> list[Line]:
        skeletons = None if self.inside or self._boxes.may_hold(text) else self._skeletons
        if skeletons is not None and (known := skeletons.line(text)) is not None:
            line, rank = known
            return [line] if rank is None else self.ranks.of(rank, line)
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
        if _may_head(scanned) and self._heading.starts(text):
            return found
        line, rank = _learn(text, scanned, skeletons if not found else None)
        return [*found, line] if rank is None else [*found, *self.ranks.of(rank, line)]

    @property
    def inside(self) -> bool:
        """Whether a table or a box stands, so that what a line says depends on those before it."""
        return self._heading.stands or self.begun

    @property
    def begun(self) -> bool:
        """Whether a box or a record stands."""
        return self._boxes.stands or self._records.stands

    @property
    def heading(self) -> Heading:
        """The heading of a table, if one stands."""
        return self._heading

    @property
    def standing(self) -> object:
        """What stands: where it changes, the lines behind are read otherwise."""
        return self.begun, self._heading.named

    def family(self, text: str) -> Family | None:
        """Return the skeletons that one plan reads and this line has, which is learnt now if need be, None if none.

        To be asked of a line without colours, outside tables and boxes.
        """
        skeletons = self._skeletons
        if skeletons is None or self._boxes.may_hold(text) or self._records.may_hold(text):
            return None
        family = skeletons.family(text)
        scanned = scan(text) if family is None else None
        if scanned is not None and not (_may_head(scanned) and self._heading.would_start(text)):
            _learn(text, scanned, skeletons)
            family = skeletons.family(text)
        if family is not None:
            skeletons.see(family)
        return family

    def saw_losses(self, count: int, text: str) -> None:
        """Take note of losses that the process which is read said, the last of them in this line without colours."""
        known = None if self._skeletons is None else self._skeletons.line(text)
        if known is not None:
            self.ranks.spoke(known[0], count)

    def end(self) -> list[Line]:
        """Return what a box holds that the log ends in, and a record."""
        found = [line for text in self._records.end() for line in self._said(text)]
        box = self._boxes.end()
        return found if box is None else [*found, _read(box, {}, None, "")]


def _may_head(scanned: Scanned) -> bool:
    """Whether a line with numbers may head a table."""
    return not scanned.cells or max(map(len, scanned.cells)) < 2


def _learn(text: str, scanned: Scanned, skeletons: Skeletons | None) -> tuple[Line, str | None]:
    """Return what a line says and its rank, and remember its skeleton."""
    line, rank = _read(scanned.cells, scanned.wholes, scanned, text), _rank_of(text, scanned)
    heads, moves = _may_head(scanned) and begins(text), "[gpu" in text.lower()
    if skeletons is not None and not heads and not moves:
        skeletons.learn(line, next((name for name in line.cells if _is_epoch(name)), None), scanned, rank)
    return line, None if rank is None else rank[0]


def _rank_of(text: str, scanned: Scanned) -> tuple[str, Span] | None:
    if "rank" in text or "default" in text or "pid=" in text or "[gpu" in text.lower()[:40] or "RANK" in text:
        found = _RANK.search(text)
        return None if found is None else (found[found.lastindex or 0], Span(*found.span(found.lastindex or 0), 0, 1.0))
    if scanned.lead is not None and any(step_rank(name) is not None for name in scanned.cells):
        span = scanned.spans["lead"]
        if text[span.end : span.end + 2] == ": ":  # srun --label puts it before each line
            return str(scanned.lead), span
    return None


def _read(cells: dict[str, float], wholes: dict[str, int], scanned: Scanned | None, text: str) -> Line:
    epoch = next((name for name in cells if _is_epoch(name)), None)
    steps = [(rank, name) for name in cells if (rank := step_rank(name)) is not None and cells[name].is_integer()]
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


def parsed(lines: Iterable[str]) -> Iterator[Line]:
    """Yield what lines say, those that say nothing left out."""
    parts = Parts()
    for text in lines:
        yield from parts.lines(text)
    yield from parts.end()
