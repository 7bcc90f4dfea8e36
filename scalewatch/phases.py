"""What a person says of a run while it goes on: from here something is changed by design.

The note is of the process, so that it can be said where the change is made (a data module, a scheduler, a training
step) by who holds no monitor: each monitor of the process hears it with the next row that it is given.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import Any, Final, Protocol, final

from scalewatch.errors import ConfigError
from scalewatch.text import no_control

__all__ = ["MOST_LETTERS", "NOTES", "PhaseNotes", "checked_phase", "note_phase", "phase_text"]

#: Longest name of a phase [letters], and notes that are kept for a monitor that has not heard them [count]. By hand.
NAME_LETTERS, MOST_NOTES = 80, 16
#: Longest text of all that begins with one row [letters]: so many names. By definition.
MOST_LETTERS = NAME_LETTERS * MOST_NOTES


class Listener(Protocol):
    """Something that has rows of the time before a note, and hands them on first."""

    def before_note(self) -> None:
        """Hand them on; raises nothing. Called by the thread that notes."""


@final
class PhaseNotes:
    """The newest notes of this process, for any number of threads.

    Attributes:
        count: notes so far, also of those that are no longer kept.

    >>> notes = PhaseNotes()
    >>> notes.add("long context")
    >>> notes.since(0), notes.since(1)
    ((1, ('long context',)), (1, ()))
    """

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._names: deque[str] = deque(maxlen=MOST_NOTES)
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()

    def tell_first(self, listener: Listener) -> None:
        """Have `listener` told before each note, as long as it lives."""
        self._listeners.add(listener)

    def add(self, name: str) -> None:
        """Keep one more."""
        for listener in list(self._listeners):
            listener.before_note()
        with self._lock:
            self._names.append(name)
            self.count += 1

    def since(self, count: int) -> tuple[int, tuple[str, ...]]:
        """Return the count as of now, and the names noted after the first `count`, oldest first, at most 16."""
        with self._lock:
            names = tuple(self._names)
            return self.count, names[max(len(names) - (self.count - count), 0) :]


#: Of this process.
NOTES: Final = PhaseNotes()


def note_phase(name: str) -> None:
    """Say that something is changed by design from the next step on: no rise or fall of the loss by it is a page.

    For what only you know: a stage of a curriculum or of the data, the warm-up of a weight in the loss, another batch
    size. Each monitor of this process begins its levels anew with the next row that it sees, and says so; a loss that
    is no number is told as ever. Call it once where the change begins, not at each step.

    Args:
        name: what begins, up to 80 letters on one line.

    Raises:
        ConfigError: if `name` is no such text.

    >>> note_phase("long context")
    """
    NOTES.add(checked_phase(name))


def checked_phase(name: object) -> str:
    """Return the name of a phase without blanks around it.

    Raises:
        ConfigError: if it is no text of 1 to 80 letters on one line.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not 0 < len(text) <= NAME_LETTERS or not text.isprintable():
        raise ConfigError(f"The name of a phase must be a text of 1 to {NAME_LETTERS} letters (got {name!r:.90}).")
    return text


def phase_text(value: Any) -> str:
    """Return the name of a phase that stands in a row, fit for a terminal; "" for what is none.

    >>> phase_text(" stage 2 "), phase_text(7)
    ('stage 2', '')
    """
    return no_control(value.strip())[:MOST_LETTERS] if isinstance(value, str) else ""
