"""Carries what is measured inside the model from whoever measures it to the observations.

`Precursors` is such a one; it is known by its methods only, so that somebody's own can take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, final, runtime_checkable

from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch.observation import Observation

__all__ = ["PrecursorSource", "Sensors"]


@runtime_checkable
class PrecursorSource(Protocol):
    """Measures a model at some of its steps; none of its methods may wait for a device."""

    missing: Mapping[str, str]

    def attach(self, module: Any, optimizer: Any) -> None:
        """Measure this model and its optimizer from now on."""

    def begin(self, step: int) -> None:
        """A forward pass of this step begins; once for each batch."""

    def after_forward(self) -> None:
        """The forward pass is over; may be said more than once."""

    def after_backward(self) -> None:
        """The gradient of a batch was added."""

    def before_step(self) -> None:
        """The gradient is complete and not yet clipped."""

    def read(self, step: int) -> Mapping[str, float] | None:
        """What was measured up to this step and has arrived, each sample once."""

    def detach(self) -> None:
        """Measure no more, wherever in a step this comes."""


@final
class Sensors:
    """The precursors of one run: nothing where there are none, and nothing after a fault of theirs.

    Attributes:
        on: whether the run at hand is looked into.

    Raises:
        ConfigError: if `source` cannot measure.
    """

    def __init__(self, source: PrecursorSource | None) -> None:
        if source is not None and (isinstance(source, type) or not isinstance(source, PrecursorSource)):
            raise ConfigError(
                "`precursors` must be an object like `scalewatch_torch.Precursors()` or None"
                f" (got {source!r}, {type(source).__name__})."
            )
        self.on = False
        self._source = source
        # of its own: three faults elsewhere must not leave a forward pass without its end
        self._guard = Guard()
        self._note: Callable[[str], None] | None = None

    def unattached(self) -> Sensors:
        """Return what a copy of the callback has: these, or none while they are hooked into a model."""
        return Sensors(None) if self.on else self

    def attach(self, module: Any, optimizer: Any, note: Callable[[str], None]) -> None:
        """Look into this model; `note` tells what cannot be measured, once."""
        if self._source is None:
            return
        self._guard, self._note = Guard(), note
        self._guard.call("precursors", self._source.attach, module, optimizer)
        self.on = not self._guard.failed

    def begin(self, step: int) -> None:
        """A batch of this step begins."""
        self._call("begin", step)

    def after_forward(self) -> None:
        """Its forward pass is over."""
        self._call("after_forward")

    def after_backward(self) -> None:
        """Its gradient was added, and is not scaled."""
        self._call("after_backward")

    def before_step(self) -> None:
        """The gradient is complete."""
        self._call("before_step")

    def add_to(self, observation: Observation) -> Observation:
        """The observation, with what has been measured up to its step."""
        if not self.on:
            return observation
        values = self._call("read", observation.step)
        if not values:
            return observation
        if self._note is not None:
            note, self._note = self._note, None
            why_not = "; ".join(f"{name} ({why})" for name, why in self._source_missing().items())
            if why_not:
                note(f"note: of the precursors these are not measured: {why_not}.")
        return observation._replace(precursors=values)

    def detach(self) -> None:
        """Look no more, whatever has failed."""
        if self.on and self._source is not None:
            self.on = False
            Guard().call("precursors", self._source.detach)

    def _source_missing(self) -> Mapping[str, str]:
        return {} if self._source is None else self._source.missing

    def _call(self, method: str, *arguments: Any) -> Any:
        if not self.on:
            return None
        result = self._guard.call("precursors", getattr(self._source, method), *arguments)
        if self._guard.failed:
            self.detach()
        return result
