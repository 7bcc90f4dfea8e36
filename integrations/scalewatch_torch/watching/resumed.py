"""Where a run goes on from, and the monitor that goes on with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from scalewatch.errors import ConfigError
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.guard import Guard
from scalewatch.journal import registered_in
from scalewatch.monitor import Monitor
from scalewatch.run import Run
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.terminal import escape

__all__ = ["Resumed", "monitor_of"]

_log = logging.getLogger("scalewatch")


class Resumed(NamedTuple):
    """Where a run goes on from: the step of the checkpoint, and what our part of it holds."""

    step: int
    monitor: Mapping[str, Any] | None
    run_id: str | None
    alerts: object = None
    told_ahead: Sequence[str] = ()


def monitor_of(run: Run, options: Options, guard: Guard, resumed: Resumed | None, folder: Path | None) -> Monitor:
    """Return the monitor of a run, in the state that a checkpoint holds if the run goes on.

    Args:
        run: what is trained. options: as they were checked; what was registered of a run of another length says nothing
            of this one, and is not used. guard: what every part runs through.
        resumed: where it goes on from, None if it begins. folder: of its journal, None for none.
    """
    promised = options.registered
    if promised is not None and promised.total_steps != run.total_steps:
        planned = "no planned end" if run.total_steps is None else f"{run.total_steps:,} planned steps"
        _log.warning(
            "scalewatch: the registered prediction is for %s steps and this run has %s: it is not held against it.",
            f"{promised.total_steps:,}",
            planned,
        )
        promised = None
    baseline = promised if resumed is None else Guard().call("registered prediction", _registered, resumed, folder)

    def new() -> Monitor:
        return Monitor(
            run, options.law, guard, registered=baseline, detectors=options.detectors, **asdict(options.goals)
        )

    monitor = new()
    if resumed is None or resumed.monitor is None:
        return monitor
    # a guard of its own: a checkpoint of another version is no fault of this run
    loaded = Guard().call("state from the checkpoint", _load, monitor, resumed.monitor)
    return monitor if loaded else new()


def _registered(resumed: Resumed, folder: Path | None) -> BaselineForecast | None:
    """What the run registered when it began, as its journal holds it."""
    record = None if folder is None else registered_in(folder, resumed.run_id)
    return None if record is None else BaselineForecast.from_record(record)


def _load(monitor: Monitor, state: Mapping[str, Any]) -> bool:
    try:
        monitor.load_state_dict(state)
    except ConfigError as fault:
        _log.warning("scalewatch: watching starts afresh: %s", escape(fault))
        return False
    return True
