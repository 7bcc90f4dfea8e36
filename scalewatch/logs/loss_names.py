"""Which column's name says a loss, of training or held out, and how likely.

A name is cut into words. A loss has a word that says so; words beyond it are plain (`lm loss`), say how it was
averaged, or name a term of it (`box_loss`) or another quantity altogether (`loss_scale`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from scalewatch.objective import words_of

__all__ = [
    "HELD_OUT",
    "TRAIN",
    "final_loss",
    "is_part",
    "kind_of",
    "may_be_maximized",
    "training_loss",
    "validation_loss",
]

#: Words that say that a loss is not one of training.
HELD_OUT = frozenset(
    {
        "val",
        "valid",
        "validation",
        "validate",
        "eval",
        "evaluation",
        "test",
        "dev",
        "heldout",
        "holdout",
        "vali",
        "tst",
        "v",
    }
)
#: Words that say that it is.
TRAIN = frozenset({"train", "training", "trainer", "tr", "trn", "t", "learn", "fit"})
#: Words that say no more than what a loss of this kind is anyhow, and those that say how it was averaged.
_PLAIN = frozenset(
    {"metrics", "metric", "main", "lm", "language", "modeling", "nats", "token", "per", "raw", "model"}
    | {"reduced", "global", "binary", "multi", "log", "current", "cur", "s", "of", "the", "world", "scalar", "scalars"}
)
_AVERAGED = frozenset({"mean", "avg", "average", "epoch", "smoothed", "smooth", "ema", "running", "window"})
_TOTAL = frozenset({"total", "sum", "overall"})
_OWN = frozenset({"step", "batch", "micro", "iter", "iteration"})
#: What a loss is called, the likeliest first.
_LOSSES = (
    *(frozenset({"loss"}), frozenset({"losses"}), frozenset({"nll"}), frozenset({"ce"}), frozenset({"xent"})),
    *(frozenset({"xentropy"}), frozenset({"cross", "entropy"}), frozenset({"crossentropy"}), frozenset({"logloss"})),
    *(frozenset({"log", "loss"}), frozenset({"logistic"}), frozenset({"mse"}), frozenset({"rmse"}), frozenset({"mae"})),
    *(frozenset({"bce"}), frozenset({"cost"}), frozenset({"elbo"}), frozenset({"objective"}), frozenset({"l2"})),
    *(frozenset({"l1"}), frozenset({"bits", "dim"}), frozenset({"bpd"})),
    *(frozenset({"mlogloss"}), frozenset({"nloglik"}), frozenset({"nelbo"}), frozenset({"rmsle"}), frozenset({"mape"})),
    *(frozenset({"huber"}), frozenset({"neg", "log", "likelihood"}), frozenset({"negative", "log", "likelihood"})),
    *(frozenset({"error"}), frozenset({"err"}), frozenset({"l", "total"}), frozenset({"l", "pix"})),
    *(frozenset({"ppl"}), frozenset({"perplexity"}), frozenset({"bpb"}), frozenset({"bits", "byte"})),
    *(frozenset({"bpt"}), frozenset({"bits", "token"}), frozenset({"bpc"})),
)
_LOSS_WORDS: frozenset[str] = frozenset().union(*_LOSSES)
#: A word beside `loss` that makes it another quantity, or one that is not meant to fall.
_OTHER = frozenset(
    {"aux", "z", "router", "balance", "balancing", "scale", "scaling", "scaler", "std", "var", "variance", "best"}
    | {"kl", "min", "max", "delta", "diff", "change", "ratio", "weight", "weights", "coef", "coefficient"}
    | {"count", "num", "rate", "lambda", "lr", "grad", "norm", "reward", "entropy", "reg", "regularization", "target"}
    | {"time", "seconds", "ms", "eta", "patience", "id", "name", "final", "baseline", "threshold", "prev", "previous"}
    | {"z_score", "zscore", "gap", "trend", "slope", "fake", "real", "ms", "sec", "samples", "tokens", "seed"}
)
#: What a section of names says of the rows, and not of the loss: `Train/Samples/train_loss`.
_COUNTED = re.compile(r"(?i)\b(?:samples|steps|epochs|charts?)\b")
#: Sides of a game: each has a loss, and neither is the loss of the run.
_SIDES = frozenset({"d", "g", "disc", "discriminator", "gen", "generator"})
#: Whose loss is a step of its policy, and about zero whatever is learnt: behind that of its value.
_OF_A_POLICY = frozenset({"policy", "surrogate", "pg", "pi", "actor"})
#: Rank from which a name is that of one term of the loss, far beyond that of every kind of loss by itself.
PART = 1_000.0
#: Words beyond those of a loss that a held-out one may have.
_MOST_EXTRA = 2


def kind_of(words: Collection[str]) -> int | None:
    """Return the place of the first kind of loss that these words say, None if they say none."""
    return next((rank for rank, needed in enumerate(_LOSSES) if needed <= set(words)), None)


@lru_cache(maxsize=8192)
def training_loss(name: str) -> float | None:
    """Return how likely a name is that of the training loss, the less the likelier; None if it is not.

    >>> training_loss("total_loss") < training_loss("loss") < training_loss("loss_ce") < training_loss("box_loss")
    True
    """
    section, slash, last = name.rpartition("/")
    words = words_of(_COUNTED.sub(" ", section) + slash + last)
    kind = kind_of(words)
    if kind is None or HELD_OUT & set(words):
        return None
    extra = set(words) - _LOSSES[kind] - TRAIN - _PLAIN - _AVERAGED - _OWN - _TOTAL
    rank = 10.0 * kind - 0.5 * bool(TRAIN & set(words)) - 0.2 * ("step" in words)
    # a mean over an epoch or a window hides what one step did
    rank += 2.0 * len(_AVERAGED & set(words)) - 0.6 * bool(_TOTAL & set(words))
    named = extra & _LOSS_WORDS
    if "entropy" in named and "cross" not in named:
        return None
    extra -= named
    if extra & _OTHER or len(words) > 8 or (extra and kind > 1 and not named and not extra & _SIDES):
        return None
    terms = {word for word in extra if not word.isdigit()}
    behind = len(terms) + len(_LOSS_WORDS) * bool(extra & _OF_A_POLICY)
    return rank + 1.5 * bool(named) + (PART * (1 + bool(extra & _SIDES)) + behind if extra else 0.0)


def is_part(name: str) -> bool:
    """Return whether a name is that of one term of a loss, such as `train/box_loss`."""
    rank = training_loss(name)
    return rank is not None and rank >= PART / 2


@lru_cache(maxsize=8192)
def validation_loss(name: str) -> float | None:
    """Return how likely a name is that of a held-out loss, the less the likelier; None if it is not."""
    words = words_of(name)
    kind = kind_of(words)
    if kind is None or not HELD_OUT & set(words):
        return None
    others = set(words) - _LOSS_WORDS - HELD_OUT - _PLAIN - _AVERAGED - _OWN - TRAIN - _TOTAL
    if others & (_OTHER - {"d", "g", "kl", "aux", "entropy"}) or len(others) > _MOST_EXTRA:
        return None
    return 10.0 * kind + 3.0 * ("test" in words) + len(others)


def may_be_maximized(name: str) -> bool:
    """Return whether a name is that of what some maximize and others print the negative of, by the same name.

    >>> may_be_maximized("train/elbo"), may_be_maximized("neg_elbo"), may_be_maximized("loss")
    (True, False, False)
    """
    words = set(words_of(name))
    return bool(words & {"elbo", "objective"}) and not words & {"neg", "negative", "minus", "n", "loss", "nll"}


def final_loss(name: str) -> float | None:
    """Return how likely a name is that of a finished run's loss: one that was held out says more of it."""
    words = words_of(name)
    plain = " ".join(word for word in words if word != "final")
    training, held_out = training_loss(plain), validation_loss(plain)
    if held_out is None and (training is None or training >= PART / 2):
        return None
    rank = held_out + 1.0 if held_out is not None else (training or 0.0) + 5.0 * bool(TRAIN & set(words))
    return rank - PART * ("final" in words)
