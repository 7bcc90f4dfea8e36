"""The receivers that there are: those in `receivers/`, and those that other packages bring."""

from __future__ import annotations

from scalewatch.alert.receiver import Receiver
from scalewatch.alert.receivers.apprise import Apprise
from scalewatch.alert.receivers.command import Command
from scalewatch.alert.receivers.email import Email
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.alert.rules import Rules
from scalewatch.errors import ConfigError
from scalewatch.plugins import entry_points_of, loaded_class

__all__ = ["GROUP", "RECEIVERS", "make_receivers", "receiver_classes"]

#: Entry-point group in which other packages name theirs.
GROUP = "scalewatch.receivers"
#: Those that need nothing but this package, or say what they need when they are made.
RECEIVERS: dict[str, type[Receiver]] = {kind.name: kind for kind in (Webhook, Command, Email, Apprise)}


def receiver_classes() -> dict[str, type[Receiver]]:
    """Return the receivers that are installed, by name; what cannot be loaded is left out."""
    return _found()[0]


def _found() -> tuple[dict[str, type[Receiver]], dict[str, str]]:
    """The receivers by name, and why others cannot be used."""
    found, broken = dict(RECEIVERS), {}
    for name, point in entry_points_of(GROUP).items():
        if name not in found:
            kind, why = loaded_class(point, Receiver)  # type: ignore[type-abstract]  # no instance is asked for
            if kind is None:
                broken[name] = why
            else:
                found[name] = kind
    return found, broken


def make_receivers(rules: Rules) -> dict[str, Receiver]:
    """Return the receivers that the routes lead to, by name.

    Raises:
        ConfigError: if one does not exist, its settings are wrong or its secret is not set.
    """
    made: dict[str, Receiver] = {}
    for name in rules.names:
        given = rules.receivers.get(name, {})
        if isinstance(given, Receiver):
            made[name] = given
            continue
        settings = dict(given)
        kind = str(settings.pop("type", name))
        try:
            made[name] = _class_of(kind).from_settings(settings)
        except ConfigError as fault:
            raise ConfigError(f"The receiver `{name}` cannot be made: {fault}") from None
    return made


def _class_of(kind: str) -> type[Receiver]:
    if kind in RECEIVERS:
        return RECEIVERS[kind]
    found, broken = _found()
    if kind in found:
        return found[kind]
    extra = " It needs the extra: pip install 'scalewatch[slack]'." if kind == "slack" else ""
    if kind in broken:
        raise ConfigError(f"{broken[kind]}.{extra}")
    raise ConfigError(f"There is no receiver {kind!r:.60}: it must be one of {', '.join(sorted(found))}.{extra}")
