"""Detectors that this package does not bring: those given to a monitor, and those of other packages.

[project.entry-points."scalewatch.detectors"]
dead_neurons = "my_package:DeadNeurons"
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Collection, Iterable
from typing import Any

from scalewatch.detect.base import AbstractDetector
from scalewatch.detect.block import AbstractBlockDetector
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.state import Stateful
from scalewatch.errors import ConfigError
from scalewatch.guard import attempt
from scalewatch.plugins import entry_points_of, loaded_class

__all__ = ["GROUP", "MOST_OUTSIDE", "checked_detectors", "fresh_detectors"]

_log = logging.getLogger("scalewatch")

#: Entry-point group in which other packages name theirs: classes that are made without an argument.
GROUP = "scalewatch.detectors"
#: Detectors from outside that one run may have [count]: each of them costs time on each row. By hand.
MOST_OUTSIDE = 32


def checked_detectors(given: Any) -> tuple[AbstractDetector | AbstractBlockDetector, ...]:
    """Return the detectors that a user gave, or say what is wrong with one.

    Raises:
        ConfigError: if one is no detector (an object, not its class), has no name or incident, or a name twice.
    """
    if isinstance(given, str | bytes | Stateful) or not isinstance(given, Iterable):
        raise ConfigError(f"`detectors` must be a list of detectors (got {given!r:.60}, {type(given).__name__}).")
    detectors = tuple(given)
    for detector in detectors:
        why = _why_not(detector)
        if why:
            raise ConfigError(f"`detectors` must hold detectors such as MyDetector(): {why}.")
    names = [detector.name for detector in detectors]
    if len(set(names)) < len(names) or len(names) > MOST_OUTSIDE:
        raise ConfigError(f"`detectors` must be at most {MOST_OUTSIDE}, each with a name of its own (got {names}).")
    return detectors


def fresh_detectors(
    given: Iterable[AbstractDetector | AbstractBlockDetector], taken: Collection[str]
) -> list[AbstractDetector | AbstractBlockDetector]:
    """Return a copy of each detector that was given, and one of each that is installed and has another name.

    Args:
        given: as `checked_detectors` returned them; each run has copies of its own. taken: names of the built-in ones.

    Raises:
        ConfigError: if one that was given has such a name, or cannot be copied.
    """
    made = []
    for detector in given:
        if detector.name in taken:
            raise ConfigError(f"There is a detector called {detector.name!r} already: `name` must be another word.")
        own, why = attempt(copy.deepcopy, detector)
        if own is None:
            raise ConfigError(f"The detector {detector.name!r} cannot be copied for a run ({why}).")
        made.append(own)
    names = {*taken, *(detector.name for detector in made)}
    for kind in _installed():
        installed, why = attempt(kind)
        why = why or _why_not(installed)
        if installed is None or why:
            _log.warning("scalewatch: the detector %s is left out: %s.", kind.__qualname__, why)
        elif installed.name not in names and len(made) < MOST_OUTSIDE:
            names.add(installed.name)
            made.append(installed)
    return made


@functools.cache
def _installed() -> tuple[type[Any], ...]:
    """The classes that other packages name, looked for and loaded once in a process."""
    found: list[type[Any]] = []
    for name, point in entry_points_of(GROUP).items():
        kind, why = loaded_class(point, Stateful)
        if kind is None:
            _log.warning("scalewatch: the detector %s is left out: %s.", name, why)
        else:
            found.append(kind)
    return tuple(found)


def _why_not(detector: Any) -> str:
    """Why this can be no detector of a run; empty if it can."""
    if not isinstance(detector, AbstractDetector | AbstractBlockDetector):
        return f"{detector!r:.60} is none"
    if not isinstance(getattr(detector, "name", None), str) or not detector.name:
        return f"{type(detector).__name__} has no `name`"
    if not isinstance(getattr(detector, "incident", None), IncidentState):
        return (
            f"{type(detector).__name__} has no `incident`: its __init__ must call super().__init__(IncidentState(...))"
        )
    return ""
