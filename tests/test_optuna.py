"""The Optuna pruner: real studies, by trials whose law is known."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from scalewatch.errors import ConfigError
from tests.synthetic import TrueLaw, constant, cosine, noisy

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

from scalewatch.optuna import LawPruner  # noqa: E402  after the check for optuna

TOTAL = 100
LEVELS = [0.3, 0.0, 0.25, 0.15, 0.004, 0.4, 0.2, 0.1]


def losses(above: float, seed: int, plan: np.ndarray) -> np.ndarray:
    """A trial of 100 reports, each of ten steps."""
    curve = noisy(TrueLaw().losses(plan, 8e6), 0.003, seed) + above
    return curve.reshape(TOTAL, -1).mean(axis=1)


def studied(pruner: LawPruner, *, first: int = 0, schedules: bool = False) -> optuna.Study:
    """A study of eight settings, each a step higher or lower at its end."""
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
    for above in LEVELS:
        study.enqueue_trial({"above": above})

    def objective(trial: optuna.Trial) -> float:
        above = trial.suggest_float("above", 0.0, 1.0)
        plan = cosine(10 * TOTAL) if schedules and trial.number % 2 else constant(10 * TOTAL)
        rows = losses(above, trial.number, plan).tolist()
        for step, loss in enumerate(rows, first):
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return rows[-1]

    study.optimize(objective, n_trials=len(LEVELS))
    return study


@pytest.mark.parametrize("first", [0, 1])
def test_it_prunes_the_hopeless_early_and_keeps_the_best(first: int) -> None:
    """From a fifth of the steps on, whether they are counted from 0 or from 1."""
    study = studied(LawPruner(TOTAL), first=first)
    reports = [len(trial.intermediate_values) for trial in study.trials]
    pruned = [trial.params["above"] for trial in study.trials if trial.state is optuna.trial.TrialState.PRUNED]

    assert 0.0 == study.best_params["above"]
    assert {0.25, 0.4} <= set(pruned)
    assert 20 == min(reports)
    assert sum(reports) < 0.7 * TOTAL * len(LEVELS)


def test_a_trial_on_another_schedule_is_judged_by_its_own_forecast() -> None:
    """The rates come from the trial; a cosine that stands above a constant rate now ends below it."""
    asked: list[int] = []

    def rates(trial: optuna.trial.FrozenTrial) -> np.ndarray:
        asked.append(trial.number)
        plan = cosine(10 * TOTAL) if trial.number % 2 else constant(10 * TOTAL)
        return plan.reshape(TOTAL, -1).mean(axis=1)

    study = studied(LawPruner(TOTAL, learning_rates=rates), schedules=True)

    assert 0.0 == study.best_params["above"]
    assert {0, 1} <= set(asked)


def test_a_trial_that_is_not_finite_is_pruned() -> None:
    """There is nothing left to forecast."""
    study = optuna.create_study(pruner=LawPruner(10))
    trial = study.ask()
    for step in range(4):
        trial.report(math.nan, step)

    assert trial.should_prune()


def test_a_study_that_maximises_is_refused() -> None:
    """An accuracy has no law of descent."""
    study = optuna.create_study(direction="maximize", pruner=LawPruner(10))
    trial = study.ask()
    trial.report(0.5, 5)

    with pytest.raises(ConfigError, match="must minimise"):
        trial.should_prune()


@pytest.mark.parametrize(
    ("options", "name"), [({"total_steps": 1}, "total_steps"), ({"total_steps": 9, "budget": 0.0}, "budget")]
)
def test_an_option_that_is_none_is_refused(options: dict[str, float], name: str) -> None:
    """With its name."""
    with pytest.raises(ConfigError, match=f"`{name}`"):
        LawPruner(**options)  # type: ignore[arg-type]


def test_without_optuna_it_names_the_extra() -> None:
    """One sentence, with what to install."""
    code = "import sys; sys.modules['optuna'] = None; import scalewatch.optuna"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr

    assert "pip install 'scalewatch[optuna]'" in said.splitlines()[-1]
