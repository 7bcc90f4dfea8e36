"""Advice to a run that trains: about trouble at once, from its forecast at each tenth of the run.

A look at the forecast takes 1 to 30 ms, so the step path only hands over a copy of the curve (some 0.02 ms) and tells
what the background thread has found some steps later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, final

from scalewatch.advice import Action, Advice
from scalewatch.forecast.milestones import TENTHS, next_look
from scalewatch.monitor import Monitor

__all__ = ["AdviceFeed", "AdviceNews"]

#: Looks that wait at most: a thread that is this far behind is not coming back.
MOST_WAITING = TENTHS


class AdviceNews(NamedTuple):
    """What is advised now, what of it was not told yet, and what of that comes from the forecast."""

    standing: list[Advice]
    new: list[Advice]
    ahead: list[Advice]


@final
class AdviceFeed:
    """What to tell of a monitor's advice: about trouble each time it stands anew, from the forecast once in a run.

    Args:
        monitor: of the run. done: steps taken before this session. told: actions that the forecast advised before it.
    """

    def __init__(self, monitor: Monitor, done: int, told: Iterable[str] = ()) -> None:
        self._monitor = monitor
        self._waiting: deque[Callable[[], None]] = deque(maxlen=MOST_WAITING)
        self._looked = False
        self._due = next_look(done, monitor.run.total_steps)
        self._announced: tuple[Action, ...] = ()
        self.told_ahead: list[str] = list(told)

    def follow(self, step: int) -> bool:
        """Hand a look over if it is time for one; whether there is work for the background thread."""
        if step < self._due:
            return False
        self._due = next_look(step, self._monitor.run.total_steps)
        refresh = self._monitor.refresh_in_background()
        if refresh is not None:
            self._waiting.append(refresh)
        return refresh is not None

    def drain(self) -> None:
        """Take the looks that wait. For the background thread."""
        while self._waiting:
            self._waiting.popleft()()
            self._looked = True

    @property
    def has_looked(self) -> bool:
        """Whether a look was taken that nobody has asked about."""
        return self._looked

    def say(self, *, look: bool = False) -> AdviceNews:
        """Return what is advised and what of it is to be told now; `look` looks at the forecast here and now."""
        self._looked = False
        refresh = self._monitor.refresh_in_background() if look else None
        if refresh is not None:
            refresh()
        standing = self._monitor.advice(look=False)
        ahead = [advice for advice in standing if advice in self._monitor.forecast_advice]
        trouble = [advice for advice in standing if advice not in ahead]
        new = [advice for advice in trouble if advice.action not in self._announced]
        unheard = [advice for advice in ahead if advice.action.value not in self.told_ahead]
        self._announced = tuple(advice.action for advice in trouble)
        self.told_ahead += [advice.action.value for advice in unheard]
        return AdviceNews(standing, [*new, *unheard], unheard)
