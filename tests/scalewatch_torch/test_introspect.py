"""What is found out about a model and a batch without being told."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from scalewatch_torch.introspect import count_sizes, tokens_in, validation_losses


class Gpt(nn.Module):
    """The layers of a GPT by name, as in nanoGPT."""

    def __init__(self, vocabulary: int = 50, width: int = 8, tied: bool = False) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(12, width)
        self.attention = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.wte.weight


INNER = 8 * 8 + (8 * 32 + 32) + (32 * 8 + 8)


def test_sizes_of_a_gpt() -> None:
    """Tokens, positions and the head are outside; the layers are inside."""
    total, inner = count_sizes(Gpt())

    assert inner == INNER
    assert total == INNER + 50 * 8 + 12 * 8 + 50 * 8


def test_a_shared_parameter_is_counted_once() -> None:
    """A tied head is the embedding."""
    total, inner = count_sizes(Gpt(tied=True))

    assert inner == INNER
    assert total == INNER + 50 * 8 + 12 * 8


def test_where_width_and_vocabulary_are_equal_only_the_last_square_layer_is_the_head() -> None:
    """A byte-level model of width 256 has square layers everywhere."""
    assert count_sizes(Gpt(vocabulary=8)).non_embedding_parameters == INNER
    assert count_sizes(Gpt(vocabulary=8, tied=True)).non_embedding_parameters == INNER


def test_more_positions_than_letters_do_not_hide_the_head() -> None:
    """A byte-level model of a long context: 12 positions, 10 letters."""
    assert count_sizes(Gpt(vocabulary=10)).non_embedding_parameters == INNER


def test_a_layer_of_the_shape_of_the_head_is_not_one() -> None:
    """A vocabulary of four times the width looks like the upper layer of each block."""
    assert count_sizes(Gpt(vocabulary=32)).non_embedding_parameters == INNER


def test_a_model_without_text_is_all_inside() -> None:
    """No embedding, so no head either."""
    assert count_sizes(nn.Linear(3, 2)) == (8, 8)


def test_a_model_without_parameters_has_no_size() -> None:
    """None, because a size of 0 is none."""
    assert count_sizes(nn.ReLU()) == (None, None)


def test_a_lazy_layer_counts_when_it_exists() -> None:
    """Before its first batch nobody knows its size."""
    layer = nn.LazyLinear(2)
    assert count_sizes(layer) == (None, None)

    layer(torch.zeros(1, 3))

    assert count_sizes(layer) == (8, 8)


IDS = torch.zeros((4, 10), dtype=torch.int64)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (IDS, 40),
        (IDS.to(torch.uint8), 40),
        ((IDS, IDS), 40),
        ([IDS[:, :5], IDS], 20),
        ({"labels": IDS, "input_ids": IDS[:, :7]}, 28),
        (OrderedDict(attention_mask=IDS.bool(), text=IDS), 40),
        (SimpleNamespace(input_ids=IDS), 40),
        (({"meta": "a", "x": [IDS]},), 40),
        (torch.randn(4, 3, 8, 8), None),
        ((torch.randn(4, 10), torch.zeros(4, dtype=torch.int64)), None),
        (IDS.bool(), None),
        ("text", None),
        (None, None),
        ([[[[[[IDS]]]]]], None),
    ],
)
def test_tokens_of_a_batch(batch: object, expected: int | None) -> None:
    """The first integer tensor of shape (batch, time), wherever it is; none among images and labels."""
    assert tokens_in(batch) == expected


def test_the_validation_loss_has_many_names() -> None:
    """The most usual one wins, and else all that are called one; an accuracy is none."""
    assert validation_losses({"val/loss": torch.tensor(2.0), "val_loss": torch.tensor(1.0)}) == {"val_loss": 1.0}
    assert validation_losses({"eval_loss": 3, "heldout/nll": 4}) == {"eval_loss": 3.0}
    assert validation_losses({"heldout/nll": 4.0, "loss": 1.0, "val_acc": 0.5}) == {"heldout/nll": 4.0}
    assert validation_losses({"val_accuracy": torch.tensor(0.5)}) == {}


def test_a_validation_loss_of_several_loaders_is_known_by_its_one_name() -> None:
    """Or one of them by its own."""
    logged = {"val_loss/dataloader_idx_0": 2.0, "val_loss/dataloader_idx_1": 4.0, "other/dataloader_idx_0": 9.0}

    assert list(validation_losses(logged).values()) == [2.0, 4.0]
    assert validation_losses(logged, ["other"]) == {"other/dataloader_idx_0": 9.0}
    assert list(validation_losses(logged, ["val_loss/dataloader_idx_1"]).values()) == [4.0]
    assert validation_losses(logged, ["nothing"]) == {}
