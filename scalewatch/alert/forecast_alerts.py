"""What the forecast of a run says to people: that it misses its target, and what it advises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scalewatch.advice import Action, Advice
from scalewatch.alert.dedup import Incident
from scalewatch.alert.notification import clean
from scalewatch.alert.notification_log import Event
from scalewatch.alert.rules import Threshold
from scalewatch.finding import Phase, Severity
from scalewatch.kinds import EventKind

__all__ = ["HasForecast", "advice_event", "target_event"]


class HasForecast(Protocol):
    """A forecast of the final loss [nats/token], as far as the alerts read it."""

    @property
    def step(self) -> int:
        """Newest step it knows of."""

    @property
    def final_loss(self) -> float:
        """Its median."""

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) that hold it with probability `level`."""

    def probability_below(self, loss: float) -> float:
        """Return the probability that it is below `loss`."""


def advice_event(ahead: Sequence[Advice], step: int) -> Event:
    """Return what is advised from the forecast as something to tell, loud if it is to stop.

    Args:
        ahead: what is advised, the most important first; at least one. step: newest step.
    """
    severity = Severity.WARNING if any(a.action is Action.STOP for a in ahead) else Severity.INFO
    words = "; or ".join(f"{a.action.value.replace('_', ' ')}: {a.reason.rstrip('.')}" for a in ahead)
    return Event(EventKind.ADVICE, severity, Phase.OPENED, step, step, clean(words))


def target_event(forecast: HasForecast, thresholds: Sequence[Threshold], known: Incident | None) -> Event | None:
    """Return what a forecast changes: it misses a target, or misses none any more; None if that is `known`."""
    misses = [(t, 1.0 - forecast.probability_below(t.target + t.by)) for t in thresholds]
    missed = [(t, miss) for t, miss in misses if miss >= t.probability]
    if not misses or bool(missed) == (known is not None and known.closed_at is None):
        return None
    worst, miss = max(missed or misses, key=lambda pair: (pair[0].severity.rank, pair[1]))
    low, high = forecast.interval(0.8)
    message = (
        f"forecast {forecast.final_loss:.4g} (80 %: {low:.4g} to {high:.4g}) against a target of"
        f" {worst.target:g}: it ends more than {worst.by:g} above it with {100 * miss:.0f} %"
    )
    phase = Phase.OPENED if missed else Phase.CLOSED
    return Event(EventKind.TARGET, worst.severity, phase, forecast.step, forecast.step, message)
