"""A place to which several losses of one run are logged: by turns, each under its name."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, final

from scalewatch_torch.loggers.base import PREFIX, AbstractLogger, Incident

__all__ = ["Shared", "shared_among"]


@final
class Shared(AbstractLogger):
    """A place as one of several losses logs to it.

    Args:
        place: where they are logged. turn: which of them is at it now.
        label: name of the loss, which stands in all names of what is logged; "" for the first, whose names are those
            of a run with one loss.
    """

    name = "shared"

    def __init__(self, place: AbstractLogger, turn: threading.Lock, label: str) -> None:
        self.name = place.name  # type: ignore[misc]  # a fault is told by the name of the place
        self._place, self._turn = place, turn
        self._label = f"{label}/" if label else ""

    @classmethod
    def of(cls, thing: Any) -> None:
        """Return nothing: what is shared is known by its own kind."""

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers of a step."""
        named = {f"{PREFIX}{self._label}{key.removeprefix(PREFIX)}": value for key, value in values.items()}
        with self._turn:
            self._place.point(step, named)

    def incident(self, incident: Incident) -> None:
        """Log what was found, with the name of the loss."""
        said = f"{self._label[:-1]}: {incident.message}" if self._label else incident.message
        with self._turn:
            self._place.incident(incident._replace(message=said))

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Log a text."""
        with self._turn:
            self._place.text(f"{self._label}{tag}", step, markdown)

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Say what is known of the loss."""
        with self._turn:
            self._place.summary(step, {f"{self._label}{key}": value for key, value in values.items()})

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Log what is logged once a run, by the first loss."""
        if not self._label:
            with self._turn:
                self._place.end(step, incidents)


def shared_among(losses: Sequence[str], places: Sequence[AbstractLogger]) -> dict[str, list[AbstractLogger]]:
    """Return the places as each of these losses logs to them, by its name."""
    turns = [threading.Lock() for _ in places]
    return {
        loss: [
            Shared(place, turn, "" if loss == losses[0] else loss) for place, turn in zip(places, turns, strict=True)
        ]
        for loss in losses
    }
