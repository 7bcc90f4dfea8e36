"""Keeps every fault of ours out of somebody's training.

Each part (a detector, the journal, the forecast) runs through a guard: alone by `call`, one after another by `run`. Its
first fault is told once, through `logging`, and switches that part off; the third part that fails switches everything
off. Training never sees it. KeyboardInterrupt, SystemExit and GeneratorExit are not faults of ours and pass untouched.

With `SCALEWATCH_STRICT=1` in the environment faults are raised instead, so that tests cannot pass over them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from enum import Enum
from typing import ParamSpec, TypeAlias, TypeVar, final

__all__ = ["FAULT", "Fault", "Guard", "Stage", "attempt", "strict"]

_log = logging.getLogger("scalewatch")

#: Parts that may fail before the whole monitor is switched off: one fault is a bug, three are a broken install.
FAILED_PARTS_ALLOWED = 3
#: What a fault means where training goes on beside it.
CONSEQUENCE = "and is off for the rest of this run; training is not affected"

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
#: One part of a step: what the log calls it, and what it makes of the step's row (None where it has nothing to say).
Stage: TypeAlias = tuple[str, Callable[[T], R | None]]


@final
class Fault(Enum):
    """What comes out of a part that is off or fails now, where None is an honest answer."""

    FAULT = "fault"


FAULT = Fault.FAULT


def strict() -> bool:
    """Whether `SCALEWATCH_STRICT=1` asks for faults to be raised."""
    return os.environ.get("SCALEWATCH_STRICT", "") == "1"


@final
class Guard:
    """Calls functions so that no `Exception` of theirs gets out.

    Args:
        consequence: what a fault of a part means for whoever reads the log.

    >>> guard = Guard()
    >>> guard.call("sum", sum, [1, 2])
    3
    """

    def __init__(self, *, consequence: str = CONSEQUENCE) -> None:
        self.failed: dict[str, str] = {}
        self.off = False
        self._consequence = consequence

    def is_off(self, part: str) -> bool:
        """Whether `part`, or everything, has been switched off."""
        return self.off or part in self.failed

    def call(self, part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return `function(*args, **kwargs)`, or None if `part` is off or fails now."""
        if self.off or part in self.failed:
            return None
        try:
            return function(*args, **kwargs)
        except Exception as fault:
            if strict():
                raise
            self._switch_off(part, fault)
            return None

    def outcome(self, part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | Fault:
        """Return `function(*args, **kwargs)`, or `FAULT` if `part` is off or fails now.

        >>> Guard().outcome("lookup", {}.get, "nothing") is FAULT
        False
        """
        if self.off or part in self.failed:
            return FAULT
        try:
            return function(*args, **kwargs)
        except Exception as fault:
            if strict():
                raise
            self._switch_off(part, fault)
            return FAULT

    def given(self, part: str, function: Callable[[T], R], given: T) -> R | Fault:
        """Return `function(given)`, or `FAULT` if `part` is off or fails now: `outcome` at half its cost."""
        if self.failed and (self.off or part in self.failed):
            return FAULT
        try:
            return function(given)
        except Exception as fault:
            if strict():
                raise
            self._switch_off(part, fault)
            return FAULT

    def net(self, part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return `function(*args, **kwargs)`, or None if it fails now; it is told once, and called again all the same.

        For what parts that have guards of their own are called from: it stays on whatever is off, because other
        processes may wait for what comes after it.
        """
        try:
            return function(*args, **kwargs)
        except Exception as fault:
            if strict():
                raise
            if part not in self.failed:
                self._switch_off(part, fault)
            return None

    def run(self, stages: Iterable[Stage[T, R]], given: T, keep: Callable[[str, R], None]) -> None:
        """Show `given` to each stage that is not off; hand on what one says to `keep`, a fault of which is its own.

        One call for all stages of a step, because a call for each costs more than most of them.
        """
        left = iter(stages if not self.failed else [stage for stage in stages if not self.is_off(stage[0])])
        part = ""
        while True:
            try:
                for part, function in left:
                    outcome = function(given)
                    if outcome is not None:
                        keep(part, outcome)
                return
            except Exception as fault:
                if strict():
                    raise
                self._switch_off(part, fault)
                left = iter([stage for stage in left if not self.is_off(stage[0])])

    def _switch_off(self, part: str, fault: Exception) -> None:
        self.failed[part] = _describe(fault)
        off, self.off = self.off, len(self.failed) >= FAILED_PARTS_ALLOWED
        # a handler or a filter of the user's may fail too, above all where the stack or the memory is full
        with contextlib.suppress(Exception):
            _log.warning(
                "scalewatch: its part '%s' failed (%s) %s.",
                part,
                self.failed[part],
                self._consequence,
                exc_info=_log.isEnabledFor(logging.DEBUG),
            )
            if self.off and not off:
                _log.warning(
                    "scalewatch: %d parts failed; all of it is off for the rest of this run.", len(self.failed)
                )


def attempt(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> tuple[R | None, str]:
    """Return what a part of somebody else's returns and "", or None and what went wrong, in words.

    `SCALEWATCH_STRICT` changes nothing here: the faults of other packages are not ours.

    >>> attempt(int, "7"), attempt(int, "seven")[1]
    ((7, ''), "ValueError: invalid literal for int() with base 10: 'seven'")
    """
    try:
        return function(*args, **kwargs), ""
    except Exception as fault:
        return None, _describe(fault)


def _describe(fault: Exception) -> str:
    try:
        return " ".join(f"{type(fault).__name__}: {fault}".split())[:500]
    except Exception:  # a broken __str__ must not turn one fault into two
        return type(fault).__name__
