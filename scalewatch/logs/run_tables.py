"""Tables that are no curve of one run: a row for each finished run, with what it was configured to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scalewatch.logs.columns import RUNS, placed, ranked
from scalewatch.logs.csv_lines import cells_of
from scalewatch.logs.lines import Lines
from scalewatch.logs.sample import Sample
from scalewatch.logs.values import is_blank
from scalewatch.objective import words_of

__all__ = ["finished_runs", "named_runs", "table_runs"]

#: Runs of one table at most, that each are read. By hand.
MOST_RUNS = 1_000

#: Rows from which a table can be one of runs. By hand.
FEWEST_ROWS = 3
#: Columns of a configuration from which rows are runs. By hand.
FEWEST_SETTINGS = 3
#: Names of a run beside those that logs have.
_NAMES = (*RUNS, "name", "id", "config", "config_name", "variant", "ablation", "sweep")
#: What a run is set to, and no row of a curve says anew.
_SETTINGS = (
    *("seed", "batch_size", "block_size", "n_layer", "n_layers", "num_layers", "layers", "n_head", "n_heads", "heads"),
    *("n_embd", "d_model", "hidden_size", "hidden_dim", "width", "depth", "dropout", "weight_decay", "optimizer"),
    *(
        "max_iters",
        "max_steps",
        "warmup_steps",
        "warmup_iters",
        "vocab_size",
        "context_length",
        "seq_len",
        "num_epochs",
    ),
    *("epochs", "architecture", "dataset", "activation", "scheduler", "lr_scheduler", "momentum", "beta1", "beta2"),
    *("state", "created", "runtime", "notes", "tags", "user", "sweep", "hostname", "device", "group", "lora_r"),
)
#: First words of the columns in which sweeps say what a run was set to: `params_lr`, `config/lr`.
_OF_SETTINGS = (["params"], ["param"], ["config"], ["hparams"], ["hparam"], ["hp"], ["cfg"])
#: Counts of what a model is, which a curve of one run repeats.
_SIZES = (
    *("parameters", "params", "n_params", "num_params", "num_parameters", "n_parameters", "model_size", "total_params"),
    *("non_embedding_parameters", "non_embedding_params", "flops", "total_flops", "budget", "compute", "train_flops"),
)
#: Words of a result that a run has once, at its end.
_ENDS = frozenset({"final", "best", "last"})
#: Words of the columns of a table of predictions: what was right, and what was said.
_TRUTHS = frozenset({"label", "labels", "true", "truth", "target", "actual", "expected", "gt"})
_PREDICTIONS = frozenset({"pred", "predicted", "prediction", "predictions", "output"})


def finished_runs(names: Iterable[str], sample: Sample) -> str | None:
    """Return a sentence if the rows of a table are finished runs, or of several runs of several sizes; else None.

    Rows are runs where nothing counts steps from row to row, and each has a name of its own, or a size, or settings
    enough that differ.
    """
    names = list(names)
    if sample.rows < FEWEST_ROWS:
        return None
    counted = [name for name in ranked(names, "step") if len(set(sample.numbers(name))) > 1]
    named = [name for name in names if placed(name, _NAMES) is not None and _distinct(sample.words(name), sample.rows)]
    settings = [name for name in names if placed(name, _SETTINGS) is not None or words_of(name)[:1] in _OF_SETTINGS]
    varied = [n for n in settings if len(set(sample.numbers(n))) > 1 or len(set(sample.words(n))) > 1]
    sizes = [n for n in names if placed(n, _SIZES) is not None and len(set(sample.numbers(n))) > 1]
    if {"n", "d"} <= {name.lower() for name in names}:
        sizes += [name for name in names if name.lower() == "n" and len(set(sample.numbers(name))) > 1]  # Chinchilla's
    ends = [name for name in names if _ENDS & set(words_of(name)) and sample.filled(name)]
    if any(sample.counts(name) for name in counted):
        return None
    words = [set(words_of(name)) for name in names]
    if any(_TRUTHS & each for each in words) and any(_PREDICTIONS & each for each in words):
        return (
            "a table of predictions, a row a sample, and no loss curve of a run; --format csv --column loss=NAME reads "
            "it as a curve all the same."
        )
    if named:
        what = f"a row a run by '{named[0]}'"
    elif sizes:
        what = f"rows of several sizes by '{sizes[0]}'"
    elif counted:
        return None
    elif len(settings) >= FEWEST_SETTINGS and (ends or varied):
        what = f"a row a run with what it was set to ({', '.join(settings[:FEWEST_SETTINGS])})"
    else:
        return None
    return (
        f"a table of finished runs, {what}, and no loss curve of one: `scalewatch fit` takes such a table for a law, "
        "`scalewatch sweep` the logs of a sweep; --format csv --column loss=NAME reads it as a curve all the same."
    )


def named_runs(cells: Iterable[Any]) -> list[str]:
    """Return the runs that the cells of a column name, in their order; none where there are more than 1,000.

    >>> named_runs(["wide", "", "deep", "wide"])
    ['wide', 'deep']
    """
    found: dict[str, None] = {}
    for cell in cells:
        if not is_blank(cell):
            found[str(cell)] = None
            if len(found) > MOST_RUNS:
                return []
    return list(found)


def table_runs(path: Path, names: Sequence[str], column: str, delimiter: str) -> list[str]:
    """Return the runs that a column of a table names, in their order; none where there are more than 1,000.

    Args:
        path: of the table. names: its columns. column: that which names runs. delimiter: what stands between cells.
    """
    place = names.index(column)
    lines = (line for line in Lines(path, lambda _: None).new() if line and not line.startswith("#"))
    rows = (cells_of(line, delimiter) for line in lines)
    return named_runs(cells[place] for cells in rows if len(cells) > place and cells[place] != column)


def _distinct(words: Sequence[str], rows: int) -> bool:
    return len(words) >= FEWEST_ROWS and len(set(words)) == len(words) and 2 * len(words) >= rows
