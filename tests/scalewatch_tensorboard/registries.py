"""A folder of logs as the plugin knows it, read to its end at once: no thread, no server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scalewatch.laws import CurveLaw
from scalewatch_tensorboard.runs.logdirs import Logdirs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import open_source
from scalewatch_tensorboard.views.overview import row_of

__all__ = ["registry_of"]


def registry_of(
    folder: Path, law_file: Path | None = None, law: CurveLaw | None = None, beside: Iterable[RunState] = ()
) -> RunRegistry:
    """All runs below a folder, each held against `law`, and runs of another folder that were read before."""
    registry = RunRegistry(Logdirs(str(folder), (("", folder),), (), law_file, None))
    registry.law = law
    for state in beside:
        registry.put(state)
    for found in registry.found():
        state = RunState(found.name, open_source(found), law)
        while state.advance(1.0):
            pass
        state.upkeep.summary = row_of(state)
        registry.put(state)
    return registry
