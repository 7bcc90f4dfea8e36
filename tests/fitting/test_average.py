"""Several laws at once: weights by held-out error, intervals, and the families of real runs."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.average import LawAverage, average_laws
from scalewatch.fitting.families import CHINCHILLA, COMPUTE, COMPUTE_NO_FLOOR
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import active, total

TRUE = Chinchilla(1.8, 450.0, 2000.0, 0.345, 0.365)
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def runs(*, noise: float = 0.002, seed: int = 0) -> Table:
    """Runs of a known law over a grid of sizes and tokens."""
    size, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 6), np.geomspace(2e9, 1e11, 6)))
    scatter = np.random.default_rng(seed).standard_normal(len(size))
    return size, tokens, np.asarray(TRUE.loss(total(size), tokens)) * np.exp(noise * scatter)


@pytest.fixture(scope="module")
def average() -> LawAverage:
    """Every law on the runs of a known one."""
    return average_laws(*runs())


def test_the_law_that_is_right_weighs_more_than_those_that_are_wrong(average: LawAverage) -> None:
    """Runs of a Chinchilla law: it has the least held-out error, and a larger part than a pure power of compute."""
    part = {score.name: score.weight for score in average.scores}
    error = {score.name: score.error for score in average.scores if score.weight}

    assert pytest.approx(1.0) == sum(part.values())
    assert part["chinchilla"] > 2 * part["compute_no_floor"]
    assert error["chinchilla"] < 0.5 * error["compute_no_floor"]


def test_larger_runs_of_the_known_law_lie_in_the_interval(average: LawAverage) -> None:
    """30 times the compute: within 1.5 %, and inside the 80 % interval."""
    told = average.predict(total(2e10), 7e11)
    truth = float(TRUE.loss(total(2e10), 7e11))

    assert pytest.approx(truth, rel=0.015) == float(told.loss)
    assert told.low < truth < told.high
    assert told.status is FitStatus.EXTRAPOLATES


def test_a_higher_level_is_a_wider_interval_and_arrays_keep_their_shape(average: LawAverage) -> None:
    """95 % holds 80 %, and predictions broadcast."""
    size = total(np.array([1e9, 2e9, 4e9]))

    narrow, wide = average.predict(size, 5e10, 0.8), average.predict(size, 5e10, 0.95)

    assert (3,) == narrow.loss.shape
    assert np.all(wide.low < narrow.low)
    assert np.all(wide.high > narrow.high)


def test_a_law_that_cannot_be_fitted_has_no_weight_and_says_why() -> None:
    """Six runs at twenty tokens a parameter: Chinchilla's law is out, laws of compute are in."""
    size = np.geomspace(1e8, 5e9, 6)
    loss = np.asarray(TRUE.loss(total(size), 20 * size))

    average = average_laws(size, 20 * size, loss)
    part = {score.name: score for score in average.scores}

    assert 0 == part["chinchilla"].weight
    assert "Too few runs" in part["chinchilla"].why_not
    assert part["compute"].weight + part["compute_no_floor"].weight == pytest.approx(1.0)


def test_one_law_alone_says_that_nothing_disagrees_with_it() -> None:
    """Its interval is wider than the same law's share in a company would be."""
    average = average_laws(*runs(), families=[COMPUTE_NO_FLOOR])

    assert [1.0] == [score.weight for score in average.scores]
    assert any("Only one law" in note for note in average.notes)


def test_the_average_of_one_law_is_that_law() -> None:
    """With a single family the prediction is its own."""
    average = average_laws(*runs(), families=[CHINCHILLA])
    fit = average.scores[0].fit
    assert fit is not None

    assert pytest.approx(float(fit.predict(total(1e9), 1e10).loss)) == float(average.predict(total(1e9), 1e10).loss)


def test_runs_that_no_law_can_use_are_refused() -> None:
    """Every law's reason is in the message."""
    with pytest.raises(FitError, match=r"No law can be fitted to these runs: chinchilla: .* compute"):
        average_laws([1e8, 1e9], [1e10, 1e11], [3.0, 2.5], families=[CHINCHILLA, COMPUTE])


def test_kinds_levels_and_losses_are_checked(average: LawAverage) -> None:
    """As in a single fit."""
    with pytest.raises(ConfigError, match="got active"):
        average.predict(active(1e9), 1e10)
    with pytest.raises(ConfigError, match="`level`"):
        average.predict(total(1e9), 1e10, 80)
    with pytest.raises(FitError, match="positive and finite"):
        average_laws([1e8, 1e9, 1e10], [1e10] * 3, [3.0, -1.0, 2.0])


def test_tokens_in_other_units_change_no_prediction() -> None:
    """Billions of tokens give the same losses."""
    size, tokens, loss = runs()
    families = [CHINCHILLA, COMPUTE, COMPUTE_NO_FLOOR]

    plain = average_laws(size, tokens, loss, families=families).predict(total(1e10), 2e11)
    other = average_laws(size, tokens / 1e9, loss, families=families).predict(total(1e10), 200.0)

    assert pytest.approx(float(plain.loss), rel=1e-3) == float(other.loss)
    assert pytest.approx(math.log(plain.high / plain.low), rel=0.1) == math.log(other.high / other.low)


@pytest.mark.parametrize("group", ["rw|tuned|short|const|standard|val", "llama_3__exp_loss"])
def test_on_real_families_the_average_beats_the_median_law(group: str, data_folder: Path) -> None:
    """Fitted to the cheaper half, asked about the dearer; the whole table: tests/benchmarks/held_out_sizes.py."""
    with (data_folder / "scaling_points.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == group]
    table = np.array([[float(row[name]) for name in ("n_params", "tokens", "loss")] for row in rows])
    table = table[np.argsort(table[:, 0] * table[:, 1], kind="stable")]
    small, large = table[: len(table) // 2], table[len(table) // 2 :]

    average = average_laws(*small.T)
    told = average.predict(total(large[:, 0]), large[:, 1])
    laws = [
        np.median(np.abs(large[:, 2] / score.fit.predict(total(large[:, 0]), large[:, 1]).loss - 1))
        for score in average.scores
        if score.fit is not None and score.fit.status.usable
    ]

    assert np.median(np.abs(large[:, 2] / told.loss - 1)) <= np.median(laws)
    assert np.mean((large[:, 2] >= told.low) & (large[:, 2] <= told.high)) >= 0.7
