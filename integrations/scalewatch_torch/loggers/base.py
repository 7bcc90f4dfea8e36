"""What a place has to do to which a run is logged, and the names of what is logged.

One file a place, one row in `table.py`. A place is known by the name of its class, and its package is imported only in
the functions that a run with such a logger calls.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from scalewatch.finding import Finding, Phase
from scalewatch.forecast import Forecast
from scalewatch.kinds import kind_name

__all__ = ["AbstractLogger", "Incident", "class_names", "forecast_values"]

#: Level of every band.
LEVEL = 0.8
#: The same in standard deviations of a Gaussian, to either side.
SDS = 1.2816

PREFIX = "scalewatch/"
LOSS, VALIDATION_LOSS = f"{PREFIX}loss", f"{PREFIX}validation_loss"
EXPECTED, FINAL = f"{PREFIX}expected_loss", f"{PREFIX}forecast_final_loss"
GAP_NATS, GAP_TOKENS = f"{PREFIX}gap_nats", f"{PREFIX}gap_token_ratio"
RATE_FACTOR = f"{PREFIX}learning_rate_factor"
LOW, HIGH = "_low_80", "_high_80"


class Incident(NamedTuple):
    """A finding, in words."""

    step: int
    severity: str
    kind: str
    message: str

    @classmethod
    def of(cls, finding: Finding) -> Incident:
        """Return a finding in words; one that closes an incident is "over"."""
        word = "over" if finding.phase is Phase.CLOSED else finding.severity.value
        return cls(finding.step, word, kind_name(finding.kind), finding.message)


class AbstractLogger(abc.ABC):
    """A place to which a run is logged.

    Its methods are called by one background thread, which may wait for them; what one raises switches off this place.
    None of them may change what the user logs there, nor the count of the user's steps.
    """

    #: What it is called.
    name: ClassVar[str]

    @classmethod
    @abc.abstractmethod
    def of(cls, thing: Any) -> AbstractLogger | None:
        """Return the place that `thing` logs to, None if it is of another kind. Called in the thread of the loop."""

    @abc.abstractmethod
    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers of a step, by their names."""

    @abc.abstractmethod
    def incident(self, incident: Incident) -> None:
        """Log what was found."""

    @abc.abstractmethod
    def text(self, tag: str, step: int, markdown: str) -> None:
        """Log a text, such as the verdict."""

    @abc.abstractmethod
    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Say what is known of the run as a whole by now; a later value takes the place of one before."""

    @abc.abstractmethod
    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Log what is logged once, when the run has ended: all that was found."""


def class_names(thing: Any) -> set[str]:
    """Return the names of the classes that `thing` is of, each behind the package that it is from.

    >>> class_names(1.5) == {"builtins.float", "builtins.object"}
    True
    """
    return {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(thing).__mro__}


def forecast_values(forecast: Forecast) -> dict[str, float]:
    """Return the numbers that a forecast is drawn as."""
    values = band(FINAL, forecast.final_loss, *forecast.interval(LEVEL))
    gap = forecast.law_gap
    if gap is not None:
        values[GAP_NATS] = gap.nats
        if gap.token_ratio is not None:
            values[GAP_TOKENS] = gap.token_ratio
    return values


def band(tag: str, middle: float, low: float, high: float) -> dict[str, float]:
    """Return a number and its interval by their names."""
    return {tag: middle, tag + LOW: low, tag + HIGH: high}
