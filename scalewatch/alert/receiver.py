"""What takes messages: one small class each, found by its name through an entry point.

[project.entry-points."scalewatch.receivers"]
pager = "my_package:Pager"
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, NoReturn, final

from scalewatch.alert.notification import Notification
from scalewatch.alert.rules import Rules
from scalewatch.errors import ConfigError, ScalewatchError

__all__ = ["GROUP", "DeliveryError", "Receiver", "Secret", "make_receivers", "receiver_classes", "settings_of"]

#: Entry-point group in which receivers are found.
GROUP = "scalewatch.receivers"
#: A secret is no longer than this [characters].
MAX_SECRET = 4096


@final
class DeliveryError(ScalewatchError):
    """A message was not taken; the text says why and holds no secret.

    Args:
        why: in words. retry_after: pause that the other side asks for [s]. fatal: no message will ever be taken.
        useless: this one will not be, whatever the number of tries.
    """

    def __init__(
        self, why: str, *, retry_after: float | None = None, fatal: bool = False, useless: bool = False
    ) -> None:
        super().__init__(why)
        self.retry_after, self.fatal, self.useless = retry_after, fatal, useless or fatal


@final
class Secret:
    """A text out of the environment that nothing shows: not its repr, no log, no pickle, no JSON.

    Args:
        source: name of the environment variable.

    Raises:
        ConfigError: if it is not set, or is no text of one line.
    """

    __slots__ = ("_text", "source")

    def __init__(self, source: str, env: Mapping[str, str] | None = None) -> None:
        text = (os.environ if env is None else env).get(source, "").strip()
        if not text:
            raise ConfigError(f"The environment variable `{source}` must hold the secret, and it is not set.")
        if len(text) > MAX_SECRET or not text.isprintable():
            raise ConfigError(f"The environment variable `{source}` must hold one line of text.")
        self.source, self._text = source, text

    def reveal(self) -> str:
        """Return the text, for the one line that sends it."""
        return self._text

    def __repr__(self) -> str:
        return f"<{self.source}: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"The secret in `{self.source}` is not to be stored.")


class Receiver(ABC):
    """Takes messages to people. Made once, used by one background thread.

    A subclass says in `name` how rules call it, is made by `from_settings`, and sends in `send`. What it wants to
    remember over a crash (the thread of a run) it puts into `memory`, as texts; it is on the disk when `send` has
    returned, or after `keep()`. One that sets `opens` is also told that a run has begun.
    """

    name: ClassVar[str] = ""

    def __init__(self) -> None:
        self.memory: dict[str, str] = {}
        self.keep: Callable[[], object] = lambda: None
        self.opens = False

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Receiver:
        """Make one from the settings in the rules, and secrets from the environment.

        Raises:
            ConfigError: if a setting is wrong or a secret is not set.
        """

    @abstractmethod
    def send(self, notice: Notification, timeout: float) -> None:
        """Send one message, within `timeout` [s].

        Raises:
            DeliveryError: if it was not taken.
        """


def receiver_classes() -> dict[str, type[Receiver]]:
    """Return the receivers that are installed, by name; what cannot be loaded is left out."""
    from scalewatch.alert.receivers.apprise import Apprise
    from scalewatch.alert.receivers.command import Command
    from scalewatch.alert.receivers.email import Email
    from scalewatch.alert.receivers.webhook import Webhook

    found: dict[str, type[Receiver]] = {kind.name: kind for kind in (Webhook, Command, Email, Apprise)}
    for point in entry_points(group=GROUP):
        if point.name not in found:
            loaded = _loaded(point)
            if loaded is not None:
                found[point.name] = loaded
    return found


def _loaded(point: Any) -> type[Receiver] | None:
    try:
        kind = point.load()
    except (ImportError, AttributeError):  # somebody else's package, or an extra that is not installed
        return None
    return kind if isinstance(kind, type) and issubclass(kind, Receiver) else None


def make_receivers(rules: Rules) -> dict[str, Receiver]:
    """Return the receivers that the routes lead to, by name.

    Raises:
        ConfigError: if one does not exist, its settings are wrong or its secret is not set.
    """
    classes = receiver_classes()
    made = {}
    for name in rules.names:
        settings = dict(rules.receivers.get(name, {}))
        kind = str(settings.pop("type", name))
        if kind not in classes:
            known = ", ".join(sorted(classes))
            extra = " It needs the extra: pip install 'scalewatch[slack]'." if kind == "slack" else ""
            raise ConfigError(f"There is no receiver {kind!r:.60}: it must be one of {known}.{extra}")
        try:
            made[name] = classes[kind].from_settings(settings)
        except ConfigError as fault:
            raise ConfigError(f"The receiver `{name}` cannot be made: {fault}") from None
    return made


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
