"""Makes a prediction of a run that has not begun, and says how much each thing that was assumed of it matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import final

from scalewatch.errors import ConfigError
from scalewatch.forecast import Forecast, Forecaster
from scalewatch.forecast.prediction_file import Assumption, Prediction
from scalewatch.laws import CurveLaw
from scalewatch.offline.assumed_schedule import assume_schedule
from scalewatch.run import Run

__all__ = ["PLANS", "PlannedRun", "register_run"]

#: Schedules that a prediction can be made for: those whose rates are known beforehand.
PLANS = ("cosine", "linear", "wsd", "constant")
#: What is assumed is taken to be this much more, to see how much it matters. By hand.
MORE = 1.1


@final
@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run as it is planned, in the few numbers that people know of it.

    Attributes:
        name: of the run. total_steps: planned optimizer steps. schedule: one of `PLANS`.
        peak_rate: highest learning rate. warmup_steps: steps up to it.
        tokens_per_step: tokens of a batch, count. parameters, non_embedding_parameters: count. Each None if unknown.
    """

    name: str
    total_steps: int
    schedule: str
    peak_rate: float
    warmup_steps: int
    tokens_per_step: float | None = None
    parameters: int | None = None
    non_embedding_parameters: int | None = None

    def run(self) -> Run:
        """Return it with the rate of each step.

        Raises:
            ConfigError: if the schedule is none, or the warm-up does not fit. RunError: if a number is none.
        """
        if self.schedule not in PLANS:
            raise ConfigError(f"`--schedule` must be one of {', '.join(PLANS)} (got {self.schedule!r:.40}).")
        if not 1 <= self.warmup_steps < self.total_steps:
            raise ConfigError(
                f"`--warmup-steps` must be at least 1 and below the {self.total_steps:,} steps of the run "
                f"(got {self.warmup_steps:,})."
            )
        if not 0.0 < self.peak_rate < 1e6:
            raise ConfigError(f"`--peak-rate` must be a learning rate above 0 (got {self.peak_rate:g}).")
        known = Run(
            self.name,
            total_steps=self.total_steps,
            tokens_per_step=self.tokens_per_step,
            parameters=self.parameters,
            non_embedding_parameters=self.non_embedding_parameters,
        )
        rows = ([self.warmup_steps], [self.peak_rate])
        return assume_schedule(self.name, known, *rows, self.total_steps, self.schedule).run


def register_run(law: CurveLaw, planned: PlannedRun, made_unix_s: float) -> Prediction:
    """Return the prediction of a run by a law of smaller runs, sealed.

    Args:
        law: of whole curves. planned: the run. made_unix_s: now, seconds since 1970.

    Raises:
        ConfigError: if the law says nothing of such a run.
    """
    forecaster = Forecaster(planned.run(), law)
    made, baseline = forecaster.forecast(), forecaster.baseline
    if made is None or baseline is None:
        missing = "" if law.size_of(planned.run()) is not None else ": say its size, as the law counts it"
        raise ConfigError(f"The law says nothing of where '{planned.name}' ends{missing}.")
    assumptions = tuple(_assumptions(law, planned, made))
    return Prediction(asdict(planned), baseline, law, assumptions, tuple(made.notes), made_unix_s).sealed()


def _assumptions(law: CurveLaw, planned: PlannedRun, made: Forecast) -> Iterator[Assumption]:
    for name, value, instead, other in _others(law, planned):
        forecast = Forecaster(other.run(), law).forecast()
        if forecast is not None:
            yield Assumption(name, value, instead, forecast.final_loss - made.final_loss)


def _others(law: CurveLaw, planned: PlannedRun) -> Iterator[tuple[str, str, str, PlannedRun]]:
    """Name, value, the other choice in words, and the run with it."""
    ten = f"{100 * (MORE - 1):.0f} % more"
    if (size := law.size_of(planned.run())) is not None and law.units.size_kind != "none":
        sizes = {
            name: round(MORE * count)
            for name, count in (
                ("parameters", planned.parameters),
                ("non_embedding_parameters", planned.non_embedding_parameters),
            )
            if count is not None
        }
        yield "parameters", f"{size:,.0f}", ten, replace(planned, **sizes)  # type: ignore[arg-type]
    yield "steps", f"{planned.total_steps:,}", ten, replace(planned, total_steps=round(MORE * planned.total_steps))
    if planned.tokens_per_step is not None:
        batch = replace(planned, tokens_per_step=MORE * planned.tokens_per_step)
        yield "tokens of a batch", f"{planned.tokens_per_step:,.0f}", ten, batch
    yield "peak rate", f"{planned.peak_rate:g}", ten, replace(planned, peak_rate=MORE * planned.peak_rate)
    warmup = min(2 * planned.warmup_steps, planned.total_steps - 1)
    yield "warm-up steps", f"{planned.warmup_steps:,}", "twice as many", replace(planned, warmup_steps=warmup)
    for schedule in PLANS:
        if schedule != planned.schedule:
            yield "schedule", planned.schedule, schedule, replace(planned, schedule=schedule)
