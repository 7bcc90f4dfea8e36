"""Tells on the way at which step a run ends that the clock ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from scalewatch.forecast.end_by_time import EndByTime
from scalewatch.guard import Guard
from scalewatch_lightning.introspect import why_no_end

__all__ = ["TellsEnd", "seconds_planned", "tells_end"]

#: Parts of the time at which the end is told. By hand.
TOLD_AT = (0.1, 0.5)
#: Two-sided 80 % of a Gaussian, by definition.
GAUSSIAN_80 = 1.2816


@final
class TellsEnd:
    """Tells where a run will stand when its time is over.

    Args:
        seconds: of the whole run. elapsed: gives those so far. note: tells a sentence.
    """

    def __init__(self, seconds: float, elapsed: Callable[[], float], note: Callable[[str], None]) -> None:
        self._seconds, self._elapsed, self._note = seconds, elapsed, note
        self._clock: EndByTime | None = None
        self._to_tell = list(TOLD_AT)
        self._guard = Guard()

    def after_step(self, step: int) -> None:
        """Take note that a step was taken, and tell if it is time to."""
        if self._to_tell:
            self._guard.call("end by time", self._look, step)

    def _look(self, step: int) -> None:
        now = self._elapsed()
        if self._clock is None:
            self._clock = EndByTime(self._seconds - now)
        due = self._clock.see(step, now) and now >= self._to_tell[0] * self._seconds
        end = self._clock.end if due else None
        if end is None:
            return
        self._to_tell = [part for part in self._to_tell if now < part * self._seconds]
        away = GAUSSIAN_80 * end.sd
        about, low, high = (_rounded(step, more) for more in (end.more, max(end.more - away, 0.0), end.more + away))
        self._note(
            f"by `max_time` and the speed so far it ends after about {about:,} steps (80 %: {low:,} to {high:,})"
        )


def seconds_planned(trainer: Any) -> float | None:
    """Wall time after which the clock ends a run [s], that of its earlier parts included; None where none does."""
    timer = _timer(trainer)
    left = None if timer is None else timer.time_remaining()
    return None if timer is None or left is None else float(left + timer.time_elapsed())


def tells_end(trainer: Any, note: Callable[[str], None]) -> TellsEnd | None:
    """Say why no end of a run is planned; return what tells where the clock ends it, None if none does."""
    seconds = seconds_planned(trainer)
    if seconds is None:
        note(f"note: no forecast, for no end of the run is planned: {why_no_end(trainer)}.")
        return None
    note(f"note: no end of the run is planned: {why_no_end(trainer)}; its end is foretold by the speed of its steps.")
    return TellsEnd(seconds, _timer(trainer).time_elapsed, note)


def _timer(trainer: Any) -> Any:
    return next((each for each in trainer.callbacks if type(each).__name__ == "Timer"), None)


def _rounded(step: int, more: float) -> int:
    """A step, to three digits of what is still to come."""
    return step + round(float(f"{more:.3g}")) if more >= 1.0 else step
