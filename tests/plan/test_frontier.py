"""Numbers found by search against Chinchilla's closed forms and Kaplan's allocation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.size import non_embedding, total
from scalewatch.plan import ChinchillaLossModel, KaplanLossModel, frontier
from scalewatch.plan.chinchilla_model import besiroglu_draws
from scalewatch.plan.loss_model import AbstractLossModel

LAWS: dict[str, Callable[[], Chinchilla]] = {
    "besiroglu": Chinchilla.besiroglu,
    "hoffmann": Chinchilla.hoffmann,
    "hoffmann_tex": Chinchilla.hoffmann_tex,
}
#: Relative difference of a search and a closed form: bisection ends at the last digits of ln(N).
SEARCH = 1e-9


def log_pairs(flops: float) -> float:
    """p = ln(C / 6)."""
    return math.log(flops / 6.0)


def surface(law: Chinchilla, draws: int = 0) -> ChinchillaLossModel:
    """The law for the planner, with some draws."""
    return ChinchillaLossModel(law, besiroglu_draws(draws) if draws else None, "test", "test")


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("flops", [1e16, 1e21, 5.76e23, 1e28])
def test_the_best_size_is_that_of_the_closed_form(name: str, flops: float) -> None:
    """Equation 4 of Hoffmann et al. gives the size that the search finds."""
    law = LAWS[name]()

    found = math.exp(frontier.best_log_size(surface(law), np.array([[log_pairs(flops)]]))[0, 0])

    assert pytest.approx(float(law.optimum(flops).size.count), rel=SEARCH) == found


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("flops", [1e18, 1e21, 1e25])
def test_the_budget_of_a_loss_is_that_of_the_closed_form(name: str, flops: float) -> None:
    """The secant ends where the frontier's closed inverse is, from whatever budget it starts."""
    law = LAWS[name]()
    loss = np.array([[float(law.frontier_loss(flops))]])

    found = [float(frontier.log_pairs_for_loss(surface(law), loss, start)[0, 0]) for start in (20.0, 40.0, 70.0)]

    assert pytest.approx([log_pairs(flops)] * 3, abs=1e-8) == found


@pytest.mark.parametrize("name", LAWS)
def test_contours_are_those_of_the_closed_forms(name: str) -> None:
    """Tokens of a size, size of some tokens, each for a loss and at the optimum."""
    law, size, tokens, loss = LAWS[name](), 3e9, 5e11, 2.35
    made = surface(law)
    x, y, target = np.array([[math.log(size)]]), np.array([[math.log(tokens)]]), np.array([[loss]])

    found = [
        frontier.log_tokens_for_loss(made, x, target),
        frontier.log_size_for_loss(made, y, target),
        frontier.log_tokens_for_size(made, x),
        frontier.log_size_for_tokens(made, y),
    ]

    expected = [
        float(law.tokens_for_loss(total(size), loss)),
        float(law.size_for_loss(tokens, loss).count),
        float(law.tokens_for_size(total(size))),
        float(law.size_for_tokens(tokens).count),
    ]
    assert pytest.approx(expected, rel=SEARCH) == [math.exp(value[0, 0]) for value in found]


@pytest.mark.parametrize("flops", [1e18, 1e21, 1e24])
def test_kaplans_best_size_is_his_theoretical_allocation(flops: float) -> None:
    """The loss that stands on both sides of L(N, D) has the allocation of appendix B, tokens and loss too."""
    made, expected = KaplanLossModel(), Kaplan().theoretical_allocation(flops)
    pairs = np.array([[log_pairs(flops)]])

    size = frontier.best_log_size(made, pairs)
    loss = made.loss(size, pairs - size)

    assert pytest.approx(float(expected.size.count), rel=SEARCH) == math.exp(size[0, 0])
    assert pytest.approx(float(expected.tokens), rel=SEARCH) == math.exp((pairs - size)[0, 0])
    assert pytest.approx(float(Kaplan().loss_of_steps(non_embedding(math.exp(size[0, 0])), expected.steps))) == loss


@pytest.mark.parametrize("made", [surface(Chinchilla.besiroglu(), 5), KaplanLossModel()])
def test_the_slope_is_that_of_finite_differences(made: AbstractLossModel) -> None:
    """dL/dlnN - dL/dlnD, for every row."""
    x, y, step = np.array([[20.0, 23.0]]), np.array([[24.0, 27.0]]), 1e-5

    along = (made.loss(x + step, y - step) - made.loss(x - step, y + step)) / (2 * step)

    np.testing.assert_allclose(made.slope(x, y), along, rtol=1e-5, atol=1e-9)


def test_every_draw_has_its_own_optimum() -> None:
    """A row of the answer is the closed form of that row's law."""
    made = surface(Chinchilla.besiroglu(), 6)

    found = np.exp(frontier.best_log_size(made, np.array([[log_pairs(1e22)]]))[:, 0])

    expected = [float(made.law_of(row).optimum(1e22).size.count) for row in range(7)]
    assert pytest.approx(expected, rel=SEARCH) == found.tolist()


def test_a_loss_below_the_floor_takes_an_endless_budget() -> None:
    """Row by row: a draw whose irreducible loss lies above the target has no budget, the others do."""
    made = surface(Chinchilla.besiroglu(), 50)

    found = frontier.log_pairs_for_loss(made, np.array([[1.82]]))[:, 0]

    # within a hundredth of the floor the budget may be beyond every number that is looked at
    above = made.floor[:, 0] >= 1.82
    assert 0 < above.sum() < 51
    assert np.all(np.isinf(found[above]))
    assert np.all(np.isfinite(found[made.floor[:, 0] < 1.81]))


def test_draws_have_the_published_errors() -> None:
    """Standard errors of E, alpha, beta and a as published (Besiroglu et al. 2024, table 1, in more digits)."""
    draws = besiroglu_draws(20_000, seed=1)
    exponent = draws[:, 4] / (draws[:, 3] + draws[:, 4])

    expected = [0.0257, 0.0154, 0.0206, 0.0200]
    found = [float(np.std(values)) for values in (draws[:, 0], draws[:, 3], draws[:, 4], exponent)]
    assert pytest.approx(expected, rel=0.03) == found


@pytest.mark.parametrize(("flops", "low", "high"), [(5.88e23, 9.9, 29.0), (1e26, 6.4, 31.6)])
def test_draws_span_the_optima_of_the_bootstrap(flops: float, low: float, high: float) -> None:
    """80 % of tokens a parameter, high over low, as of 4,000 refits; they are about the refit, ours the published."""
    made = surface(Chinchilla.besiroglu(), 20_000)
    pairs = log_pairs(flops)

    log_size = frontier.best_log_size(made, np.array([[pairs]]))[:, 0]

    ends = np.quantile(np.exp(pairs - 2 * log_size), [0.1, 0.9])
    assert pytest.approx(high / low, rel=0.05) == ends[1] / ends[0]
    assert pytest.approx([low, high], rel=0.2) == ends.tolist()
