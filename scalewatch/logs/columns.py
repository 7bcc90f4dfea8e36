"""Which column of somebody's log or table is what, guessed from its name.

A name is cut into words, so that `train/loss`, `loss/train_step`, `trainLoss` and `Train Loss` are one name. A field
has words that must be there and words that may be; a column with any other word is some other quantity
(`aux_loss`, `grad_norm/layer.3`). The guess is shown to the user, who can override it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, final

from scalewatch.errors import LogError
from scalewatch.logs.loss_names import (
    HELD_OUT,
    PART,
    TRAIN,
    final_loss,
    is_part,
    training_loss,
    validation_loss,
)
from scalewatch.logs.sample import Sample
from scalewatch.objective import words_of

__all__ = [
    *("COUNTER_OF_EPOCHS", "FIELDS", "RUNS", "SPLITS", "TOTALS", "Guess"),
    *("guess", "listed", "loss_notes", "placed", "ranked", "run_column", "scale_of", "step_place", "total_of"),
]

#: What a column can be: the fields of `Observation`.
FIELDS = ("step", "loss", "learning_rate", "grad_norm", "tokens", "validation_loss", "seconds")
#: Names shown in an error.
MOST_SHOWN = 24
#: Rivals of the loss that a note names.
MOST_RIVALS = 6

_STEPS = (
    *("global_step", "trainer_global_step", "train_global_step", "optimizer_step", "optim_step", "optimizer_steps"),
    *("train_step", "step", "steps", "iteration", "iterations", "iter", "iters", "it", "num_updates", "updates"),
    *("update", "train_steps", "training_step", "current_step", "current_steps", "step_num", "global_steps"),
    *("train_iter", "iter_num", "train_iteration", "n_iter", "cur_iter", "current_iter", "iteration_number", "round"),
    *("boosting_round", "num_iters", "batches", "n_updates", "total_timesteps", "timesteps", "num_timesteps"),
    *("timesteps_total", "num_env_steps", "env_steps", "environment_steps", "total_env_steps", "frames"),
    "training_iteration",
)
#: What counts steps in a log where nothing else does; in a table of runs, `batch` is a size.
_COUNTERS = ("batch", "batch_idx", "i")
#: The rows' own numbers, as a table's writer may keep them.
_INDEX = ("unnamed_0", "index", "idx", "row")
#: What counts passes over the data.
COUNTER_OF_EPOCHS = ("epoch", "epochs", "current_epoch", "epoch_num", "cur_epoch", "train_epoch", "ep")
#: Columns whose value may say that a row's loss is one of validation.
SPLITS = ("split", "phase", "stage", "mode", "subset", "kind", "type", "event")
#: Columns that hold the planned steps.
TOTALS = (
    *("total_steps", "max_steps", "total_iters", "max_iters", "train_iters", "num_training_steps", "total_iterations"),
    *("max_iterations", "total_step", "max_step", "num_steps_total", "planned_steps", "steps_total"),
    *("num_train_steps", "total_training_steps"),
)
#: Columns that name the run which a row is of, in tables of several.
RUNS = (
    *("run_id", "run_name", "run", "runid", "experiment", "experiment_name", "trial_id", "trial", "model"),
    *("model_name", "model_id", "exp_name", "job_id"),
)
_TIMES = (
    *("timestamp", "wall_time", "walltime", "unix_time", "wall_clock", "time_unix", "created_at", "datetime", "date"),
    *("runtime", "elapsed", "elapsed_time", "elapsed_s", "elapsed_seconds", "elapsed_sec", "seconds", "train_time"),
    *("train_time_s", "train_time_seconds", "elapsed_ms", "train_time_ms", "time_ms", "relative_time", "time", "ts"),
)
_RATE_EXTRA = frozenset(
    {*TRAIN, "optim", "optimizer", "adamw", "adam", "sgd", "muon", "group", "group0", "pg1", "0", "current", "last"}
    | {"base", "pg", "param", "params", "groups"}
)
_NORM_EXTRA = frozenset(
    {*TRAIN, "total", "global", "l2", "2", "pre", "before", "clip", "clipping", "unclipped", "preclip", "optim"}
)
_TOKEN_EXTRA = frozenset(
    {*TRAIN, "consumed", "seen", "total", "n", "num", "processed", "count", "trained", "cumulative", "so", "far"}
    | {"input", "throughput", "progress", "global"}
)


#: What a name says first that only holds the others: `data.optim.lr`.
_HOLDER = re.compile(
    r"^(?:(?:data|metrics?|scalars?|logs?|payload|values?|history|stats|info|charts?)[./])+", re.IGNORECASE
)
#: A group of parameters that a word counts: `optim0_lr0`.
_NUMBERED = re.compile(r"\d+$")
#: Words of a log of reinforcement learning, in which `v_loss` is that of the value.
_OF_A_POLICY = frozenset({"policy", "pi", "pg", "actor", "critic", "q", "vf", "advantage", "reward"})
#: Rank of `norm` with no word of what: that of the gradient in the loops that log it so, behind every fuller name.
NORM_ALONE = 9.0


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
    names: Iterable[str],
    asked: Mapping[str, str] | None = None,
    known: Mapping[str, str] | None = None,
    sample: Sample | None = None,
) -> Guess:
    """Guess which column is which field.

    Args:
        names: the columns, in their order.
        asked: field -> column, as the user says; they stand whether or not they are among `names`.
        known: field -> column of an earlier guess, which is kept.
        sample: first rows of the log: a loss that has a row an epoch is none beside one that has a row a step.

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
    if any(_OF_A_POLICY & set(words_of(name)) for name in names):
        ranks["validation_loss"] = [n for n in ranks["validation_loss"] if HELD_OUT & set(words_of(n)) != {"v"}]
    if sample is not None:
        ranks["step"] += [name for name in free if placed(name, _INDEX) is not None and sample.counts(name)]
        ranks["loss"] = _by_content(ranks["loss"], sample)
        ranks["validation_loss"] = _by_content(ranks["validation_loss"], sample)
        ranks["seconds"] = [name for name in ranks["seconds"] if sample.passes(name)]
        ranks["step"] = [name for name in ranks["step"] if not sample.between_wholes(name)]  # how long a step took
        epochs = [name for name in free if placed(name, COUNTER_OF_EPOCHS) is not None]
        sides = max((len(set(sample.words(name))) for name in names if name.lower() in SPLITS), default=1) or 1
        ranks["step"] += [name for name in epochs if sample.counts(name, sides)]
    if ranks["loss"] or "loss" in found:
        ranks["validation_loss"] = _beside(ranks["validation_loss"], found.get("loss") or ranks["loss"][0])
    for field, best in ranks.items():
        if best and field not in found:
            found[field] = best[0]
    if "loss" not in found and "validation_loss" in found and "validation_loss" not in (asked or {}):
        # a log of evaluations only, such as the loss curve of a sweep, is still a loss curve
        found["loss"] = found.pop("validation_loss")
        others = [name for name in ranks["validation_loss"] if name != found["loss"]]
        if others:
            found["validation_loss"] = others[0]
    return Guess({f: found[f] for f in FIELDS if f in found}, [n for n in ranks["loss"] if n != found.get("loss")])


def _by_content(names: list[str], sample: Sample) -> list[str]:
    """Columns that hold numbers first, those that have far fewer than another last; what only rises is no term."""
    there = [name for name in names if sample.filled(name) or not sample.rows]
    fine = [name for name in there if not (is_part(name) and sample.rises(name))]
    if not fine:
        return names[:0] if there else names
    return sorted(
        fine, key=lambda name: (sample.sparse(name, fine), is_part(name) and sample.constant(name) is not None)
    )


def _beside(names: list[str], loss: str) -> list[str]:
    """Held-out losses with that of the same name as the training loss first."""
    same = set(words_of(loss)) - TRAIN
    return sorted(names, key=lambda name: set(words_of(name)) - HELD_OUT - TRAIN != same)


def ranked(names: Iterable[str], what: str) -> list[str]:
    """Return the columns that could be one of `FIELDS`, or a run's `final_loss`, the likeliest first.

    >>> ranked(["step", "train/loss", "val/loss"], "loss"), ranked(["step", "train/loss", "val/loss"], "final_loss")
    (['train/loss'], ['val/loss', 'train/loss'])
    """
    score = _SCORES[what]
    scored = [
        (rank, place, name)
        for place, name in enumerate(names)
        if (rank := score(name)) is not None or (rank := score(_HOLDER.sub("", name))) is not None
    ]
    best = [name for _, _, name in sorted(scored)]
    if what == "loss" and scored and min(scored)[0] < PART / 2:
        return [name for rank, _, name in sorted(scored) if rank < PART / 2]  # terms are none beside the whole
    return best


def is_of_a_run(name: str) -> bool:
    """Return whether a column may be of the log of a run: a step, an epoch, a rate, a norm, a count of tokens."""
    fields = ("step", "loss", "validation_loss", "learning_rate", "grad_norm", "tokens")
    return placed(name, COUNTER_OF_EPOCHS) is not None or any(_SCORES[field](name) is not None for field in fields)


def decides(name: str) -> bool:
    """Return whether a column may change what the others are taken for: it can be a field, or tells rows apart."""
    return (
        placed(name, (*RUNS, *SPLITS)) is not None
        or any(score(name) is not None for score in _SCORES.values())
        or ({"epoch", "ep", "rank", "process", "index"} & set(words_of(name)) != set())
    )


def step_place(name: str) -> float | None:
    """Return where a name stands among those of steps, itself or without the section before it; None if nowhere."""
    place = placed(name, _STEPS)
    section, slash, last = name.rpartition("/")
    if place is None and slash and placed(last, TOTALS) is not None:
        place = placed(section, _STEPS)  # global_step/max_steps, whose cells are 10/438
    elif place is None and not slash and "." in name and not HELD_OUT & set(words_of(name)):
        place = placed(name.rpartition(".")[2], _STEPS)  # progress.step
    elif place is None and slash and not HELD_OUT & set(words_of(section)):
        place = placed(last, _STEPS)
    return place


def run_column(names: Iterable[str]) -> str | None:
    """Return the column that says of which run a row is, None if none does."""
    found = [(place, name) for name in names if (place := placed(name, RUNS)) is not None]
    return min(found)[1] if found else None


def total_of(names: Iterable[str], sample: Sample) -> int | None:
    """Return the planned steps that a column says in each row, None if none does."""
    names = list(names)
    known = [name for name in names if placed(name, TOTALS) is not None]
    steps = {name.rpartition(".")[0] for name in names if "." in name and step_place(name) is not None}
    known += [
        name for name in names if name.rpartition(".")[0] in steps and name.rpartition(".")[2] in ("total", "max")
    ]
    values = [sample.whole(name) for name in ranked(names, "step")] + [sample.constant(name) for name in known]
    return next((int(v) for v in values if v is not None and math.isfinite(v) and v >= 1), None)


@lru_cache(maxsize=1 << 15)
def placed(name: str, known: tuple[str, ...]) -> float | None:
    """Return where a name stands among known ones, compared without case and punctuation; None if it does not."""
    plain = "".join(words_of(name))
    return next((float(place) for place, each in enumerate(known) if each.replace("_", "") == plain), None)


def _learning_rate(name: str) -> float | None:
    words = [plain for word in words_of(name) if (plain := _NUMBERED.sub("", word))]
    if not ("lr" in words or {"learning", "rate"} <= set(words) or "learningrate" in words):
        return None
    extra = set(words) - {"lr", "learning", "rate", "learningrate", "w", "step"} - _RATE_EXTRA
    return float(len(words)) if not extra else None


def _grad_norm(name: str) -> float | None:
    words = words_of(name)
    if words == ["norm"]:
        return NORM_ALONE
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
    "step": step_place,
    "loss": training_loss,
    "learning_rate": _learning_rate,
    "grad_norm": _grad_norm,
    "tokens": _tokens,
    "validation_loss": validation_loss,
    "seconds": lambda name: placed(name, _TIMES),
    "final_loss": final_loss,
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
        if {"bpb", "bpt", "bpc", "bpd", "bits"} & set(words):
            return "linear", math.log(2.0)
    return "linear", 1.0


def loss_notes(loss: str, rivals: Sequence[str], option: str) -> list[str]:
    """Return a line for what a reader should know of the column that was taken for the loss.

    Args:
        loss: the column. rivals: others that it could have been. option: what `--column loss=` takes, in capitals.
    """
    notes = []
    terms = [name for name in rivals if is_part(name)]
    if is_part(loss) and terms:
        notes.append(
            f"the loss is '{loss}', one term of it; the others: {listed(terms[:MOST_RIVALS])}. Their sum: "
            f"--column loss='{'+'.join([loss, *terms[:MOST_RIVALS]])}'"
        )
    elif rivals:
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
