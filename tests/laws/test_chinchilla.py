"""Chinchilla's law: published sets, closed forms against numbers, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from scalewatch.errors import ConfigError
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import SizeKind, active, non_embedding, total

PUBLISHED = [Chinchilla.hoffmann(), Chinchilla.hoffmann_tex(), Chinchilla.besiroglu()]

laws = st.builds(
    Chinchilla,
    E=st.floats(0.0, 3.0),
    A=st.floats(50.0, 2000.0),
    B=st.floats(50.0, 2000.0),
    alpha=st.floats(0.25, 0.6),
    beta=st.floats(0.25, 0.6),
)
budgets = st.floats(1e17, 1e26)


@pytest.mark.parametrize(("law", "ratio"), list(zip(PUBLISHED, [92.6, 58.9, 18.4], strict=True)))
def test_tokens_per_parameter_at_chinchillas_budget_are_as_published(law: Chinchilla, ratio: float) -> None:
    """5.76e23 FLOP: 92.6 and 58.9 by Hoffmann et al. (2022), rounded and not, 18.4 by Besiroglu et al. (2024)."""
    assert pytest.approx(ratio, rel=0.01) == float(law.optimum(5.76e23).tokens_per_parameter)


def test_besiroglus_exponent_is_a_half() -> None:
    """a = beta / (alpha + beta) = 0.5126, b the rest."""
    a, b = Chinchilla.besiroglu().exponents

    assert pytest.approx(0.5126, abs=1e-4) == a
    assert pytest.approx(1.0) == a + b


def test_the_rounding_of_the_paper_is_worth_more_than_a_percent() -> None:
    """The rounded set lies about 0.05 nats above the set it was rounded from, so it has its own name."""
    rounded, exact = Chinchilla.hoffmann(), Chinchilla.hoffmann_tex()
    size, tokens = total(np.geomspace(1e8, 1e10, 9)), np.geomspace(2e9, 2e11, 9)

    gap = np.mean(rounded.loss(size, tokens) - exact.loss(size, tokens))

    assert 0.04 < gap < 0.06


@pytest.mark.parametrize("law", PUBLISHED)
def test_every_published_set_names_its_source_and_range(law: Chinchilla) -> None:
    """A law without them could not warn."""
    assert "et al." in law.source
    assert law.sizes is not None
    assert law.tokens is not None


@given(law=laws, flops=budgets)
def test_the_closed_form_optimum_is_the_numerical_one(law: Chinchilla, flops: float) -> None:
    """No size at the same compute has less loss, and the frontier gives the loss there."""

    def loss(log_size: float) -> float:
        size = math.exp(log_size)
        return law.E + law.A * size**-law.alpha + law.B * (flops / 6 / size) ** -law.beta

    best = law.optimum(flops)
    found = minimize_scalar(loss, bounds=(1.0, math.log(flops / 6)), method="bounded", options={"xatol": 1e-9})

    assert float(best.loss) <= found.fun * (1 + 1e-12)
    assert pytest.approx(found.fun, rel=1e-9) == float(law.frontier_loss(flops))
    assert pytest.approx(flops) == 6 * float(best.size.count) * float(best.tokens)


@given(law=laws, flops=budgets)
def test_at_the_optimum_size_and_data_pull_equally(law: Chinchilla, flops: float) -> None:
    """alpha A N^-alpha = beta B D^-beta, and each side finds the other."""
    best = law.optimum(flops)

    of_size = law.alpha * law.A * float(best.size.count) ** -law.alpha
    assert pytest.approx(of_size) == law.beta * law.B * float(best.tokens) ** -law.beta
    assert pytest.approx(float(best.tokens)) == float(law.tokens_for_size(best.size))
    assert pytest.approx(float(best.size.count)) == float(law.size_for_tokens(best.tokens).count)


@given(law=laws, flops=budgets)
def test_the_frontier_and_its_inverse_agree(law: Chinchilla, flops: float) -> None:
    """flops_for_loss(frontier_loss(C)) = C where the loss still tells budgets apart."""
    loss = float(law.frontier_loss(flops))
    if loss - law.E > 1e-6:
        assert pytest.approx(flops, rel=1e-4) == float(law.flops_for_loss(loss))


@given(law=laws, flops=budgets)
def test_points_of_an_isoloss_contour_have_that_loss(law: Chinchilla, flops: float) -> None:
    """Tokens for a size and a loss, and size for tokens and a loss, lead back to the loss."""
    best = law.optimum(flops)
    loss = float(best.loss) + 0.1 * (float(best.loss) - law.E)

    tokens = law.tokens_for_loss(best.size, loss)
    assert float(tokens) < float(best.tokens)
    assert pytest.approx(loss) == float(law.loss(best.size, tokens))
    assert pytest.approx(loss) == float(law.loss(law.size_for_loss(best.tokens, loss), best.tokens))


@given(law=laws, size=st.floats(1e6, 1e12), tokens=st.floats(1e7, 1e14), more=st.floats(1.1, 100.0))
def test_more_of_anything_never_raises_the_loss(law: Chinchilla, size: float, tokens: float, more: float) -> None:
    """Loss falls in size, in tokens and along the frontier."""
    here = float(law.loss(total(size), tokens))

    assert float(law.loss(total(size * more), tokens)) <= here
    assert float(law.loss(total(size), tokens * more)) <= here
    assert float(law.frontier_loss(6 * size * tokens * more)) <= float(law.frontier_loss(6 * size * tokens))


@given(law=laws, unit=st.floats(1e-9, 1e9))
def test_counting_tokens_in_other_units_changes_nothing(law: Chinchilla, unit: float) -> None:
    """B carries the unit of tokens: B u^-beta and D / u give the same loss."""
    other = Chinchilla(law.E, law.A, law.B * unit**-law.beta, law.alpha, law.beta)

    assert pytest.approx(float(law.loss(total(1e9), 1e10))) == float(other.loss(total(1e9), 1e10 / unit))


def test_being_off_the_optimum_costs_what_its_loss_says() -> None:
    """Two times too small at 5.76e23 FLOP costs 0.005 nats, which is 15 % of the budget."""
    law = Chinchilla.besiroglu()

    off = law.off_optimum(5.76e23, 0.5)

    assert pytest.approx(0.0048, abs=1e-4) == off.extra_nats
    assert pytest.approx(0.1555, abs=1e-3) == off.wasted_share
    assert pytest.approx(off.loss) == float(law.frontier_loss(5.76e23 - off.wasted_flops))


@given(law=laws, flops=budgets, factor=st.floats(0.05, 20.0))
def test_the_optimum_is_never_beaten_by_another_size(law: Chinchilla, flops: float, factor: float) -> None:
    """Nats and FLOPs wasted are never negative, and never the whole budget."""
    off = law.off_optimum(flops, factor)

    assert off.extra_nats >= 0
    assert 0 <= off.wasted_share < 1


def test_the_price_of_a_gain_buys_that_gain() -> None:
    """The frontier at the budget plus the price lies lower by the gain."""
    law = Chinchilla.besiroglu()

    price = law.price_of_gain(1e21, 0.01)

    assert pytest.approx(0.01, rel=1e-6) == float(law.frontier_loss(1e21) - law.frontier_loss(1e21 + price))


def test_a_gain_below_the_irreducible_loss_has_no_price() -> None:
    """The message says what can be asked for."""
    with pytest.raises(ConfigError, match="below the irreducible loss"):
        Chinchilla.besiroglu().price_of_gain(1e26, 0.5)


def test_what_no_budget_reaches_is_an_error_that_says_so() -> None:
    """A loss at or below E, a size too small for a loss, tokens too few for it."""
    law = Chinchilla.besiroglu()

    with pytest.raises(ConfigError, match="no budget reaches it"):
        law.flops_for_loss(1.8)
    with pytest.raises(ConfigError, match=r"more than .* total parameters"):
        law.tokens_for_loss(total(1e8), 2.0)
    with pytest.raises(ConfigError, match="so few tokens"):
        law.size_for_loss(1e9, 2.0)


@pytest.mark.parametrize("size", [non_embedding(1e9), active(1e9)])
def test_a_size_of_another_kind_is_refused(size: object) -> None:
    """Chinchilla's N is total."""
    with pytest.raises(ConfigError, match="counts total parameters"):
        Chinchilla.hoffmann().loss(size, 1e10)  # type: ignore[arg-type]


def test_a_law_of_another_kind_answers_in_that_kind() -> None:
    """A law fitted on non-embedding parameters allocates those."""
    law = Chinchilla(1.8, 400, 1000, 0.34, 0.36, kind=SizeKind.NON_EMBEDDING)

    assert law.optimum(1e21).size.kind is SizeKind.NON_EMBEDDING


@pytest.mark.parametrize("tokens", [0, -1, math.nan, math.inf, "1e9", True])
def test_tokens_that_are_none_are_refused(tokens: object) -> None:
    """The message names the argument."""
    with pytest.raises(ConfigError, match="`tokens`"):
        Chinchilla.hoffmann().loss(total(1e9), tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "constants", [(-1, 400, 400, 0.3, 0.3), (1, 0, 400, 0.3, 0.3), (1, 400, 400, 0, 0.3), (1, 1, math.nan, 1, 1)]
)
def test_constants_that_make_no_law_are_refused(constants: tuple[float, ...]) -> None:
    """E may be zero, the rest must be positive and finite."""
    with pytest.raises(ConfigError):
        Chinchilla(*constants)


def test_a_budget_in_another_unit_is_refused() -> None:
    """Ten PF-days are not ten FLOP."""
    with pytest.raises(ConfigError, match="give it in FLOP"):
        Chinchilla.besiroglu().optimum(10)


def test_outside_its_runs_a_law_says_so() -> None:
    """Inside it is silent; far outside it says that intervals are unreliable."""
    law = Chinchilla.besiroglu()

    assert () == law.optimum(1e21).notes
    assert any("unreliable past 10x" in note for note in law.optimum(1e28).notes)
    assert any("below the fewest" in note for note in law.range_notes(total(1e6), 1e10))


def test_many_budgets_at_once_give_the_same_as_one_by_one() -> None:
    """Everything broadcasts."""
    law, flops = Chinchilla.besiroglu(), np.geomspace(1e18, 1e24, 7)

    together = law.optimum(flops)

    assert [float(law.optimum(c).size.count) for c in flops] == pytest.approx(list(together.size.count))
    assert (7,) == np.shape(together.loss)
