"""MLflow: metrics over the step of the run, and the state of the run in its tags."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, final

from scalewatch_torch.loggers.base import AbstractLogger, Incident, class_names

__all__ = ["MlflowRun"]

#: Characters of a tag at most, as MLflow documents them.
MAX_TAG_CHARACTERS = 5_000
#: What our tags begin with.
TAG = "scalewatch."


@final
class MlflowRun(AbstractLogger):
    """A run of MLflow, through a client of its own: the run that is active in a thread is left alone.

    Args:
        client: an `MlflowClient`. run_id: of the run.
    """

    name = "MLflow"

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._run_id = run_id

    @classmethod
    def of(cls, thing: Any) -> MlflowRun | None:
        """Return that of `mlflow.start_run()`, or of an `MLFlowLogger`."""
        names = class_names(thing)
        if any(name.endswith(".MLFlowLogger") for name in names):
            return cls(thing.experiment, thing.run_id)
        if "mlflow.Run" not in names:
            return None
        from mlflow import MlflowClient

        return cls(MlflowClient(), thing.info.run_id)

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run_id, metrics=[Metric(key, value, now, step) for key, value in values.items()])

    def incident(self, incident: Incident) -> None:
        """Keep the newest in a tag; all of them are in one at the end."""
        self._tag("newest_finding", _line(incident))

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Do nothing: the tags say the same."""

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Set tags."""
        for key, value in values.items():
            self._tag(key, f"{value:.6g}" if isinstance(value, float) else str(value))

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Keep what was found in a tag, newest last."""
        self._tag("incidents", "\n".join(map(_line, incidents))[-MAX_TAG_CHARACTERS:] or "none")

    def _tag(self, key: str, text: str) -> None:
        self._client.set_tag(self._run_id, f"{TAG}{key}", text[:MAX_TAG_CHARACTERS])


def _line(incident: Incident) -> str:
    return f"step {incident.step:,}: {incident.severity}: {incident.kind}: {incident.message}"
