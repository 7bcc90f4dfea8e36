"""The places that are known, and which of them a loop logs to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from scalewatch.guard import attempt
from scalewatch_torch.loggers.base import AbstractLogger
from scalewatch_torch.loggers.csv_file import CsvFile
from scalewatch_torch.loggers.mlflow_run import MlflowRun
from scalewatch_torch.loggers.tensorboard import TensorBoard
from scalewatch_torch.loggers.trackio_run import TrackioRun
from scalewatch_torch.loggers.wandb_run import WandbRun

__all__ = ["LOGGERS", "loggers_of"]

_log = logging.getLogger("scalewatch")

#: All of them.
LOGGERS: tuple[type[AbstractLogger], ...] = (TensorBoard, WandbRun, MlflowRun, TrackioRun, CsvFile)


def loggers_of(things: Iterable[Any]) -> list[AbstractLogger]:
    """Return the places that these loggers, writers and runs log to; those that are not known are left out."""
    found = []
    for thing in things:
        for place in LOGGERS:
            # the faults of other packages are not ours: one place that is not there leaves the others
            logger, why = attempt(place.of, thing)
            if why:
                _log.warning("scalewatch: nothing of it is logged to %s: %s.", place.name, why)
            if logger is not None:
                found.append(logger)
    return found
