"""trackio: one row at the end, with the last forecast, the state of the run and its verdict.

No rows in between: trackio counts one step of the user's for each row, whoever logs it, and has no way to add to a row.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, final

from scalewatch_torch.loggers.base import PREFIX, AbstractLogger, Incident, class_names

__all__ = ["TrackioRun"]


@final
class TrackioRun(AbstractLogger):
    """A run of `trackio.init`.

    Args:
        run: of trackio.
    """

    name = "trackio"

    def __init__(self, run: Any) -> None:
        self._run = run
        self._row: dict[str, Any] = {}

    @classmethod
    def of(cls, thing: Any) -> TrackioRun | None:
        """Return that of a run."""
        return cls(thing) if "trackio.Run" in class_names(thing) else None

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the newest numbers for the end."""
        self._row |= {**values, f"{PREFIX}step": step}

    def incident(self, incident: Incident) -> None:
        """Do nothing: the verdict names them."""

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Keep the newest text of a tag."""
        self._row[f"{PREFIX}{tag}"] = sys.modules["trackio"].Markdown(markdown)

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Keep how the run stands."""
        self._row |= {f"{PREFIX}{key}": values[key] for key in ("status", "status_sentence") if key in values}

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Log the row."""
        self._run.log(self._row)
