"""Parts that other packages bring: found by their entry points, loaded when they are wanted, never trusted to load.

[project.entry-points."scalewatch.receivers"]
pager = "my_package:Pager"
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scalewatch.guard import attempt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["entry_points_of", "loaded_class"]

T = TypeVar("T")


def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """Return what is installed for a group, by name; nothing of it is imported."""
    if not _may_be_named(group):
        return {}
    from importlib.metadata import entry_points  # a third of what `import scalewatch` takes

    return {point.name: point for point in entry_points(group=group)}


def _may_be_named(group: str) -> bool:
    """Whether what is installed in folders names the group; True where something may be installed otherwise."""
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    heading = f"[{group}]".encode()
    try:
        return any(heading in points for folder in sys.path for points in _entry_points_in(folder or "."))
    except OSError:
        return True


def _entry_points_in(folder: str) -> Iterator[bytes]:
    """What stands in the files of entry points of the packages in a folder.

    Raises:
        OSError: if it is no folder, or one of them cannot be read.
    """
    if not os.path.exists(folder):
        return
    for name in os.listdir(folder):
        if name.endswith((".dist-info", ".egg-info")):
            path = Path(folder, name, "entry_points.txt")
            if path.is_file():
                yield path.read_bytes()
        elif name.endswith(".egg"):
            raise OSError("an egg holds what it names inside")


def loaded_class(point: EntryPoint, base: type[T]) -> tuple[type[T] | None, str]:
    """Return the subclass of `base` that an entry point leads to and "", or None and why it cannot be used."""
    found, why = attempt(point.load)
    if why:
        return None, f"{point.value} cannot be loaded ({why})"
    if isinstance(found, type) and issubclass(found, base):
        return found, ""
    return None, f"{point.value} is no {base.__name__}"
