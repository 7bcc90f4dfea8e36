"""Memory that can be written down: a few named plain values, saved and loaded bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from scalewatch.errors import ConfigError

__all__ = ["Stateful"]


class Stateful:
    """Something whose whole memory is a few named plain values; to be inherited, abstract in spirit."""

    #: Names of the attributes that are the memory: ints, floats, strings, lists of them, or `Stateful`.
    STATE: ClassVar[tuple[str, ...]] = ()

    @final
    def state_dict(self) -> dict[str, Any]:
        """The memory as plain ints, floats, strings, lists and dicts."""
        state: dict[str, Any] = {}
        for name in self.STATE:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                value = value.state_dict()
            elif isinstance(value, list):
                value = list(value)
            elif isinstance(value, dict):
                value = dict(value)
            state[name] = value
        return state

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, bit for bit.

        Raises:
            ConfigError: if it is not the state of this class.
        """
        for name in self.STATE:
            if name not in state:
                raise ConfigError(f"The state of a {type(self).__name__} must hold `{name}` (got {sorted(state)}).")
            value, mine = state[name], getattr(self, name)
            if isinstance(mine, Stateful):
                mine.load_state_dict(value)
            elif isinstance(mine, list):
                setattr(self, name, list(value))
            elif isinstance(mine, dict):
                setattr(self, name, dict(value))
            else:
                setattr(self, name, type(mine)(value))
        self._loaded()

    def _loaded(self) -> None:
        """Rebuild what is derived from the memory."""
