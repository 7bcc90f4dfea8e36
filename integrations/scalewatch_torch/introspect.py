"""What a run is, found out from the model, its optimizers, a batch and what is logged.

All of it reads shapes and counters; nothing touches a value on a device, and nothing is a collective.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from scalewatch.objective import words_of

__all__ = ["Sizes", "count_sizes", "main_group", "tokens_in", "validation_losses"]

#: Keys under which a batch holds its text, most specific first.
TOKEN_KEYS = ("input_ids", "tokens", "token_ids", "idx", "x", "inputs")

#: Names under which a validation loss is logged, most usual first.
VALIDATION_LOSS_NAMES = (
    *("val_loss", "val/loss", "valid_loss", "valid/loss", "validation_loss", "validation/loss"),
    *("loss/val", "eval_loss", "eval/loss", "dev_loss", "dev/loss"),
)

#: Words of a name that say of what it is, and that it is a loss. By hand.
_VALIDATION_WORDS = frozenset({"val", "valid", "validation", "eval", "dev", "heldout", "holdout"})
_LOSS_WORDS = frozenset({"loss", "nll", "ce"})
#: What Lightning puts behind the name of a metric that is logged for each of several data loaders.
ALL_LOADERS = "/dataloader_idx_"

#: Batches are nested at most this deep: a list of a dict of a tuple.
MAX_BATCH_DEPTH = 4


class Sizes(NamedTuple):
    """Parameters of a model [count], None where it has none of the kind."""

    parameters: int | None
    non_embedding_parameters: int | None


def count_sizes(module: nn.Module) -> Sizes:
    """Count the parameters of `module`, a shared one once.

    Not counted as non-embedding: every `nn.Embedding` (tokens, positions, types) and the output head, the
    last `nn.Linear` from the width of the first embedding to its vocabulary (or else of the largest one).
    The last, because other layers may have that shape: all square ones, where the two numbers are equal.
    """
    sizes = {id(p): _numel(p) for p in module.parameters()}
    total = sum(sizes.values())
    outside = {id(p) for layer in _embeddings(module) for p in layer.parameters()}
    head = _output_head(module)
    outside |= {id(p) for p in head.parameters()} if head is not None else set()
    inner = total - sum(sizes[key] for key in outside)
    return Sizes(total or None, inner or None)


def _numel(parameter: nn.Parameter) -> int:
    if isinstance(parameter, nn.parameter.UninitializedParameter):
        return 0  # a lazy layer that has not seen a batch yet
    # DeepSpeed ZeRO-3 leaves an empty shard behind and keeps the true size here
    return int(getattr(parameter, "ds_numel", 0) or parameter.numel())


def _embeddings(module: nn.Module) -> list[nn.Embedding | nn.EmbeddingBag]:
    return [m for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)]


def _output_head(module: nn.Module) -> nn.Linear | None:
    embeddings = _embeddings(module)
    if not embeddings:
        return None
    # the first one is that of the tokens in nearly every model; positions may outnumber a small vocabulary
    largest = max(embeddings, key=lambda layer: layer.num_embeddings)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for embedding in (embeddings[0], largest):
        shape = embedding.num_embeddings, embedding.embedding_dim
        heads = [layer for layer in layers if (layer.out_features, layer.in_features) == shape]
        tied = [head for head in heads if head.weight is embedding.weight]
        if heads:
            return (tied or heads)[-1]
    return None


def tokens_in(batch: object, depth: int = 0) -> int | None:
    """Tokens in `batch` [count]: the size of its first integer tensor of shape (batch, time).

    Looks under the usual names of a dictionary first (`input_ids` and others), then at all values in order.
    None if there is no such tensor, as in a batch of images.
    """
    if isinstance(batch, torch.Tensor):
        is_text = batch.ndim == 2 and not batch.is_floating_point() and not batch.is_complex()
        return batch.numel() if is_text and batch.dtype != torch.bool else None
    if depth >= MAX_BATCH_DEPTH:
        return None
    for value in _candidates(batch):
        count = tokens_in(value, depth + 1)
        if count is not None:
            return count
    return None


def _candidates(batch: object) -> Iterable[object]:
    if isinstance(batch, Mapping):
        named = [batch[key] for key in TOKEN_KEYS if key in batch]
        return [*named, *batch.values()]
    if isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        return batch
    return [value for key in TOKEN_KEYS if (value := getattr(batch, key, None)) is not None]


def main_group(optimizers: Iterable[Any]) -> tuple[Any, int] | None:
    """The optimizer and the index of its group that hold the most parameters: whose steps are counted,
    whose learning rate is reported. None if none has a group."""
    best: tuple[int, Any, int] | None = None
    for optimizer in optimizers:
        if not optimizer.param_groups:  # the stand-in of a loop without one
            continue
        sizes = [sum(_numel(p) for p in group["params"]) for group in optimizer.param_groups]
        index = max(range(len(sizes)), key=sizes.__getitem__)
        if best is None or sum(sizes) > best[0]:
            best = sum(sizes), optimizer, index
    return None if best is None else best[1:]


def validation_losses(metrics: Mapping[str, Any], names: Sequence[str] = ()) -> dict[str, float]:
    """The validation losses among logged metrics, by their names; empty if there are none.

    Args:
        metrics: what is logged, by name. names: those that are wanted; one of several data loaders has `ALL_LOADERS`
            and a number behind it, and stands for all of them without. Empty for the most usual name that is there, and
            else for every loss whose name says that it is of validation.

    >>> validation_losses({"val_loss/dataloader_idx_0": 2.0, "val_loss/dataloader_idx_1": 3.0, "loss": 1.0})
    {'val_loss/dataloader_idx_0': 2.0, 'val_loss/dataloader_idx_1': 3.0}
    >>> validation_losses({"dev_acc": 0.5, "dev/nll_loss": 3.0, "loss": 1.0}), validation_losses({"a": 1.0}, ["a"])
    ({'dev/nll_loss': 3.0}, {'a': 1.0})
    """
    for usual in (names,) if names else [(name,) for name in VALIDATION_LOSS_NAMES]:
        chosen = [key for key in metrics if key in usual or key.partition(ALL_LOADERS)[0] in usual]
        if chosen:
            break
    else:
        wanted = [] if names else [(key, set(words_of(key))) for key in metrics]
        chosen = [key for key, words in wanted if words & _VALIDATION_WORDS and words & _LOSS_WORDS]
    return {key: float(metrics[key]) for key in chosen}
