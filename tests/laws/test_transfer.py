"""The law of transfer: published constants, units, and where it stops being one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import ConfigError
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.size import Parameters, non_embedding, total
from scalewatch.laws.transfer import Transfer

LAW = Transfer.text_to_python()


def test_published_constants_are_those_of_table_1() -> None:
    """Hernandez et al. 2021: two rows, one exponent of size."""
    mixed = Transfer.text_and_code_to_python()

    assert (1.9e4, 0.18, 0.38) == (LAW.scale, LAW.data_exponent, LAW.size_exponent)
    assert (2.1e5, 0.096, 0.38) == (mixed.scale, mixed.data_exponent, mixed.size_exponent)


def test_a_hundred_times_the_text_is_worth_ten_times_the_model() -> None:
    """Section 1.1: beta is about twice alpha."""
    by_text = LAW.transferred(1e8, non_embedding(1e7)) / LAW.transferred(1e6, non_embedding(1e7))
    by_size = LAW.transferred(1e6, non_embedding(1e8)) / LAW.transferred(1e6, non_embedding(1e7))

    assert by_size == pytest.approx(by_text, rel=0.06)


def test_the_multiplier_is_the_effective_text_over_the_text() -> None:
    """Equation 1.2, on arrays too."""
    text = np.array([1e5, 1e7])
    size = non_embedding(4e7)

    assert LAW.effective(text, size) == pytest.approx(text * LAW.multiplier(text, size))
    assert LAW.effective(text, size) == pytest.approx(text + LAW.transferred(text, size))


@given(st.floats(1e5, 1e9), st.floats(1e6, 1e9), st.floats(1.1, 10))
def test_more_text_and_more_size_are_worth_more_at_a_falling_rate(text: float, count: float, times: float) -> None:
    """D_E rises with both; the multiplier falls with the text."""
    size = non_embedding(count)

    assert LAW.effective(times * text, size) > LAW.effective(text, size)
    assert LAW.effective(text, non_embedding(times * count)) > LAW.effective(text, size)
    assert LAW.multiplier(times * text, size) < LAW.multiplier(text, size)


def test_another_unit_of_text_is_another_scale() -> None:
    """k has the unit characters^(1 - alpha): in thousands of characters it is 1000^(alpha - 1) times as large."""
    thousands = Transfer(LAW.scale * 1e3 ** (LAW.data_exponent - 1), LAW.data_exponent, LAW.size_exponent)
    size = non_embedding(4e7)

    assert LAW.transferred(3e5, size) == pytest.approx(1e3 * thousands.transferred(300.0, size))


def test_a_loss_is_a_law_of_tokens_read_at_the_effective_text() -> None:
    """Characters become tokens by the tokenizer's own rate."""
    size = non_embedding(4e7)

    def law(own: Parameters, tokens: np.ndarray) -> np.ndarray:
        assert own is size
        return 10.0 * tokens**-0.1

    expected = 10.0 * (LAW.effective(3e5, size) / 3.0) ** -0.1

    assert expected == pytest.approx(LAW.loss(3e5, size, law, characters_per_token=3.0))


def test_kaplans_law_takes_what_transfer_gives() -> None:
    """The law that the paper uses: pre-training lowers the loss of the same fine-tuning text."""
    size, tokens = non_embedding(4e7), 3e5 / 3.0

    assert LAW.loss(3e5, size, Kaplan().loss, characters_per_token=3.0) < Kaplan().loss(size, tokens)


def test_within_the_papers_range_there_is_nothing_to_say() -> None:
    """A 40M model on 3e5 characters is figure 1 of the paper."""
    assert () == LAW.range_notes(3e5, non_embedding(4e7))


@pytest.mark.parametrize(
    ("text", "count", "says"),
    [(1e10, 1e6, "low-data regime"), (1e3, 1e7, "fine-tune on 1 %"), (1e6, 1e12, "non-embedding parameters")],
)
def test_outside_it_says_what_to_do(text: float, count: float, says: str) -> None:
    """High-data regime, too little text, too large a model."""
    assert any(says in note for note in LAW.range_notes(text, non_embedding(count)))


def test_a_size_that_counts_something_else_is_refused() -> None:
    """The paper leaves the vocabulary out; a plain number does not say."""
    with pytest.raises(ConfigError, match="non-embedding"):
        LAW.transferred(1e6, total(1e8))
    with pytest.raises(ConfigError, match="plain number"):
        LAW.transferred(1e6, 1e8)  # type: ignore[arg-type]


@pytest.mark.parametrize("constants", [(0.0, 0.1, 0.3), (1e4, 1.0, 0.3), (1e4, -0.1, 0.3), (1e4, 0.1, float("nan"))])
def test_constants_that_no_law_has_are_refused(constants: tuple[float, float, float]) -> None:
    """Not positive, not finite, or worth more the more text there is."""
    with pytest.raises(ConfigError):
        Transfer(*constants)
