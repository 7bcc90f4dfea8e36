"""The law of repeated data: what repeats are worth, real data-constrained runs, and its limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import ConfigError
from scalewatch.laws.repeated_data import RepeatedData
from scalewatch.laws.size import non_embedding, total

LAW = RepeatedData.muennighoff()
#: Fresh tokens that 4 and 40 epochs are worth, in units of the unique ones (Muennighoff et al. 2023, arXiv 2305.16264).
ROW_20 = {4: 3.7257, 40: 15.1673}


@pytest.mark.parametrize("epochs", ROW_20)
def test_repeats_are_worth_what_is_published(epochs: int) -> None:
    """4 epochs are worth 3.7257 times the unique tokens, 40 epochs 15.1673 times, to a thousandth."""
    assert ROW_20[epochs] == pytest.approx(LAW.effective_tokens(epochs * 1e9, 1e9) / 1e9, abs=1e-3)


def test_the_best_size_of_unique_tokens_is_published_too() -> None:
    """U_N is about .051 parameters a token, and where the slopes of the plain law agree."""
    size = float(LAW.size_for(1e10).count)

    assert 0.051 == pytest.approx(size / 1e10, rel=0.01)
    assert LAW.alpha * LAW.A * size**-LAW.alpha == pytest.approx(LAW.beta * LAW.B * 1e10**-LAW.beta)


def test_one_epoch_is_the_plain_law() -> None:
    """Nothing repeated, nothing in excess: E + A N^-alpha + B D^-beta."""
    size = LAW.size_for(1e10)

    assert LAW.E + LAW.A * size.count**-LAW.alpha + LAW.B * 1e10**-LAW.beta == pytest.approx(LAW.loss(size, 1e10, 1e10))
    assert LAW.loss(size, 1e10, 1e10) == pytest.approx(LAW.loss(size, 1e10, 1e13))


def test_real_runs_lose_what_the_law_says_up_to_fourteen_epochs(data_folder: Path) -> None:
    """2.8e9 parameters, 5.5e10 tokens of C4: the loss over that of 4 epochs, within .025 nats at 5, 7 and 14.

    At 44 epochs the run ends half a nat above the law, which is why the law refuses to be trusted there.
    """
    table = pd.read_csv(data_folder / "runs.csv").set_index("run_id")
    ids = {
        4: "datablations_2.8B_c4_13.75Btok_x4ep_08",
        5: "datablations_2.8B_c4_11Btok_x5ep_06",
        7: "datablations_2.8B_c4_7.857Btok_x7ep_05",
        14: "datablations_2.8B_c4_3.929Btok_x14ep_03",
        44: "datablations_2.8B_c4_1.25Btok_x44ep_01",
    }
    measured = {k: float(table.final_loss[f"colpret/{name}"]) for k, name in ids.items()}
    law = {k: float(LAW.loss(total(2.8e9), 5.5e10, 5.5e10 / k)) for k in ids}

    for k in (5, 7, 14):
        assert measured[k] - measured[4] == pytest.approx(law[k] - law[4], abs=0.025)
    assert (measured[44] - measured[4]) - (law[44] - law[4]) > 0.4
    assert "overfits" in LAW.range_notes(total(2.8e9), 5.5e10, 1.25e9)[0]


@given(st.floats(1e8, 1e11), st.floats(1, 60), st.floats(1.05, 3))
def test_a_repeat_helps_less_than_a_fresh_token(unique: float, epochs: float, times: float) -> None:
    """D' rises with D, never above it, and never past 1 + R_D* times what there is."""
    seen, more = (LAW.effective_tokens(k * epochs * unique, unique) for k in (1.0, times))

    assert seen <= epochs * unique * (1 + 1e-12)
    assert seen < more <= (1 + LAW.token_decay) * unique


def test_the_worth_of_one_more_token_is_the_slope() -> None:
    """exp(-R / R*) is dD' / dD."""
    unique, step = 1e9, 1e3
    for epochs in (1.5, 4.0, 16.0):
        slope = (
            LAW.effective_tokens(epochs * unique + step, unique) - LAW.effective_tokens(epochs * unique - step, unique)
        ) / (2 * step)

        assert slope == pytest.approx(LAW.repeat_worth(epochs), rel=1e-5)


@pytest.mark.parametrize("unique", [1e9, 1e10, 1e12])
def test_the_optimum_is_that_of_a_fine_grid(unique: float) -> None:
    """No size on a grid of a percent does better at the same budget."""
    best = LAW.optimum(1e21, unique)
    counts = np.geomspace(1e8, 1e11, 700)
    grid = LAW.loss(total(counts), 1e21 / 6 / counts, unique)

    assert best.loss <= grid.min() + 1e-9
    assert best.loss == pytest.approx(grid.min(), abs=1e-4)
    assert 1e21 == pytest.approx(6 * float(best.size.count) * best.tokens)


def test_few_unique_tokens_cost_loss_and_many_cost_nothing() -> None:
    """With more unique tokens than the budget reads, the plain optimum comes back."""
    few, many = LAW.optimum(1e21, 1e9), LAW.optimum(1e21, 1e13)

    assert few.loss > many.loss + 0.05
    assert many.fresh_loss == pytest.approx(many.loss, abs=1e-6)
    assert few.fresh_loss == pytest.approx(many.fresh_loss)


def test_tokens_may_be_counted_in_billions() -> None:
    """Constants converted, the loss is the same: B scales by the unit to -beta."""
    billions = RepeatedData(LAW.E, LAW.A, LAW.B * 1e9**-LAW.beta, LAW.alpha, LAW.beta, 15.387756, 5.309743)

    assert LAW.loss(total(1e9), 4e10, 1e10) == pytest.approx(billions.loss(total(1e9), 40.0, 10.0), rel=1e-12)


def test_past_its_range_it_says_what_to_do() -> None:
    """Many epochs, and models larger than any of the paper's."""
    assert () == LAW.range_notes(total(1e9), 4e10, 1e10)
    assert "find data" in LAW.range_notes(total(1e9), 2e10, 1e9)[0]
    assert "two sizes of your own data" in LAW.range_notes(total(1e11), 1e12, 1e12)[0]


def test_bad_numbers_are_refused() -> None:
    """Another count of parameters, no tokens, half an epoch, a budget of nothing."""
    with pytest.raises(ConfigError, match="total"):
        LAW.loss(non_embedding(1e9), 1e10, 1e10)
    with pytest.raises(ConfigError, match="unique_tokens"):
        LAW.effective_tokens(1e9, 0.0)
    with pytest.raises(ConfigError, match="epochs"):
        LAW.repeat_worth(0.5)
    with pytest.raises(ConfigError, match="does not buy"):
        LAW.optimum(1.0, 1e9)
    with pytest.raises(ConfigError, match="token_decay"):
        RepeatedData(1.8, 500.0, 1500.0, 0.35, 0.35, 0.0, 5.0)
