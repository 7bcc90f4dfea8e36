"""From what was found and forecast to what to do: the rules of advice in one table, one function a rule.

Every rule names its source in its file. While an incident of the loss is open there is no advice but about it, and
while anything else is open that wakes someone, none from the forecast: it was made for a healthy run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import final

from scalewatch.advice import Action, Advice
from scalewatch.advising.budget import about_budget
from scalewatch.advising.context import AdviceContext, Goals
from scalewatch.advising.goals import about_aims, about_least_gain, about_schedule
from scalewatch.advising.incident import about_incident
from scalewatch.advising.setup import about_law, about_setup

__all__ = ["AdviceContext", "Adviser", "Goals", "advise"]

Rule = Callable[[AdviceContext], list[Advice]]

#: Rules about what is wrong now; the first group that says anything is all that is said.
WRONG: tuple[tuple[Rule, ...], ...] = ((about_incident,), (about_law, about_setup))
#: Rules about a healthy run, the most urgent first.
HEALTHY: tuple[Rule, ...] = (about_aims, about_least_gain, about_schedule, about_budget)


def advise(context: AdviceContext) -> list[Advice]:
    """Return what to do now, the most urgent first; empty if there is nothing to do but train on."""
    unit = "" if context.run is None else context.run.unit_after
    return [each if each.expected_gain is None else replace(each, unit=unit) for each in _advised(context)]


def _advised(context: AdviceContext) -> list[Advice]:
    if context.is_over:
        return about_incident(context)  # nothing is left to change but where to go on from
    for group in WRONG:
        advice = [each for rule in group for each in rule(context)]
        if advice:
            return advice
    if any(finding.pages for finding in context.open_incidents):
        return []
    advice = []
    for rule in HEALTHY:
        # one action is advised for one reason, the most urgent; a run that is to be stopped needs nothing else
        advice += [each for each in rule(context) if each.action not in {before.action for before in advice}]
        if any(each.action is Action.STOP for each in advice):
            break
    return advice


@final
class Adviser:
    """Gives advice as often as it is asked for; that it was asked changes nothing of what it says later.

    Of a healthy run advice is a look at its forecast, which takes 1 to 30 ms (the other schedules are walked to their
    ends). On the step path nobody looks: `refresh_in_background` gives the look to another thread, and what it found is
    what is known until the next one. None of it is in the state of a run: it follows from the rest.

    Attributes:
        goals: what is wanted of the run.
    """

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        # each replaced as a whole, for a look may be taken on another thread
        self._newest: tuple[tuple[int, int], list[Advice]] | None = None
        self.forecast_advice: list[Advice] = []

    def advise(self, context: AdviceContext, *, look: bool = True) -> list[Advice]:
        """Return what to do now; without `look`, of a healthy run, what the last refresh found."""
        if _in_trouble(context):
            return advise(context)
        if not look:
            return list(self.forecast_advice)
        rows = context.step, 0 if context.forecaster is None else context.forecaster.revision
        if self._newest is None or self._newest[0] != rows:
            self._newest = rows, advise(context)
        return list(self._newest[1])

    def refresh_in_background(self, context: AdviceContext) -> Callable[[], None] | None:
        """Return the look at the forecast as it stands now, for another thread; None while something is wrong.

        Takes as long as a copy of the curve, some 0.01 ms.
        """
        if _in_trouble(context):
            return None
        frozen = None if context.forecaster is None else context.forecaster.frozen()
        still = replace(context, forecaster=frozen, off_plan=copy.copy(context.off_plan))

        def refresh() -> None:
            self.forecast_advice = advise(still)

        return refresh

    def restart(self) -> None:
        """Forget what was found: another state was loaded."""
        self._newest, self.forecast_advice = None, []


def _in_trouble(context: AdviceContext) -> bool:
    return context.gap is not None or any(finding.pages for finding in context.open_incidents)
