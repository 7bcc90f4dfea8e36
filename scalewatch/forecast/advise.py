"""From what was found and forecast to what to do: the rules of advice in one table, one function a rule.

Every rule names its source in its file. While an incident of the loss is open there is no advice but about it, and
while anything else is open that wakes someone, none from the forecast: it was made for a healthy run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from scalewatch.advice import Action, Advice
from scalewatch.forecast.advise_budget import about_budget
from scalewatch.forecast.advise_forecast import about_aims, about_least_gain, about_schedule
from scalewatch.forecast.advise_incident import about_incident
from scalewatch.forecast.advise_setup import about_law, about_setup
from scalewatch.forecast.situation import Aims, Situation

__all__ = ["Adviser", "Aims", "Situation", "advise"]

Rule = Callable[[Situation], list[Advice]]

#: Rules about what is wrong now; the first group that says anything is all that is said.
WRONG: tuple[tuple[Rule, ...], ...] = ((about_incident,), (about_law, about_setup))
#: Rules about a healthy run, the most urgent first.
HEALTHY: tuple[Rule, ...] = (about_aims, about_least_gain, about_schedule, about_budget)


def advise(now: Situation) -> list[Advice]:
    """Return what to do now, the most urgent first; empty if there is nothing to do but train on."""
    for group in WRONG:
        advice = [said for rule in group for said in rule(now)]
        if advice:
            return advice
    if any(finding.pages for finding in now.open_incidents):
        return []
    advice = []
    for rule in HEALTHY:
        # one action is advised for one reason, the most urgent; a run that is to be stopped needs nothing else
        advice += [said for said in rule(now) if said.action not in {before.action for before in advice}]
        if any(said.action is Action.STOP for said in advice):
            break
    return advice


@final
class Adviser:
    """Gives advice as often as it is asked for, and looks at the forecast only once a stretch of the curve.

    A look takes some milliseconds, and nothing that a forecast says changes within a twentieth of the steps so far.
    """

    def __init__(self) -> None:
        self._healthy: list[Advice] = []
        self._looked: tuple[int, int] | None = None

    def advise(self, now: Situation) -> list[Advice]:
        """Return what to do now; of a healthy run at most a stretch of its curve old."""
        if now.gap is not None or any(finding.pages for finding in now.open_incidents):
            return advise(now)
        steps = [] if now.forecaster is None else now.forecaster.blocks.end_steps
        at = (len(steps), steps[-1] if steps else 0)
        if at != self._looked:
            self._looked, self._healthy = at, advise(now)
        return self._healthy
