"""Columns that hold a setting of the run, such as the length of a sequence: where one changes, a phase begins.

Such a change is by design, and the loss moves with it: what `scalewatch.note_phase` says from inside a run, its log
says here. A setting stands for long and then changes at once; a weight in the loss may move as long as it likes, but
one way. A column that does neither is a measurement, whatever it is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, final

from scalewatch.logs.loss_names import HELD_OUT, TRAIN
from scalewatch.logs.values import is_blank, number
from scalewatch.objective import words_of

__all__ = ["Settings", "is_setting"]

#: Rows with a loss for which a setting stands, at least, and phases that one begins at most [rows, count]. By hand:
#: curricula have two to eight stages, of hundreds of rows and more.
HELD_ROWS, MOST_PHASES = 32, 12
#: Steps and rows from one phase of a weight that moves to the next: for so long the one before lasts
#: (detect/schedule.py). Least change of it that begins one [share]. By hand.
PHASE_STEPS, PHASE_ROWS, LEAST_CHANGE = 512, 8, 0.01
#: Letters of a name and of a value that the name of a phase has room for.
NAME_LETTERS, VALUE_LETTERS = 30, 20


def _words(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(name.split()) for name in names)


#: What a name says that holds a setting, or a weight in the loss: all words of one, beside words that say whose.
_SETTINGS: Final = (
    *_words("seqlen", "seq len", "sequence length", "sequence len", "seq length", "context length", "context len"),
    *_words("ctx len", "ctx length", "block size", "image size", "img size", "imgsz", "resolution", "input size"),
    *_words("crop size", "stage", "phase", "curriculum", "difficulty", "dataset", "num frames"),
)
_WEIGHTS: Final = (
    *_words(
        "kl weight", "kld weight", "kl beta", "kl coef", "kl coeff", "kl scale", "kl anneal", "beta", "loss weight"
    ),
    *_words("teacher forcing", "mask ratio", "aux weight", "adv weight", "gan weight", "perceptual weight"),
)
_BESIDE: Final = frozenset(
    {*TRAIN, "max", "current", "cur", "data", "model", "curriculum", "n", "num", "name", "id", "stage", "ratio"}
)


def is_setting(name: str, kinds: Iterable[frozenset[str]] = _SETTINGS) -> bool:
    """Return whether a name is that of a setting that a run may change by design.

    >>> is_setting("seq_len"), is_setting("train/curriculum_seqlen"), is_setting("stage"), is_setting("stage_loss")
    (True, True, True, False)
    """
    words = set(words_of(name))
    return any(needed <= words and not words - needed - _BESIDE for needed in kinds)


@final
class _Setting:
    """One of them: its value, for how many rows it has stood, and the phases that it has begun."""

    def __init__(self, *, moves: bool) -> None:
        self.moves = moves
        self.value: Any = None
        self.rows = self.phases = 0
        self._told: Any = None
        self._step = 0.0

    def see(self, value: Any, step: float) -> str | None:
        """Take a value that is another; return how the phase that begins with it is called, "" for a measurement."""
        before, self.value = self.value, value
        if before is None:
            self._told = value
            return None
        if self.moves:
            return self._moved(before, value, step)
        if self.rows <= HELD_ROWS or self.phases >= MOST_PHASES:
            return ""
        return self._begin(before, value, step)

    def go_back(self, value: Any, step: float) -> None:
        """Take the value that it had where the run went back to: what begins there anew is told anew."""
        self.value = self._told = value
        self.rows, self._step = max(self.rows, HELD_ROWS + 1), step

    def _moved(self, before: Any, value: Any, step: float) -> str | None:
        told = self._told
        if any(isinstance(each, str) for each in (told, before, value)) or self.phases >= MOST_PHASES:
            return ""
        if (value - before) * (before - told) < 0:
            return ""  # it went the other way before
        if abs(value - told) <= LEAST_CHANGE * max(abs(value), abs(told)):
            return None
        if self.phases and (step < self._step + PHASE_STEPS or self.rows < PHASE_ROWS):
            return None
        return self._begin(told, value, step)

    def _begin(self, before: Any, value: Any, step: float) -> str:
        self.phases += 1
        self.rows, self._told, self._step = 0, value, step
        return f"{before!s:.{VALUE_LETTERS}} -> {value!s:.{VALUE_LETTERS}}"


@final
class Settings:
    """The settings of one log; some numbers each.

    >>> settings = Settings()
    >>> settings.know(["step", "loss", "seq_len"])
    >>> settings.see({"seq_len": 512}, 1)
    >>> settings.hold(40, 41)
    >>> settings.see({"seq_len": "1024"}, 42)
    'seq_len 512 -> 1024'
    """

    def __init__(self) -> None:
        self._settings: dict[str, _Setting] = {}
        self._known: set[str] = set()
        self._newest = -math.inf

    def know(self, names: Iterable[str]) -> None:
        """Take note of the columns that there are by now."""
        for name in names:
            if name not in self._known and (is_setting(name) or is_setting(name, _WEIGHTS)):
                self._known.add(name)
                self._settings[name] = _Setting(moves=not is_setting(name))

    def breaks(self, cells: Callable[[str], Sequence[Any] | None], loss: str) -> list[int]:
        """Return the places of many rows at which a setting is not what it was in the row with a loss before.

        Args:
            cells: the cells of a column, None for one that is not there. loss: the column of the loss.
        """
        places: list[int] = []
        losses = cells(loss)
        for name, setting in self._settings.items():
            before = same = setting.value
            for place, cell in enumerate(cells(name) or ()):
                if cell != same and (value := _value(cell)) is not None:
                    if value != before:
                        places.append(place)
                        if losses is None or number(losses[place]) is None:
                            continue  # `see` is told of the next one
                    before, same = value, cell
        return places

    def hold(self, rows: int, step: float) -> None:
        """Take note of so many rows up to a step in which no setting changed."""
        self._newest = step
        for setting in self._settings.values():
            setting.rows += rows

    def of(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Return the cells of one row that `see` looks at."""
        return {name: cells.get(name) for name in self._settings}

    def see(self, cells: Mapping[str, Any], step: float) -> str | None:
        """Take one row with a loss; return what begins with it, by name, None if nothing does."""
        if not self._settings:
            return None
        begun = None
        back, self._newest = step < self._newest, step
        for name, setting in list(self._settings.items()):
            cell = cells.get(name)
            setting.rows += 1
            if cell == setting.value or (value := _value(cell)) is None or value == setting.value:
                continue
            if back:
                setting.go_back(value, step)
                continue
            change = setting.see(value, step)
            if change == "":
                del self._settings[name]
            elif change is not None:
                begun = f"{name.rpartition('/')[2]:.{NAME_LETTERS}} {change}"
        return begun


def _value(cell: Any) -> Any:
    """Return what a cell says: a number as such, so that `512` and `512.0` are one; a word of a split as none.

    None for a blank one: tables are filled up with NaN.
    """
    value = number(cell)
    if value is not None:
        return int(value) if value.is_integer() else None if math.isnan(value) else value
    if is_blank(cell):
        return None
    text = str(cell).strip()
    return "" if text.lower() in HELD_OUT | TRAIN else text
