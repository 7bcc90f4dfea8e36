"""Sizes that say what they count, and what training costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalewatch.errors import ConfigError
from scalewatch.laws.size import (
    PF_DAY_FLOPS,
    Parameters,
    SizeKind,
    Transformer,
    active,
    count_for,
    non_embedding,
    positive,
    total,
    training_flops,
)


def test_a_law_of_non_embedding_parameters_refuses_a_total_and_says_how_to_convert() -> None:
    """The message names both kinds and the method that converts."""
    with pytest.raises(ConfigError, match=r"counts non-embedding parameters; got total: convert with .*minus_head"):
        count_for("Kaplan's law", total(1e9), SizeKind.NON_EMBEDDING)


def test_an_active_count_is_not_converted_by_any_formula() -> None:
    """A mixture of experts has to be counted again."""
    with pytest.raises(ConfigError, match="no formula converts"):
        count_for("Chinchilla", active(1e9), SizeKind.TOTAL)


@pytest.mark.parametrize("size", [1e9, 7, np.array([1e9]), None, "7b", [1e9]])
def test_a_plain_number_is_refused_with_the_constructor_to_use(size: object) -> None:
    """Nobody has to guess what a law counts."""
    with pytest.raises(ConfigError, match=r"write `total\(n\)`"):
        count_for("Chinchilla", size, SizeKind.TOTAL)


@pytest.mark.parametrize(
    "count", [0, -1e9, np.nan, np.inf, True, "7b", None, [], [1e9, 0.0], [[1e9], "x"], total(1e9), 1j]
)
def test_what_is_no_count_is_refused(count: Any) -> None:
    """Counts are finite and at least 1, scalar or array."""
    with pytest.raises(ConfigError, match="count"):
        total(count)


def test_an_unknown_kind_is_refused() -> None:
    """Kinds are few, and the message lists them."""
    with pytest.raises(ConfigError, match="total, non_embedding, active"):
        Parameters(1e9, "embedding")


def test_sizes_are_equal_where_kind_and_counts_are() -> None:
    """A size of one kind never equals a size of another."""
    assert total(1e9) == total(1_000_000_000)
    assert total(1e9) != non_embedding(1e9)
    assert total([1e9, 2e9]) == total([1e9, 2e9])
    assert total(1e9) != 1e9
    assert len({total(1e9), total(1e9), active(1e9)}) == 2


def test_counts_cannot_be_changed_afterwards() -> None:
    """The array inside is a copy, and read-only."""
    counts = np.array([1e9, 2e9])

    size = total(counts)
    counts[0] = 5.0

    assert float(size.count[0]) == 1e9
    with pytest.raises(ValueError, match="read-only"):
        size.count[0] = 1.0


def test_adding_and_taking_the_head_are_each_others_inverse() -> None:
    """A head is vocabulary times width parameters."""
    inner = non_embedding(1e8)

    assert total(1e8 + 32_000 * 768) == inner.plus_head(32_000, 768)
    assert inner == inner.plus_head(32_000, 768).minus_head(32_000, 768)


def test_a_head_larger_than_the_model_is_refused() -> None:
    """What is left would be no model."""
    with pytest.raises(ConfigError, match="leaves nothing"):
        total(1e6).minus_head(32_000, 768)


def test_the_shape_of_gpt2_gives_its_known_sizes() -> None:
    """12 layers of 768: 85M without embeddings, 124M with the head."""
    shape = Transformer(layers=12, width=768, vocabulary=50_257)

    assert non_embedding(84_934_656) == shape.size()
    assert total(84_934_656 + 50_257 * 768) == shape.size(SizeKind.TOTAL)


def test_a_shape_gives_no_size_that_it_does_not_know() -> None:
    """Without a vocabulary there is no total, and there is never an active count."""
    with pytest.raises(ConfigError, match="vocabulary"):
        Transformer(12, 768).size(SizeKind.TOTAL)
    with pytest.raises(ConfigError, match="layers"):
        Transformer(0, 768)


def test_training_costs_six_flops_a_parameter_and_token() -> None:
    """Chinchilla's own budget is 5.88e23 FLOP, 6,806 PF-days."""
    flops = float(training_flops(total(70e9), 1.4e12))

    assert pytest.approx(5.88e23) == flops
    assert pytest.approx(6805.6, rel=1e-4) == flops / PF_DAY_FLOPS


def test_head_and_attention_add_what_porian_counts() -> None:
    """The head adds 6 V d a token, causal attention 6 n d L, full attention twice that."""
    shape = Transformer(layers=12, width=768, vocabulary=50_257, context=1024)
    size, tokens = shape.size(), 1e9
    plain = float(training_flops(size, tokens))

    with_head = float(training_flops(size, tokens, shape=shape, head=True))
    with_attention = float(training_flops(size, tokens, shape=shape, attention=True))
    not_causal = float(training_flops(size, tokens, shape=shape, attention=True, causal=False))

    assert pytest.approx(6 * 50_257 * 768 * tokens) == with_head - plain
    assert pytest.approx(6 * 1024 * 768 * 12 * tokens) == with_attention - plain
    assert pytest.approx(2 * (with_attention - plain)) == not_causal - plain


def test_the_head_is_not_counted_twice() -> None:
    """A total count holds it."""
    shape = Transformer(layers=12, width=768, vocabulary=50_257)

    with pytest.raises(ConfigError, match="holds the head already"):
        training_flops(shape.size(SizeKind.TOTAL), 1e9, shape=shape, head=True)


def test_what_the_shape_lacks_is_named() -> None:
    """Head needs a vocabulary, attention a context, both a shape."""
    shape = Transformer(layers=12, width=768)

    with pytest.raises(ConfigError, match="`shape`"):
        training_flops(total(1e9), 1e9, attention=True)
    with pytest.raises(ConfigError, match="`context`"):
        training_flops(non_embedding(1e9), 1e9, shape=shape, attention=True)
    with pytest.raises(ConfigError, match="`vocabulary`"):
        training_flops(non_embedding(1e9), 1e9, shape=shape, head=True)


def test_scalars_stay_scalars_and_arrays_stay_arrays() -> None:
    """A single answer is a float that prints as one."""
    assert isinstance(training_flops(total(1e9), 1e9), float)
    assert (2,) == training_flops(total([1e9, 2e9]), 1e9).shape
    assert isinstance(positive("x", 3, "count"), float)
