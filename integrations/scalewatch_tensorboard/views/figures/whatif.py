"""The chart of other schedules: where each would end beside the plan, and the rates that it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.text import percent
from scalewatch_tensorboard.views.figures.spec import nothing
from scalewatch_tensorboard.views.whatif import LEVEL, Counterfactual, NothingToSayError, name_of, sentence, tell

if TYPE_CHECKING:
    from scalewatch.charts import Choice
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["whatif"]

#: Points of the rates of one schedule.
RATE_POINTS = 200
#: Notes under the headline; all of them stand beside the table.
MOST_NOTES = 3


def whatif(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
    """Return the specification of the chart, or under `empty` the sentence that says why there is none.

    Raises:
        ConfigError: if what was asked for is no schedule.
    """
    from scalewatch.charts import Frame, schedule_comparison

    del registry
    try:
        found = tell(state, request)
    except NothingToSayError as reason:
        return nothing(state, reason)
    now = found.now
    part = 100 * now.step / now.total_steps
    where = f"{'Looked back to' if found.looked_back else 'At'} step {now.step:,} of {now.total_steps:,} ({part:.0f} %)"
    rate = f"the learning rate is {percent(now.rate / now.peak)} of its peak"
    return schedule_comparison(
        _chosen(found, request.whatif.alternative),
        Frame(
            sentence(found), [f"{where}, {rate}.", *found.notes[:MOST_NOTES]], dark=request.dark, width=request.width
        ),
    ).to_dict()


def _chosen(found: Counterfactual, name: str | None) -> list[Choice]:
    """The plan and all other schedules, or only the one of that name if there is one."""
    from scalewatch.charts import Choice

    choices = []
    for place, (schedule, outcome) in enumerate(zip(found.schedules, found.outcomes, strict=True)):
        few = np.unique(np.linspace(0, len(schedule.rates) - 1, min(len(schedule.rates), RATE_POINTS)).astype(int))
        low, high = outcome.difference_interval(LEVEL)
        choices.append(
            Choice(
                name_of(found, place),
                outcome.final_loss,
                outcome.difference,
                low,
                high,
                str(outcome.evidence_grade),
                (found.now.step + 1 + few).astype(np.float64),
                schedule.rates[few],
                is_plan=place == 0,
            )
        )
    alone = [choice for choice in choices if choice.is_plan or choice.name == name]
    return alone if len(alone) > 1 else choices
