"""Which column of somebody's log or table is what, guessed from its name.

A name is cut into words, so that `train/loss`, `loss/train_step`, `trainLoss` and `Train Loss` are one name. A field
has words that must be there and words that may be; a column with any other word is some other quantity
(`aux_loss`, `grad_norm/layer.3`). The guess is shown to the user, who can override it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, final

from scalewatch.errors import LogError
from scalewatch.objective import words_of

__all__ = [
    *("FIELDS", "HELD_OUT", "RUNS", "Guess"),
    *("guess", "listed", "loss_notes", "placed", "ranked", "scale_of"),
]

#: What a column can be: the fields of `Observation`.
FIELDS = ("step", "loss", "learning_rate", "grad_norm", "tokens", "validation_loss", "seconds")
#: Names shown in an error.
MOST_SHOWN = 24
#: Rivals of the loss that a note names.
MOST_RIVALS = 6

#: Words that say that a loss is not one of training.
HELD_OUT = frozenset({"val", "valid", "validation", "eval", "evaluation", "test", "dev", "heldout", "holdout"})
_TRAIN = frozenset({"train", "training", "trainer", "tr"})
#: Words that say no more than what a loss of this kind is anyhow, and those that say how it was averaged.
_PLAIN = frozenset({"metrics", "metric", "main", "lm", "language", "modeling", "nats", "token", "per", "raw", "model"})
_AVERAGED = frozenset({"mean", "avg", "average", "epoch", "smoothed", "smooth", "ema", "running", "window", "total"})
_OWN = frozenset({"step", "batch", "micro", "iter"})
_LOSSES = (
    frozenset({"loss"}),
    frozenset({"nll"}),
    frozenset({"ce"}),
    frozenset({"xent"}),
    frozenset({"xentropy"}),
    frozenset({"cross", "entropy"}),
    frozenset({"crossentropy"}),
    frozenset({"ppl"}),
    frozenset({"perplexity"}),
    frozenset({"bpb"}),
    frozenset({"bits", "byte"}),
    frozenset({"bpt"}),
    frozenset({"bits", "token"}),
    frozenset({"bpc"}),
)
_LOSS_WORDS: frozenset[str] = frozenset().union(*_LOSSES)
_STEPS = (
    *("global_step", "trainer_global_step", "train_global_step", "optimizer_step", "optim_step", "optimizer_steps"),
    *("train_step", "step", "steps", "iteration", "iterations", "iter", "iters", "it", "num_updates", "updates"),
    *("update", "train_steps", "training_step", "current_step", "step_num", "global_steps", "train_iter", "iter_num"),
    *("train_iteration", "n_iter"),
)
#: What counts steps in a log where nothing else does; in a table of runs, `batch` is a size.
_COUNTERS = ("batch", "batch_idx", "i")
#: Columns that name the run which a row is of, in tables of several.
RUNS = ("run_id", "run_name", "run", "runid", "experiment", "experiment_name", "trial_id")
_TIMES = (
    *("timestamp", "wall_time", "walltime", "unix_time", "wall_clock", "time_unix", "created_at", "datetime", "date"),
    *("runtime", "elapsed", "elapsed_time", "elapsed_s", "elapsed_seconds", "elapsed_sec", "seconds", "train_time"),
    *("train_time_s", "train_time_seconds", "elapsed_ms", "train_time_ms", "time_ms", "relative_time", "time", "ts"),
)
_RATE_EXTRA = frozenset(
    {*_TRAIN, "optim", "optimizer", "adamw", "adam", "sgd", "muon", "group", "group0", "pg1", "0", "current", "last"}
)
_NORM_EXTRA = frozenset(
    {*_TRAIN, "total", "global", "l2", "2", "pre", "before", "clip", "clipping", "unclipped", "preclip", "optim"}
)
_TOKEN_EXTRA = frozenset(
    {*_TRAIN, "consumed", "seen", "total", "n", "num", "processed", "count", "trained", "cumulative", "so", "far"}
    | {"input", "throughput", "progress", "global"}
)


@final
class Guess(NamedTuple):
    """What was made of a log's column names.

    Attributes:
        columns: field -> column.
        rivals: other columns that could have been the loss, the likeliest first.
    """

    columns: dict[str, str]
    rivals: list[str]


def guess(
    names: Iterable[str], asked: Mapping[str, str] | None = None, known: Mapping[str, str] | None = None
) -> Guess:
    """Guess which column is which field.

    Args:
        names: the columns, in their order.
        asked: field -> column, as the user says; they stand whether or not they are among `names`.
        known: field -> column of an earlier guess, which is kept.

    Raises:
        LogError: if `asked` has a key that is no field.
    """
    found = dict(asked or {})
    for field in found:
        if field not in FIELDS:
            raise LogError(f"`--column` takes one of {', '.join(FIELDS)} before the `=` (got {field!r:.60}).")
    for field, column in (known or {}).items():
        found.setdefault(field, column)
    taken = set(found.values())
    free = [name for name in names if name not in taken]
    ranks = {field: ranked(free, field) for field in FIELDS}
    ranks["step"] += [name for name in free if placed(name, _COUNTERS) is not None]
    for field, best in ranks.items():
        if best and field not in found:
            found[field] = best[0]
    if "loss" not in found and "validation_loss" in found and "validation_loss" not in (asked or {}):
        # a log of evaluations only, such as the loss curve of a sweep, is still a loss curve
        found["loss"] = found.pop("validation_loss")
    return Guess({f: found[f] for f in FIELDS if f in found}, [n for n in ranks["loss"] if n != found.get("loss")])


def ranked(names: Iterable[str], what: str) -> list[str]:
    """Return the columns that could be one of `FIELDS`, or a run's `final_loss`, the likeliest first.

    >>> ranked(["step", "train/loss", "val/loss"], "loss"), ranked(["step", "train/loss", "val/loss"], "final_loss")
    (['train/loss'], ['val/loss', 'train/loss'])
    """
    score = _SCORES[what]
    scored = [(rank, place, name) for place, name in enumerate(names) if (rank := score(name)) is not None]
    return [name for _, _, name in sorted(scored)]


def placed(name: str, known: tuple[str, ...]) -> float | None:
    """Return where a name stands among known ones, compared without case and punctuation; None if it does not."""
    plain = "".join(words_of(name))
    return next((float(place) for place, each in enumerate(known) if each.replace("_", "") == plain), None)


def _loss_kind(words: Collection[str]) -> int | None:
    return next((rank for rank, needed in enumerate(_LOSSES) if needed <= set(words)), None)


def _training_loss(name: str) -> float | None:
    words = words_of(name)
    kind = _loss_kind(words)
    if kind is None or set(words) - _LOSS_WORDS - _TRAIN - _PLAIN - _AVERAGED - _OWN:
        return None
    # a mean over an epoch or a window hides what one step did
    return 10.0 * kind + 2.0 * len(_AVERAGED & set(words)) - 0.5 * len(_TRAIN & set(words)) - 0.2 * ("step" in words)


def _validation_loss(name: str) -> float | None:
    words = words_of(name)
    kind = _loss_kind(words)
    if kind is None or not HELD_OUT & set(words):
        return None
    others = set(words) - _LOSS_WORDS - HELD_OUT - _PLAIN - _AVERAGED - _OWN - _TRAIN
    return 10.0 * kind + 3.0 * ("test" in words) + len(others) if len(others) <= 2 else None


def _final_loss(name: str) -> float | None:
    """A loss that was held out says more of a finished run than its training loss."""
    words = words_of(name)
    plain = " ".join(word for word in words if word != "final")
    training, held_out = _training_loss(plain), _validation_loss(plain)
    if training is None and held_out is None:
        return None
    rank = held_out + 1.0 if held_out is not None else (training or 0.0) + 5.0 * bool(_TRAIN & set(words))
    return rank - 100.0 * ("final" in words)


def _learning_rate(name: str) -> float | None:
    words = words_of(name)
    if not ("lr" in words or {"learning", "rate"} <= set(words) or "learningrate" in words):
        return None
    extra = set(words) - {"lr", "learning", "rate", "learningrate", "w", "step"} - _RATE_EXTRA
    return float(len(words)) if not extra else None


def _grad_norm(name: str) -> float | None:
    words = words_of(name)
    if not ({"grad", "norm"} <= set(words) or {"gradient", "norm"} <= set(words) or {"gnorm", "gradnorm"} & set(words)):
        return None
    extra = set(words) - {"grad", "gradient", "norm", "gnorm", "gradnorm", "step", "0"} - _NORM_EXTRA
    return float(len(words)) if not extra else None


def _tokens(name: str) -> float | None:
    words = words_of(name)
    if not {"tokens", "tok"} & set(words):
        return None
    return float(len(words)) if not set(words) - {"tokens", "tok"} - _TOKEN_EXTRA else None


_SCORES: dict[str, Callable[[str], float | None]] = {
    "step": lambda name: placed(name, _STEPS),
    "loss": _training_loss,
    "learning_rate": _learning_rate,
    "grad_norm": _grad_norm,
    "tokens": _tokens,
    "validation_loss": _validation_loss,
    "seconds": lambda name: placed(name, _TIMES),
    "final_loss": _final_loss,
}


def scale_of(column: str, field: str) -> tuple[str, float]:
    """Return how a column's numbers become the field's: (`linear`, factor) or (`log`, 1).

    Perplexity becomes its logarithm; bits per something are times ln 2, so bits per byte become nats per byte and
    not per token; milliseconds become seconds.

    >>> scale_of("train/ppl", "loss"), scale_of("train_time_ms", "seconds")
    (('log', 1.0), ('linear', 0.001))
    """
    words = words_of(column)
    if field == "seconds":
        return "linear", 1e-3 if words[-1:] == ["ms"] else 1.0
    if field in ("loss", "validation_loss"):
        if {"ppl", "perplexity"} & set(words):
            return "log", 1.0
        if {"bpb", "bpt", "bpc", "bits"} & set(words):
            return "linear", math.log(2.0)
    return "linear", 1.0


def loss_notes(loss: str, rivals: Sequence[str], option: str) -> list[str]:
    """Return a line for what a reader should know of the column that was taken for the loss.

    Args:
        loss: the column. rivals: others that it could have been. option: what `--column loss=` takes, in capitals.
    """
    notes = []
    if rivals:
        notes.append(f"the loss is '{loss}'; also there: {listed(rivals[:MOST_RIVALS])} (--column loss={option})")
    how, factor = scale_of(loss, "loss")
    if how == "log":
        notes.append(f"'{loss}' is a perplexity: its logarithm is taken, in nats")
    elif factor != 1.0:
        notes.append(f"'{loss}' is in bits: times ln 2, in nats of whatever it counts (bytes are no tokens)")
    return notes


def listed(names: Collection[str]) -> str:
    """Return column names for an error, not too many."""
    shown = [f"{name:.60}" for name in list(names)[:MOST_SHOWN]]
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return (", ".join(shown) or "none") + more
