"""Forecasts as they were told: each run is read once, and asked at every tenth of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from _forecast_rivals import RIVALS
from _forecast_runs import Floats, Logged

from scalewatch import Finding, Kind, Monitor, Observation
from scalewatch.fitting import fit_curves
from scalewatch.laws import CurveLaw

LEVELS = (0.5, 0.8, 0.95)
FEWEST_ROWS = 12
OURS = "scalewatch"


@dataclass(frozen=True, eq=False)
class Told:
    """One forecast: its median and the ends of its intervals [nats/token], NaN where there are none."""

    run: Logged
    mode: str
    who: str
    fraction: float
    middle: float
    low: Floats = field(default_factory=lambda: np.full(len(LEVELS), np.nan))
    high: Floats = field(default_factory=lambda: np.full(len(LEVELS), np.nan))

    @property
    def error(self) -> float:
        """Forecast over outcome, less 1 [%]."""
        return 100.0 * (self.middle / self.run.final - 1.0)

    def holds(self, level: int) -> bool:
        """Whether the interval of `LEVELS[level]` holds the outcome."""
        return bool(self.low[level] <= self.run.final <= self.high[level])


@dataclass
class Watched:
    """All that was told of all runs, what was said against a law, and the time that it took."""

    told: list[Told] = field(default_factory=list)
    asked: int = 0
    off_law: list[tuple[Logged, list[Finding]]] = field(default_factory=list)
    seconds: float = 0.0
    forecast_seconds: list[float] = field(default_factory=list)


_laws: dict[tuple[str, ...], CurveLaw] = {}


def law_of(ladder: Sequence[Logged]) -> CurveLaw | None:
    """The law of a ladder, fitted once; None without one."""
    key = tuple(each.run.name for each in ladder)
    if ladder and key not in _laws:
        _laws[key] = fit_curves([each.curve for each in ladder])
    return _laws.get(key)


def follow(run: Logged, ladder: Sequence[Logged], fractions: Sequence[float], into: Watched) -> None:
    """Let one monitor read one run to its end, and ask it on the way."""
    mode = "ladder" if ladder else "own"
    plan = run.run.learning_rates
    assert plan is not None
    began = time.process_time()
    monitor = Monitor(run.run, law_of(ladder))
    asked_at = {run.rows_before(fraction): fraction for fraction in fractions}
    found: list[Finding] = []
    for row, (step, loss) in enumerate(zip(run.steps.tolist(), run.losses.tolist(), strict=True)):
        if row in asked_at and row >= FEWEST_ROWS:
            _ask(monitor, run, mode, asked_at[row], into)
        found += monitor.observe(Observation(step, loss, float(plan[step - 1])))
    into.seconds += time.process_time() - began
    if ladder:
        into.off_law.append((run, [f for f in found if f.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW)]))


def _ask(monitor: Monitor, run: Logged, mode: str, fraction: float, into: Watched) -> None:
    into.asked += 1
    began = time.process_time()
    forecast = monitor.forecast()
    into.forecast_seconds.append(time.process_time() - began)
    if forecast is None or not math.isfinite(forecast.final_loss):
        return
    low, high = np.array([forecast.interval(level) for level in LEVELS]).T
    into.told.append(Told(run, mode, OURS, fraction, forecast.final_loss, low, high))


def rival(who: str, run: Logged, ladder: Sequence[Logged], fractions: Sequence[float], into: Watched) -> None:
    """Ask one of the others at the same parts of the run."""
    for fraction in fractions:
        rows = run.rows_before(fraction)
        if rows < FEWEST_ROWS:
            continue
        into.asked += 1
        began = time.process_time()
        middle = RIVALS[who](run, rows, ladder)
        into.forecast_seconds.append(time.process_time() - began)
        if math.isfinite(middle):
            into.told.append(Told(run, "ladder" if ladder else "own", who, fraction, middle))
