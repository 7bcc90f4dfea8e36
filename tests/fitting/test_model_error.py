"""How wide a law's interval is beyond its runs: what it got wrong on the larger of them decides."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch.errors import FitError
from scalewatch.fitting.average import LawAverage, LawScore, average_laws
from scalewatch.fitting.families import CHINCHILLA
from scalewatch.fitting.model_error import HoldoutError, HoldoutPrediction, ModelError
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total

TRUE = Chinchilla(1.8, 450.0, 2000.0, 0.345, 0.365)


def wandering(count: int, sds: float) -> HoldoutError:
    """Errors at one origin, each so many of the standard deviations that were expected."""
    told = HoldoutPrediction(np.zeros(count), np.full(count, 0.03), np.full(count, 0.4))
    return HoldoutError(sds * np.sqrt(told.variance(0.1)), told)


@pytest.fixture(scope="module")
def average() -> LawAverage:
    """Every law on the runs of a known one."""
    size, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 6), np.geomspace(2e9, 1e11, 6)))
    scatter = np.random.default_rng(0).standard_normal(len(size))
    return average_laws(size, tokens, np.asarray(TRUE.loss(total(size), tokens)) * np.exp(0.002 * scatter))


def score_of(average: LawAverage, name: str) -> LawScore:
    """Return the score of one law."""
    return next(score for score in average.scores if score.name == name)


def half_width(law: Any, size: float, tokens: float) -> float:
    """Return half the 80 % interval of ln(loss)."""
    told = law.predict(total(size), tokens)
    return float(np.log(told.high / told.low)) / 2


def test_errors_as_expected_leave_the_variance_as_it_was() -> None:
    """k stays 1, and every origin adds a degree of freedom."""
    assert (1.0, 9.0) == pytest.approx(ModelError(0.1, 6.0).judge([wandering(4, 1.0)] * 3))


def test_an_origin_counts_once_however_many_runs_lie_past_it() -> None:
    """Runs past one origin err together: 400 of them weigh as much as 4."""
    few, many = (ModelError(0.1, 6.0).judge([wandering(count, 3.0)]) for count in (4, 400))

    assert few == pytest.approx(many)
    assert pytest.approx((6 + 9) / 7) == few[0]


def test_a_law_that_missed_its_own_larger_runs_has_a_wider_interval(average: LawAverage) -> None:
    """A power without a floor promises too much of runs that have one, and says so; the law that is right does not."""
    right, wrong = score_of(average, "chinchilla"), score_of(average, "compute_no_floor")

    assert right.k < 1 < wrong.k
    assert half_width(wrong, 1e10, 2e11) > 1.5 * half_width(right, 1e10, 2e11)


def test_a_single_law_is_wider_than_its_constants_and_the_scatter_of_runs_explain(average: LawAverage) -> None:
    """No amount of resampling says that the form is wrong."""
    score = score_of(average, "compute")
    assert score.fit is not None
    resampled = score.fit.predict(total(2e10), 7e11, extrapolation_share=0.0)

    assert half_width(score, 2e10, 7e11) > 1.5 * float(np.log(resampled.high / resampled.low)) / 2


@settings(max_examples=20, deadline=None)
@given(times=st.floats(2.0, 100.0))
def test_the_interval_widens_with_the_distance_from_the_runs(average: LawAverage, times: float) -> None:
    """Twice as far is wider, in compute and also in tokens alone at the compute of fitted runs."""
    assert half_width(average, 5e9, 1e11 * times * 2) > half_width(average, 5e9, 1e11 * times)
    assert half_width(average, 5e9 / times / 2, 1e11 * times * 2) > half_width(average, 5e9 / times, 1e11 * times)


@settings(max_examples=20, deadline=None)
@given(size=st.floats(1e7, 1e11), tokens=st.floats(1e9, 1e13))
def test_the_average_lies_among_its_laws(average: LawAverage, size: float, tokens: float) -> None:
    """So at no point is it further off than the mean of the laws, whatever the truth."""
    told = float(average.predict(total(size), tokens).loss)
    laws = [float(score.predict(total(size), tokens).loss) for score in average.scores if score.weight]

    assert min(laws) * (1 - 1e-9) <= told <= max(laws) * (1 + 1e-9)


def test_another_prior_changes_the_width_and_no_fit(average: LawAverage) -> None:
    """Expecting less of the laws, from the same fits, is a wider interval."""
    bold, shy = average.under(ModelError(0.05, 6.0)), average.under(ModelError(0.4, 6.0))

    assert half_width(shy, 2e10, 7e11) > 1.3 * half_width(bold, 2e10, 7e11)
    assert all(one.fit is two.fit for one, two in zip(bold.scores, shy.scores, strict=True))


def test_a_law_without_a_fit_refuses_to_predict() -> None:
    """With its reason."""
    average = average_laws(np.geomspace(1e8, 1e9, 4), np.geomspace(1e10, 1e11, 4), np.geomspace(3.5, 2.5, 4))

    assert score_of(average, CHINCHILLA.name).fit is None
    with pytest.raises(FitError, match="no fit to predict with: Too few runs"):
        score_of(average, CHINCHILLA.name).predict(total(1e10), 1e12)


@pytest.mark.parametrize("part", [0.35, 0.7])
def test_on_real_sizes_laws_cover_what_they_say(part: float, families: dict[str, np.ndarray]) -> None:
    """Two large public families, every law, fitted to the cheaper runs: 65 % or more of single laws' intervals hold."""
    covered = []
    for table in families.values():
        cut = round(part * len(table))
        large = table[cut:]
        for score in average_laws(*table[:cut].T).scores:
            if not score.why_not:
                told = score.predict(total(large[:, 0]), large[:, 1])
                covered.append(np.mean((large[:, 2] >= told.low) & (large[:, 2] <= told.high)))

    assert 0.65 < np.mean(covered) < 0.95


@pytest.fixture(scope="module")
def families(data_folder: Path) -> dict[str, np.ndarray]:
    """(size, tokens, loss) of two families, by rising compute."""
    with (data_folder / "scaling_points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for group in ("llama_3__exp_loss", "massivetext"):
        own = [[float(row[name]) for name in ("n_params", "tokens", "loss")] for row in rows if row["group"] == group]
        # the first five of Hoffmann et al. are left out as Besiroglu et al. do
        table = np.array(own[5:] if group == "massivetext" else own)
        found[group] = table[np.argsort(table[:, 0] * table[:, 1], kind="stable")]
    return found
