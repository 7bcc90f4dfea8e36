"""How large a model is, and what that number counts; what its training costs.

A law fitted on one count is off by tens of percent when it is fed the other: Kaplan et al. left the embeddings
out, Hoffmann et al. did not, and that alone moves the allocation exponent from 0.51 to 0.78 on small models.
So a size is never a plain number here: `total(7e9)` says what it counts, and a law that counts something else
refuses it and says how to convert.

    C = 6 N D    (2 FLOPs forward and 4 backward a parameter and token)

Why a type and not a keyword: a keyword is forgotten once and the number looks right ever after.

Sources: Kaplan et al. (2020), arXiv 2001.08361, section 2.1; Hoffmann et al. (2022), arXiv 2203.15556,
appendix F; Porian et al. (2024), arXiv 2406.19146, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError

__all__ = [
    "PF_DAY_FLOPS",
    "Parameters",
    "SizeKind",
    "Transformer",
    "active",
    "count_for",
    "non_embedding",
    "positive",
    "total",
    "training_flops",
]

#: FLOPs of a petaflop-day: 1e15 FLOP/s for 86,400 s (Kaplan et al. 2020, section 1.3).
PF_DAY_FLOPS = 8.64e19
#: FLOPs of training a parameter on a token: 2 forward, 4 backward (Kaplan et al. 2020, section 2.1).
FLOPS_PER_PARAMETER_TOKEN = 6.0
#: Largest number that is taken for a count, a loss or a cost: its products still fit a float. By hand.
MOST = 1e60


@final
class SizeKind(StrEnum):
    """What a count of parameters counts."""

    #: Embeddings or output head included, as Hoffmann et al. count.
    TOTAL = "total"
    #: Without embeddings and output head, 12 n_layer d_model^2, as Kaplan et al. count.
    NON_EMBEDDING = "non_embedding"
    #: Parameters that one token passes through, of a mixture of experts.
    ACTIVE = "active"

    def __str__(self) -> str:
        """Return the kind as it reads in a sentence."""
        return self.value.replace("_", "-")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A number of parameters that says what it counts; build it with `total`, `non_embedding` or `active`.

    Attributes:
        count: parameters, count, a float or an array of any shape, at least 1.
        kind: what `count` counts.

    Raises:
        ConfigError: if a count is not a finite number of at least 1.

    >>> total(7e9)
    total(7e+09)
    >>> total(7e9).minus_head(vocabulary=32_000, width=4096)
    non_embedding(6.86893e+09)
    """

    count: Floats
    kind: SizeKind

    def __init__(self, count: ArrayLike | Parameters, kind: SizeKind | str) -> None:
        try:
            kind = SizeKind(kind)
        except ValueError:
            kinds = ", ".join(k.value for k in SizeKind)
            raise ConfigError(f"`kind` must be one of {kinds} (got {kind!r:.80}).") from None
        if isinstance(count, Parameters):
            raise ConfigError(f"`count` must be a number, and {count!r:.80} already says what it counts.")
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "count", positive("count", count, "parameters, count", least=1.0))

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is of the same kind and holds the same counts."""
        if not isinstance(other, Parameters):
            return NotImplemented
        return self.kind is other.kind and np.array_equal(self.count, other.count)

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((self.kind, np.asarray(self.count).shape, np.asarray(self.count).tobytes()))

    def __repr__(self) -> str:
        """Return the size as the call that builds it."""
        if np.ndim(self.count) == 0:
            return f"{self.kind.value}({float(self.count):g})"
        return f"{self.kind.value}({np.size(self.count)} sizes, {np.min(self.count):g} to {np.max(self.count):g})"

    def plus_head(self, vocabulary: float, width: float) -> Parameters:
        """Return the total count of this non-embedding one: an output head of vocabulary * width more.

        Args:
            vocabulary: tokens of the tokenizer, count. width: d_model, count.

        Raises:
            ConfigError: if this is no non-embedding count.
        """
        count = count_for("plus_head", self, SizeKind.NON_EMBEDDING)
        return Parameters(count + _head(vocabulary, width), SizeKind.TOTAL)

    def minus_head(self, vocabulary: float, width: float) -> Parameters:
        """Return the non-embedding count of this total one: an output head of vocabulary * width less.

        Args:
            vocabulary: tokens of the tokenizer, count. width: d_model, count.

        Raises:
            ConfigError: if this is no total count, or nothing is left of it.
        """
        count, head = count_for("minus_head", self, SizeKind.TOTAL), _head(vocabulary, width)
        if np.any(count <= head):
            raise ConfigError(
                f"A head of {head:g} parameters leaves nothing of a model of {np.min(count):g}: "
                "check `vocabulary` and `width`."
            )
        return Parameters(count - head, SizeKind.NON_EMBEDDING)


def total(count: ArrayLike) -> Parameters:
    """Return a size that counts every parameter, as Chinchilla's N does (see `Parameters`)."""
    return Parameters(count, SizeKind.TOTAL)


def non_embedding(count: ArrayLike) -> Parameters:
    """Return a size without embeddings and output head, as Kaplan's N is (see `Parameters`)."""
    return Parameters(count, SizeKind.NON_EMBEDDING)


def active(count: ArrayLike) -> Parameters:
    """Return a size that counts what one token passes through in a mixture of experts (see `Parameters`)."""
    return Parameters(count, SizeKind.ACTIVE)


@final
@dataclass(frozen=True, slots=True)
class Transformer:
    """The shape of a decoder, for what 6 N D leaves out.

    Attributes:
        layers: n_layer, count. width: d_model, count.
        vocabulary: tokens of the tokenizer, count; needed for the head.
        context: tokens of a sequence, count; needed for attention.

    Raises:
        ConfigError: if a number is not positive and finite.
    """

    layers: float
    width: float
    vocabulary: float | None = None
    context: float | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "width", "vocabulary", "context"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name), "count", least=1.0)

    def size(self, kind: SizeKind = SizeKind.NON_EMBEDDING) -> Parameters:
        """Return 12 n_layer d_model^2 (Kaplan et al. 2020, section 2.1), for `total` plus the head.

        Raises:
            ConfigError: if the kind is `active`, or `total` and there is no vocabulary.
        """
        inner = non_embedding(12.0 * self.layers * self.width**2)
        if kind is SizeKind.NON_EMBEDDING:
            return inner
        if kind is SizeKind.TOTAL and self.vocabulary is not None:
            return inner.plus_head(self.vocabulary, self.width)
        raise ConfigError("The shape gives a total only with `vocabulary`, and never an active count.")

    def attention_flops(self, tokens: ArrayLike, *, causal: bool = True) -> Floats:
        """Return the FLOPs of attention scores and values: 6 n_ctx d_model n_layer a token, twice that not causal.

        Forward and backward, as Porian et al. (2024) count.

        Raises:
            ConfigError: if there is no `context`, or `tokens` is not positive.
        """
        if self.context is None:
            raise ConfigError("The FLOPs of attention need `context`, the tokens of a sequence.")
        masked = 1.0 if causal else 2.0
        each = FLOPS_PER_PARAMETER_TOKEN * self.context * self.width * self.layers * masked
        return _floats(each * positive("tokens", tokens, "tokens, count"))

    def head_flops(self, tokens: ArrayLike) -> Floats:
        """Return the FLOPs of the output head: 6 vocabulary d_model a token (Porian et al. 2024).

        Raises:
            ConfigError: if there is no `vocabulary`, or `tokens` is not positive.
        """
        if self.vocabulary is None:
            raise ConfigError("The FLOPs of the head need `vocabulary`, the tokens of the tokenizer.")
        head = _head(self.vocabulary, self.width)
        return _floats(FLOPS_PER_PARAMETER_TOKEN * head * positive("tokens", tokens, "tokens, count"))


def training_flops(
    size: Parameters,
    tokens: ArrayLike,
    *,
    shape: Transformer | None = None,
    head: bool = False,
    attention: bool = False,
    causal: bool = True,
) -> Floats:
    """Return what training costs [FLOP]: 6 N D, and on request what N does not hold.

    Args:
        size: parameters as the law at hand counts them. tokens: tokens trained on, count.
        shape: of the model, needed for `head` and `attention`.
        head: add the output head, which a non-embedding count leaves out and a total one holds.
        attention: add attention scores and values, which no count of parameters holds.
        causal: count only the half of the attention matrix that is not masked.

    Raises:
        ConfigError: if a number is not positive, the head would count twice, or `shape` is missing.

    >>> f"{training_flops(total(70e9), 1.4e12):.3g}"
    '5.88e+23'
    """
    count = count_for("training_flops", size, *SizeKind)
    flops = FLOPS_PER_PARAMETER_TOKEN * count * positive("tokens", tokens, "tokens, count")
    if (head or attention) and shape is None:
        raise ConfigError("`head` and `attention` need `shape`: Transformer(layers, width, vocabulary, context).")
    if head and shape is not None:
        if size.kind is SizeKind.TOTAL:
            raise ConfigError("A total count holds the head already: leave `head` off, or give a non-embedding count.")
        flops = flops + shape.head_flops(tokens)
    if attention and shape is not None:
        flops = flops + shape.attention_flops(tokens, causal=causal)
    return _floats(flops)


_HOW = {
    (SizeKind.TOTAL, SizeKind.NON_EMBEDDING): "convert with `size.plus_head(vocabulary, width)`",
    (SizeKind.NON_EMBEDDING, SizeKind.TOTAL): "convert with `size.minus_head(vocabulary, width)`",
}
_NO_WAY = "no formula converts them; count the model again, or fit the law on the sizes you have"


def count_for(law: str, size: object, *kinds: SizeKind) -> Floats:
    """Return the count of `size` for a law that counts one of `kinds`: what every law calls first.

    Args:
        law: name of the law, for the message. size: a `Parameters`.
        kinds: what the law counts; the first is named where the constructor is.

    Raises:
        ConfigError: if `size` is a plain number or of another kind; the message says what to write.
    """
    wanted = " or ".join(str(kind) for kind in kinds)
    if not isinstance(size, Parameters):
        calls = " or ".join(f"`{kind.value}(n)`" for kind in kinds)
        raise ConfigError(
            f"{law} counts {wanted} parameters, and a plain number does not say what it counts: write "
            f"{calls} (got {size!r:.80}, {type(size).__name__})."
        )
    if size.kind not in kinds:
        how = _HOW.get((kinds[0], size.kind), _NO_WAY)
        raise ConfigError(f"{law} counts {wanted} parameters; got {size.kind}: {how}.")
    return size.count


def positive(name: str, value: Any, unit: str, *, least: float = 0.0, most: float = MOST) -> Floats:
    """Return `value` as float64, an array for an array and a scalar for a scalar.

    Raises:
        ConfigError: if it is no number, not above 0 or below `least`, not finite or above `most`; it says which.
    """
    bad = isinstance(value, str | bytes | bool | Parameters) or value is None
    try:
        array = np.asarray(np.nan if bad else value)
        numbers = array.astype(np.float64) if array.dtype.kind in "iuf" else np.array(np.nan)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        numbers = np.array(np.nan)
    fine = (numbers >= least) & (numbers > 0) & (numbers <= most)
    if not np.all(fine) or numbers.size == 0:
        worst = float(numbers[~fine].flat[0]) if numbers.ndim and not np.all(fine) else value
        above = f"at least {least:g}" if least > 0 else "above 0"
        raise ConfigError(
            f"`{name}` [{unit}] must be a finite number {above} and at most {most:g}, or an array of them "
            f"(got {worst!r:.80}, {type(value).__name__})."
        )
    numbers.setflags(write=False)
    return _floats(numbers)


def _head(vocabulary: float, width: float) -> float:
    tokens = positive("vocabulary", vocabulary, "tokens, count", least=1.0)
    return float(tokens * positive("width", width, "d_model, count", least=1.0))


def _floats(value: Any) -> Floats:
    # a scalar is a np.float64, which is a float: nobody has to unpack an array of no dimension
    return np.asarray(value, dtype=np.float64)[()]
