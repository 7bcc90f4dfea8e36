"""From what was found and forecast to what to do: the rules of advice in one table, one function a rule.

Every rule names its source in its file. While an incident of the loss is open there is no advice but about it, and
while anything else is open that wakes someone, none from the forecast: it was made for a healthy run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, final

from scalewatch.advice import Action, Advice
from scalewatch.advising.budget import about_budget
from scalewatch.advising.context import AdviceContext, Goals
from scalewatch.advising.goals import about_aims, about_least_gain, about_schedule
from scalewatch.advising.incident import about_incident
from scalewatch.advising.setup import about_law, about_setup
from scalewatch.errors import JournalError
from scalewatch.forecast.forecaster import Forecaster
from scalewatch.forecast.schedule import PlannedSchedule
from scalewatch.journal.records import advice_from, advice_record

__all__ = ["AdviceContext", "Adviser", "Goals", "advise"]

Rule = Callable[[AdviceContext], list[Advice]]

#: Rules about what is wrong now; the first group that says anything is all that is said.
WRONG: tuple[tuple[Rule, ...], ...] = ((about_incident,), (about_law, about_setup))
#: Rules about a healthy run, the most urgent first.
HEALTHY: tuple[Rule, ...] = (about_aims, about_least_gain, about_schedule, about_budget)


def advise(now: AdviceContext) -> list[Advice]:
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

    A look takes 4 to 30 ms (the other schedules are walked to their ends), and nothing that a forecast says changes
    within a twentieth of the steps so far. On the step path nobody looks: `later` gives the look to another thread.
    """

    def __init__(self) -> None:
        # one tuple, so that a look on another thread puts both in their places at once
        self._last: tuple[tuple[int, int], list[Advice]] = ((-1, 0), [])

    def advise(self, now: AdviceContext, *, look: bool = True) -> list[Advice]:
        """Return what to do now; of a healthy run at most a stretch of its curve old, without `look` what is known."""
        if _in_trouble(now):
            return advise(now)
        if look and _stretch(now) != self._last[0]:
            self._last = (_stretch(now), advise(now))
        return self._last[1]

    @property
    def ahead(self) -> list[Advice]:
        """What the last look at the forecast said of the healthy run."""
        return self._last[1]

    def later(self, now: AdviceContext) -> Callable[[], None] | None:
        """Return the look at the forecast as it stands now, for another thread; None while something is wrong.

        Takes as long as a copy of the curve, some 0.1 ms.
        """
        if _in_trouble(now):
            return None
        frozen = replace(now, forecaster=_copied(now.forecaster))

        def look() -> None:
            self._last = (_stretch(frozen), advise(frozen))

        return look

    def state_dict(self) -> dict[str, Any]:
        """Return what was last advised, as plain values."""
        (stretches, step), advice = self._last
        return {"looked": [stretches, step], "advice": [advice_record(each) for each in advice]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            LookupError, TypeError, ValueError: if it is something else.
        """
        stretches, step = state["looked"]
        try:
            advice = [advice_from(record) for record in state["advice"]]
        except JournalError as fault:
            raise ValueError(str(fault)) from None
        self._last = ((int(stretches), int(step)), advice)


def _in_trouble(now: AdviceContext) -> bool:
    return now.gap is not None or any(finding.pages for finding in now.open_incidents)


def _stretch(now: AdviceContext) -> tuple[int, int]:
    ends = [] if now.forecaster is None else now.forecaster.blocks.end_steps
    return len(ends), ends[-1] if ends else 0


def _copied(forecaster: Forecaster | None) -> Forecaster | None:
    """A forecaster that stands still while the run goes on; what never changes is shared."""
    if forecaster is None:
        return None
    fixed: list[object] = [forecaster.run, forecaster.law, forecaster.promise, forecaster.registered]
    if isinstance(forecaster.schedule, PlannedSchedule):
        fixed.append(forecaster.schedule)
    return copy.deepcopy(forecaster, {id(part): part for part in fixed if part is not None})
