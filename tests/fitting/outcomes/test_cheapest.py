"""Cheap runs that do not follow the law of a ladder are left out of it, and no others are."""

from __future__ import annotations

import numpy as np

from scalewatch.fitting.outcomes.axes import Outcomes
from scalewatch.fitting.outcomes.cheapest import compete_past_cheapest

SIZE = np.geomspace(6e6, 6e8, 12)
TOKENS = 20 * SIZE * np.exp(0.1 * np.sin(np.arange(12)))
LOSS = 1.2 + 0.9 * (SIZE / 6e7) ** -0.33 + 0.8 * (TOKENS / 1.2e9) ** -0.3


def ladder(excess: float) -> Outcomes:
    """Nine runs with a little noise, the cheapest `excess` higher than their law, in ln, and each next less so."""
    rest = 0.001 * np.random.default_rng(3).standard_normal(9) + excess * np.exp(-np.arange(9) / 1.2)
    return Outcomes({"n_params": SIZE[:9], "tokens": TOKENS[:9]}, LOSS[:9] * np.exp(rest))


ASKED = {"n_params": SIZE[9:], "tokens": TOKENS[9:]}


def test_cheapest_runs_that_end_too_high_are_left_out_and_dearer_ones_foretold_better() -> None:
    """A fifth too high at the bottom, and yet the dearest run, twelve times as dear, is foretold to two per cent."""
    contest, left_out = compete_past_cheapest(ladder(0.2), ASKED)

    assert left_out == 2
    assert contest.runs == 7
    assert np.abs(contest.predict(ASKED).loss / LOSS[9:] - 1).max() < 0.02


def test_a_ladder_of_one_law_keeps_its_cheapest_runs() -> None:
    """With noise of a thousandth nothing is gained without them."""
    assert compete_past_cheapest(ladder(0.0), ASKED)[1] == 0
