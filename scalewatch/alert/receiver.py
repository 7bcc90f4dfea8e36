"""What takes messages: one small class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from scalewatch.alert.notification import Notification
from scalewatch.errors import ConfigError

__all__ = ["Receiver", "settings_of"]


def _keep_nothing() -> None:
    """Stands for what puts the memory on the disk, where there is none."""


class Receiver(ABC):
    """Takes messages to people. Made once, used by one background thread, for one run at a time.

    A subclass says in `name` how rules call it and sends in `send`; one that has settings is made by `from_settings`.
    What it wants to remember over a crash (the thread of a run) it puts into `memory`, as texts; it is on the disk
    when `send` has returned, or after `keep()`. One that sets `opens` is also told that a run has begun.
    """

    name: ClassVar[str] = ""
    opens: bool = False

    def __init__(self) -> None:
        self.remember({}, _keep_nothing)  # a function of the module: a receiver may be pickled, to spawned processes

    def remember(self, memory: dict[str, str], keep: Callable[[], object]) -> None:
        """Go on from `memory`; `keep` puts it on the disk."""
        self.memory, self.keep = memory, keep

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Receiver:
        """Make one from the settings in the rules, and secrets from the environment; unless overridden, it has none.

        Raises:
            ConfigError: if a setting is wrong or a secret is not set.
        """
        if settings:
            raise ConfigError(f"`{next(iter(settings))}` is nothing that can be set: it has no settings.")
        return cls()

    @abstractmethod
    def send(self, notification: Notification, timeout: float) -> None:
        """Send one message, within `timeout` [s].

        Raises:
            DeliveryError: if it was not taken.
        """


def settings_of(settings: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return `defaults` with what is set; a value must be of the type of its default, None means it must be a text.

    Raises:
        ConfigError: if something is set that is no setting, or is of another type.
    """
    for key, value in settings.items():
        if key not in defaults:
            raise ConfigError(f"`{key}` is nothing that can be set: it may be {', '.join(defaults)}.")
        wanted = str if defaults[key] is None else type(defaults[key])
        if type(value) is not wanted:
            raise ConfigError(f"`{key}` must be of type {wanted.__name__} (got {value!r:.60}).")
    return {**defaults, **settings}
