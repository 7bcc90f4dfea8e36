"""Other learning-rate schedules for a run, from its newest step or an earlier one: where each would end.

An earlier step is looked back to without the run's rows being read again from the start: the stretches of the curve
that were complete by then are kept, and the rows after them are taken once more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from scalewatch.errors import ScalewatchError

if TYPE_CHECKING:
    from scalewatch.forecast import Forecaster
    from scalewatch.forecast.candidate_schedules import CandidateSchedule
    from scalewatch.forecast.counterfactual import Outcome, Position
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["LEVEL", "Counterfactual", "NothingToSayError", "tell", "what_if_of"]

#: Level of the intervals.
LEVEL = 0.8
#: Rows that are taken again at most when looking back; of more, as many are taken evenly [count].
MOST_ROWS = 30_000
#: A run that has at most this part of its plan before it is at its end: nothing is left to schedule.
OVER_SHARE = 1e-9


@final
class NothingToSayError(ScalewatchError):
    """Nothing can be said of other schedules: the sentence says why, and what would help."""


@final
class Counterfactual(NamedTuple):
    """What other schedules would end at.

    Attributes:
        now: where the run stands, or stood. loss: level of the loss there [nats/token].
        schedules: the rates to come, the plan first. outcomes: where each ends.
        notes: what is to be known with them, a sentence each.
        looked_back: whether that is an earlier step than the newest.
    """

    now: Position
    loss: float
    schedules: list[CandidateSchedule]
    outcomes: list[Outcome]
    notes: list[str]
    looked_back: bool


def what_if_of(state: RunState, request: ChartRequest) -> dict[str, Any]:
    """Return the answer of `/whatif`: where the run stands, and each schedule with where it ends.

    Where nothing can be said, `empty` holds the sentence that says why.

    Raises:
        ConfigError: if what was asked for is no schedule.
    """
    try:
        found = tell(state, request)
    except NothingToSayError as reason:
        return {"empty": str(reason), "now": None, "outcomes": [], "notes": []}
    now = found.now
    where = {
        "step": now.step,
        "total_steps": now.total_steps,
        "progress": now.step / now.total_steps,
        "loss": found.loss,
        "rate": now.rate,
        "rate_share": now.rate / now.peak,
        "planned": now.planned,
        "looked_back": found.looked_back,
        "level": LEVEL,
        "sentence": sentence(found),
    }
    rows = [_row(name_of(found, place), each, now.step) for place, each in enumerate(found.outcomes)]
    return {"now": where, "outcomes": rows, "notes": found.notes}


def tell(state: RunState, request: ChartRequest) -> Counterfactual:
    """Return what the plan of a run, the usual alternatives and what was asked for would end at.

    Raises:
        NothingToSayError: if nothing can be said. ConfigError: if what was asked for is no schedule.
    """
    from scalewatch.forecast import candidate_schedules as of
    from scalewatch.forecast.counterfactual import position, what_if
    from scalewatch.forecast.validity import validity_warnings

    forecaster, looked_back = _as_of(state, request.whatif.at)
    now = position(forecaster)
    if now is None:
        raise NothingToSayError(_no_position(forecaster, looked_back))
    if not now.rate > 0:
        raise NothingToSayError(
            f"The learning rate at step {now.step:,} is zero, so there is nothing left to schedule: choose an "
            "earlier step."
        )
    why = forecaster.why_none if looked_back else state.tracker.no_forecast
    found = validity_warnings(forecaster.blocks, forecaster.run.total_steps, why)
    for warning in found:
        if warning.void:
            raise NothingToSayError(f"Nothing can be said of other schedules at step {now.step:,}. {warning.text}")
    forecast = forecaster.forecast()
    if forecast is None or not math.isfinite(forecast.final_loss):
        raise NothingToSayError(
            f"Nothing can be said at step {now.step:,} yet: a forecast needs some rows of the curve after the warm-up."
        )
    schedules = _schedules(now, request)
    outcomes = what_if(forecaster, schedules)
    notes = [
        *_open_incidents(state, now.step, looked_back),
        *(warning.text for warning in found),
        *now.caveats("name the schedule"),
        *(note for each in outcomes for note in each.notes),
    ]
    losses = forecaster.blocks.losses
    level = losses[-1] if losses else math.nan
    plan = of.given(now.rest, "as planned")
    return Counterfactual(
        now, level, [plan, *schedules], outcomes, list(dict.fromkeys([*notes, *forecast.notes])), looked_back
    )


def name_of(found: Counterfactual, place: int) -> str:
    """Return what a schedule is called; the first is the plan, or holding the rate where none is known."""
    if place == 0 and not found.now.planned:
        return "hold the rate (the plan is not known)"
    return found.outcomes[place].name


def sentence(found: Counterfactual) -> str:
    """Return which schedule of the planned length is surely better than the plan, if any is."""
    same = [each for each in found.outcomes if each.total_steps == found.now.total_steps and not each.notes]
    best = min(same, key=lambda each: each.difference, default=found.outcomes[0])
    low, high = best.difference_interval(LEVEL)
    if best is found.outcomes[0] or high >= 0:
        return "No schedule of this length is surely better than the plan."
    return f"Best of this length: {best.name}, {-best.difference:.3f} lower (80 %: {-high:.3f} to {-low:.3f})."


def _row(name: str, each: Outcome, step: int) -> dict[str, Any]:
    low, high = each.interval(LEVEL)
    less, more = each.difference_interval(LEVEL)
    return {
        "name": name,
        "total_steps": each.total_steps,
        "steps_left": each.total_steps - step,
        "tokens": each.tokens,
        "final_loss": each.final_loss,
        "low": low,
        "high": high,
        "difference": each.difference,
        "difference_low": less,
        "difference_high": more,
        "evidence_grade": str(each.evidence_grade),
        "notes": list(each.notes),
    }


def _schedules(now: Position, request: ChartRequest) -> list[CandidateSchedule]:
    """What was asked for, and the usual ways to go on."""
    from scalewatch.forecast import candidate_schedules as of

    asked = request.whatif
    own: list[CandidateSchedule] = []
    if asked.decay is not None:
        share = min(asked.decay / now.total_steps, 1.0)
        own.append(of.hold_then_decay(now.rate, now.left, now.total_steps, share))
    if asked.extend is not None:
        own.append(of.extended(now.rest, asked.extend))
    if asked.rate is not None:
        own.append(of.scaled(now.rest, asked.rate))
    names = {each.name for each in own}
    usual = of.usual(now.rate, now.rest, now.step, now.total_steps)
    return [*own, *(each for each in usual if each.name not in names)]


def _open_incidents(state: RunState, step: int, looked_back: bool) -> list[str]:
    """What was wrong with the run at a step."""
    from scalewatch.finding import Phase

    if looked_back:
        newest = {finding.kind: finding for finding in list(state.findings) if finding.step <= step}
        found = [finding for finding in newest.values() if finding.phase is not Phase.CLOSED]
    else:
        with state.lock:
            found = list(state.tracker.monitor.open_incidents)
    return [
        f"An incident is open: {finding.message}. What is said holds for a run that recovers."
        for finding in found
        if finding.pages
    ]


def _no_position(forecaster: Forecaster, looked_back: bool) -> str:
    total, step = forecaster.run.total_steps, forecaster.blocks.last_step
    if total is None:
        return (
            "The planned length of this run is not known, and schedules are compared by where they end: give the "
            "planned steps."
        )
    if step < 1:
        return "There is no row with a loss yet: other schedules can be compared once the run is past its warm-up."
    if step >= total * (1 - OVER_SHARE):
        again = "" if looked_back else " Look back instead: choose an earlier step."
        return f"The run is over, at step {step:,} of {total:,}: nothing is left to schedule.{again}"
    return f"No learning rate is known at step {step:,}: name the schedule."


def _as_of(state: RunState, at: float | None) -> tuple[Forecaster, bool]:
    """The forecaster of a run as it was after step `at`, and whether that is an earlier step."""
    with state.lock:
        live = state.tracker.monitor.forecaster
        if live is None:
            raise NothingToSayError("There is no forecast of this run: TensorBoard's log says what went wrong.")
        twin = live.copy()
        columns = state.columns()
    step = twin.blocks.last_step
    if at is None or at >= step:
        return twin, False
    if not at >= 1:
        raise NothingToSayError("No step is that early: choose one after the warm-up.")
    twin.rewind(int(at) + 1)
    first = int(np.searchsorted(columns.steps, twin.blocks.last_step, side="right"))
    last = int(np.searchsorted(columns.steps, int(at), side="right"))
    rows = np.unique(np.linspace(first, max(last - 1, first), min(max(last - first, 0), MOST_ROWS)).astype(int))
    clean = ~_in_incident(state, columns.steps[rows])
    taken = zip(
        columns.steps[rows].tolist(),
        columns.losses[rows].tolist(),
        columns.learning_rates[rows].tolist(),
        clean.tolist(),
        strict=True,
    )
    for at_step, loss, rate, fine in taken:
        twin.observe(at_step, loss, rate if rate == rate else None, fine)
    return twin, True


def _in_incident(state: RunState, steps: Any) -> Any:
    """Which steps lie in an incident that holds the loss: the forecast does not learn from these."""
    from scalewatch.finding import Phase
    from scalewatch.kinds import HOLD_THE_LOSS

    held = np.zeros(len(steps), dtype=bool)
    for finding in list(state.findings):
        if finding.kind in HOLD_THE_LOSS and finding.phase is not Phase.OPENED:
            held |= (steps >= finding.start_step) & (steps <= finding.step)
    return held
