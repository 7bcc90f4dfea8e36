"""Learning-rate and batch bands: published formulas, and that they are never more than advice."""

from __future__ import annotations

import pytest

from scalewatch.errors import ConfigError
from scalewatch.laws.batch_and_step import BandSource, advise_batch_tokens, advise_learning_rate
from scalewatch.laws.size import non_embedding, total


def test_step_law_is_as_published() -> None:
    """lr = 1.79 N^-0.713 D^0.307, batch = 0.58 D^0.571 tokens."""
    size = non_embedding(1e9)

    assert 1.79 * 1e9**-0.713 * 1e11**0.307 == pytest.approx(advise_learning_rate(size, 1e11).middle)
    assert 0.58 * 1e11**0.571 == pytest.approx(advise_batch_tokens(size, 1e11).middle)


def test_deepseek_is_as_published() -> None:
    """Its 7B star of figure 3: 9.2e6 tokens a batch at 6.9e9 parameters and 2e12 tokens."""
    size = non_embedding(6.9e9)
    batch = advise_batch_tokens(size, 2e12, BandSource.DEEPSEEK)
    rate = advise_learning_rate(size, 2e12, BandSource.DEEPSEEK)

    assert 9.2e6 == pytest.approx(batch.middle, rel=0.03)
    assert 4.2e-4 == pytest.approx(rate.middle, rel=0.1)


@pytest.mark.parametrize("source", BandSource)
def test_what_is_given_is_a_band_and_says_it_is_advice(source: BandSource) -> None:
    """Low below high, the formula inside, and the word in the text."""
    for advise in (advise_learning_rate, advise_batch_tokens):
        band = advise(non_embedding(2e8), 1e10, source)

        assert band.low < band.middle < band.high
        assert band.holds(band.middle)
        assert not band.holds(3 * band.high)
        assert str(band).startswith("Advice")


def test_the_two_papers_need_not_agree_and_both_can_be_had() -> None:
    """At 1e9 parameters and 2e10 tokens, each has its own band."""
    bands = {s: advise_learning_rate(non_embedding(1e9), 2e10, s).middle for s in BandSource}

    assert bands[BandSource.STEP_LAW] != pytest.approx(bands[BandSource.DEEPSEEK], rel=0.01)


def test_larger_models_want_a_smaller_rate_and_more_data_a_larger_batch() -> None:
    """The signs of the published exponents."""
    small, large = (advise_learning_rate(non_embedding(n), 1e10).middle for n in (1e8, 1e9))
    short, long = (advise_batch_tokens(non_embedding(1e8), d).middle for d in (1e10, 1e11))

    assert large < small
    assert long > short


def test_outside_the_fitted_range_it_says_to_sweep() -> None:
    """70B is 64 times beyond Step Law's largest model; a small run is inside."""
    assert () == advise_learning_rate(non_embedding(2e8), 1e10).notes
    assert "sweep" in advise_learning_rate(non_embedding(7e10), 1e11).notes[0]
    assert "FLOP" in advise_batch_tokens(non_embedding(7e10), 1e12, BandSource.DEEPSEEK).notes[0]


def test_bad_input_is_refused() -> None:
    """Another count of parameters, no tokens, a source that nobody wrote."""
    with pytest.raises(ConfigError, match="non-embedding"):
        advise_learning_rate(total(1e9), 1e10)
    with pytest.raises(ConfigError, match="tokens"):
        advise_batch_tokens(non_embedding(1e9), 0.0)
    with pytest.raises(ConfigError, match="step_law, deepseek"):
        advise_learning_rate(non_embedding(1e9), 1e10, "chinchilla")  # type: ignore[arg-type]
