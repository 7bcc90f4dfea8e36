"""From optimizer steps to the axis that was asked for: tokens, compute or hours, also of steps yet to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.run import Run
    from scalewatch_tensorboard.runs.columns import Columns

__all__ = ["Across"]

SECONDS_PER_HOUR = 3600.0
#: FLOPs of one token over those of a parameter: forward and backward pass (Kaplan et al. 2020, section 2.1).
FLOPS_PER_PARAMETER_TOKEN = 6.0
#: Part of the newest rows from which the pace of those to come is taken: a run is not paused for ever.
PACE_SHARE = 0.1
#: Knots that the way from a step to its place goes through: a straight line between, less than a pixel off.
KNOTS = 4_000


@final
class Across:
    """The x axis of one run.

    Args:
        unit: steps, tokens, flops or hours. columns: rows of the run. run: as planned.

    Attributes:
        rows: place of each row, shape (n,), never falling.

    Raises:
        ConfigError: if the run does not have this axis.
    """

    def __init__(self, unit: str, columns: Columns, run: Run) -> None:
        steps = columns.steps.astype(np.float64)
        self.rows = steps if unit == "steps" else self._places(unit, columns, steps, run)
        few = np.unique(np.linspace(0, len(steps) - 1, KNOTS).astype(int)) if len(steps) else np.zeros(0, dtype=int)
        self._steps, self._at = steps[few], self.rows[few]
        self._is_steps = unit == "steps"

    def of(self, steps: ArrayLike) -> Floats:
        """Return where steps lie, shape (n,), also beyond the newest, at the pace of the last tenth of the rows."""
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        if self._is_steps or not len(self._steps):
            return wanted
        at: Floats = np.interp(wanted, self._steps, self._at)
        first, last = self._steps[0], self._steps[-1]
        past = int(np.searchsorted(self._steps, last - PACE_SHARE * (last - first)))
        past = min(past, max(len(self._steps) - 2, 0))
        if last > self._steps[past]:
            pace = (self._at[-1] - self._at[past]) / (last - self._steps[past])
            at = np.where(wanted > last, self._at[-1] + pace * (wanted - last), at)
        if first > 0 and self._at[0] > 0:
            at = np.where(wanted < first, self._at[0] * np.maximum(wanted, 0) / first, at)
        return at

    def _places(self, unit: str, columns: Columns, steps: Floats, run: Run) -> Floats:
        if unit == "hours":
            return (_filled(columns.seconds, steps, "hours") - _first(columns.seconds)) / SECONDS_PER_HOUR
        per_step: Any = run.tokens_per_step
        tokens = steps * per_step if per_step is not None else _filled(columns.tokens, steps, unit)
        if unit == "tokens":
            return tokens
        if run.parameters is None:
            raise ConfigError("The compute of this run is not known: its log does not say how many parameters it has.")
        return FLOPS_PER_PARAMETER_TOKEN * run.parameters * tokens


def _first(values: NDArray[np.floating]) -> float:
    return float(values[np.flatnonzero(np.isfinite(values))[0]])


def _filled(values: NDArray[np.floating], steps: Floats, unit: str) -> Floats:
    """A column without gaps that never falls: clocks are set back, and rows lack a count."""
    fine = np.isfinite(values)
    if not fine.any():
        what = "time" if unit == "hours" else "count of tokens"
        raise ConfigError(f"This run has no axis of {unit}: its log has no {what}.")
    whole = values.astype(np.float64) if fine.all() else np.interp(steps, steps[fine], values[fine])
    rising: Floats = np.maximum.accumulate(whole)
    return rising
