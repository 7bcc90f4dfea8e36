"""What a watch ends with is called also where its guard has switched everything off."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, final

from scalewatch.guard import Guard

__all__ = ["Shutdown"]

P = ParamSpec("P")
R = TypeVar("R")


@final
class Shutdown:
    """Calls what a run ends with, also where the guard of the run has switched everything off."""

    def __init__(self, guard: Guard) -> None:
        self._failed = guard.failed
        self._guard = Guard()

    def call(self, part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Call it unless `part` has failed before: it would only fail, and be told, a second time."""
        return None if part in self._failed else self._guard.call(part, function, *args, **kwargs)

    def again(self, part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Call it whatever has failed."""
        return self._guard.call(part, function, *args, **kwargs)
