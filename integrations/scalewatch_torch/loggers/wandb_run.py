"""Weights & Biases: charts over the step of the run, the state of the run in its summary, a table of what was found.

Nothing is committed by us: `run.log` would count a step of its own, and a loop that logs with `step=` would find its
next rows refused. So our numbers go into the row that the user's next `log` commits, or that the end of the run does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from scalewatch_torch.loggers.base import PREFIX, AbstractLogger, Incident, class_names

__all__ = ["WandbRun"]

#: What the charts are drawn over.
STEP = f"{PREFIX}step"


@final
class WandbRun(AbstractLogger):
    """A run of `wandb.init`.

    Args:
        run: of W&B.
    """

    name = "W&B"

    def __init__(self, run: Any) -> None:
        self._run = run
        self._is_defined = False

    @classmethod
    def of(cls, thing: Any) -> WandbRun | None:
        """Return that of a run, or of a `WandbLogger`."""
        names = class_names(thing)
        run = thing.experiment if any(name.endswith(".WandbLogger") for name in names) else thing
        return cls(run) if "wandb.Run" in class_names(run) else None

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers beside those of the user."""
        if not self._is_defined:
            self._is_defined = True
            self._run.define_metric(STEP, hidden=True)
            self._run.define_metric(f"{PREFIX}*", step_metric=STEP)
        self._run.log({**values, STEP: step}, commit=False)

    def incident(self, incident: Incident) -> None:
        """Keep the newest in the summary; the table comes at the end."""
        said = f"step {incident.step:,}: {incident.severity}: {incident.kind}: {incident.message}"
        self._run.summary.update({f"{PREFIX}newest_finding": said})

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Do nothing: the summary says the same."""

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Set keys of the summary."""
        self._run.summary.update({f"{PREFIX}{key}": value for key, value in values.items()})

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Log the table."""
        import wandb

        table = wandb.Table(columns=list(Incident._fields), data=[list(incident) for incident in incidents])
        self._run.log({f"{PREFIX}findings": table, STEP: step}, commit=False)
