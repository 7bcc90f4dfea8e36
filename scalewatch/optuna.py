"""An Optuna pruner that asks where a trial will end, and not where it stands.

    study = optuna.create_study(pruner=scalewatch.optuna.LawPruner(total_steps=100))

Median and Hyperband pruners compare present losses, and a rate that is high now ends low. This one forecasts each trial
from its own curve and from the trials that have ended, and prunes where all that were pruned together are expected to
gain less than a budget over the best. Optuna cannot pause a trial, so what `scalewatch sweep` would pause runs on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from scalewatch.advising.race import BUDGET, EARLIEST, Standing, Step, judge
from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.given import number_between, whole_number
from scalewatch.offline.sweeps import standing_of
from scalewatch.run import Run

try:
    from optuna.pruners import BasePruner
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as fault:
    raise ImportError(
        f"scalewatch.optuna needs the extra `optuna` ({fault}): pip install 'scalewatch[optuna]'."
    ) from None

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["LawPruner"]

#: Parts of a trial between two looks at it. By hand, as in tests/benchmarks/sweep_stopping.py.
LOOK_EVERY = 0.05
#: Ended trials that are compared with, the best of them, and pruned trials that count for the budget, the newest.
#: By hand: a study of thousands must not get slower with each trial.
MOST_ENDED, MOST_PRUNED = 8, 64


@final
class LawPruner(BasePruner):
    """Prunes a trial that is hardly expected to end below the best.

    Args:
        total_steps: reports of a whole trial, count; steps may be counted from 0 or from 1. What is reported is a
            loss that is minimised, above 0.
        budget: expected regret of all that was pruned, as a part of the loss, in (0, 1).
        learning_rates: the planned rates of a trial, shape (total_steps,), from the trial with its parameters; None
            where they are constant over a trial.

    Raises:
        ConfigError: if `total_steps` or `budget` is out of its range; when it prunes, if the study maximises.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        budget: float = BUDGET,
        learning_rates: Callable[[FrozenTrial], ArrayLike] | None = None,
    ) -> None:
        self._total = whole_number("total_steps", total_steps, 2)
        self._budget = number_between("budget", budget, "between 0 and 1, as a part of the loss, e.g. 0.001", 1.0)
        self._learning_rates = learning_rates
        self._known: dict[int, tuple[int, Standing]] = {}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to prune a trial now; looked at each twentieth from a fifth of its steps on."""
        if study.direction is StudyDirection.MAXIMIZE:
            raise ConfigError("`LawPruner` is for losses: the study must minimise (got direction 'maximize').")
        steps = self._steps(trial)
        if not steps or not self._is_look(steps):
            return False
        if not math.isfinite(list(trial.intermediate_values.values())[-1]):
            return True
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        standings = [self._standing(trial), *self._rivals(others)]
        self._known = {n: kept for n, kept in self._known.items() if str(n) in {s.name for s in standings}}
        return judge(standings, budget=self._budget).verdicts[0].step is Step.STOP

    def _rivals(self, others: Sequence[FrozenTrial]) -> list[Standing]:
        ended = [t for t in others if t.state is TrialState.COMPLETE and self._ended(t)]
        ended.sort(key=lambda t: list(t.intermediate_values.values())[-1])
        going = [t for t in others if t.state is TrialState.RUNNING and self._reached(t)]
        pruned = [t for t in others if t.state is TrialState.PRUNED and self._reached(t)]
        # before one has ended there is nothing that a pruned trial could be judged against
        chosen = [*ended[:MOST_ENDED], *going, *(pruned[-MOST_PRUNED:] if ended else [])]
        return [self._standing(t) for t in chosen]

    def _steps(self, trial: FrozenTrial) -> list[int]:
        first = 1 if 0 in trial.intermediate_values else 0
        return [step + first for step in sorted(trial.intermediate_values)]

    def _is_look(self, steps: Sequence[int]) -> bool:
        """Whether the newest report is the first past a twentieth."""
        before = steps[-2] if len(steps) > 1 else 0
        now, then = (math.floor(step / (LOOK_EVERY * self._total) + 1e-9) for step in (steps[-1], before))
        return now > then and self._part(steps) >= EARLIEST

    def _part(self, steps: Sequence[int]) -> float:
        return min(steps[-1] / self._total, 1.0)

    def _reached(self, trial: FrozenTrial) -> bool:
        steps = self._steps(trial)
        return bool(steps) and self._part(steps) >= EARLIEST

    def _ended(self, trial: FrozenTrial) -> bool:
        last = list(trial.intermediate_values.values())[-1:]
        return bool(last) and math.isfinite(last[0]) and last[0] > 0

    def _standing(self, trial: FrozenTrial) -> Standing:
        reports = len(trial.intermediate_values)
        kept = self._known.get(trial.number)
        over = trial.state is TrialState.COMPLETE
        if kept is None or kept[0] != reports or kept[1].ended != over:
            made = self._made(trial, over=over)
            self._known[trial.number] = kept = reports, made
        return kept[1]

    def _made(self, trial: FrozenTrial, *, over: bool) -> Standing:
        values: dict[int, Any] = dict(sorted(trial.intermediate_values.items()))
        rates: Floats = np.ones(self._total)
        if self._learning_rates is not None:
            rates = np.asarray(self._learning_rates(trial), dtype=np.float64)
            if rates.shape != (self._total,):
                raise ConfigError(
                    f"`learning_rates` must give {self._total} rates, one a step (got shape {rates.shape})."
                )
        run = Run(str(trial.number), learning_rates=rates)
        return standing_of(run, self._steps(trial), list(values.values()), ended=over)
