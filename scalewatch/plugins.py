"""Parts that other packages bring: found by their entry points, loaded when they are wanted, never trusted to load.

[project.entry-points."scalewatch.receivers"]
pager = "my_package:Pager"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from scalewatch.guard import attempt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["entry_points_of", "loaded_class"]

T = TypeVar("T")


def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """Return what is installed for a group, by name; nothing of it is imported."""
    from importlib.metadata import entry_points  # a third of what `import scalewatch` takes

    return {point.name: point for point in entry_points(group=group)}


def loaded_class(point: EntryPoint, base: type[T]) -> tuple[type[T] | None, str]:
    """Return the subclass of `base` that an entry point leads to and "", or None and why it cannot be used."""
    found, why = attempt(point.load)
    if why:
        return None, f"{point.value} cannot be loaded ({why})"
    if isinstance(found, type) and issubclass(found, base):
        return found, ""
    return None, f"{point.value} is no {base.__name__}"
