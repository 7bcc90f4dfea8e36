"""Folders of runs as a table: the log of each, with the size and the tokens of a step that its settings say.

runs/70M/config.json  metrics.csv      sizes out of settings, the first lines of a log, or the names of runs
runs/160M/config.json metrics.csv
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from scalewatch.errors import FitError
from scalewatch.laws.size import SizeKind
from scalewatch.logs import AbstractLog, open_logs
from scalewatch.logs.planned_length import length_beside, settings_beside
from scalewatch.offline.cells import number_in
from scalewatch.offline.listed import how_many, named
from scalewatch.offline.run_columns import sizes_in_names
from scalewatch.offline.shape_sizes import LAYERS, VOCABULARY, WIDTH, size_of_shape
from scalewatch.offline.tables import Table

__all__ = ["RunFolder", "read_runs"]

#: Part of a run at its end whose losses' mean is its final loss, as elsewhere here.
LAST_PART = 0.02
#: Part of its plan that a run may lack and still count as finished.
UNFINISHED = 0.02
#: Batch from which it counts tokens and no sequences. By hand.
IN_TOKENS = 1 << 15
#: A setting in JSON, YAML or as a program prints it: its name and its value.
_SETTING = re.compile(
    r"(?<![A-Za-z])[\"']?([A-Za-z][\w.\-/ ]{0,60}?)[\"']?\s*+(?::|=|\.{3,})\s*+"
    r"(?:\{?\s*+(?:desc:[^\n]*\n\s*+)?[\"']?value[\"']?\s*+:)?\s*+[\"']?([-+.\dA-Za-z_]{1,40})"
)
#: `number of parameters: 10.65M`, `Total parameters: 124,439,808`, `size: 6,270,976 total parameters`.
_COUNTED = re.compile(
    r"(?i)(?:number of|num\.?|total|model|trainable|all)\b[^\n:=]{0,60}?\bparam(?:eter)?s?\b[^\n:=\d]{0,60}"
    r"(?:\([\d, ]+\))?\s*[:=]\s*(\d[\d,]*\.?\d*\s?(?:[kKmMbB]\b|million|billion)?)"
    r"|(?<![\d,])(\d[\d,]*+(?:\.\d*+)?\s?[kKmMbB]?) total param"
)
#: Names of settings, letters and digits only, lower case -> what they say.
_SIZE = frozenset(
    {"parameters", "params", "nparams", "numparams", "numparameters", "nparameters", "totalparams", "totalparameters"}
    | {"paramcount", "parametercount", "modelparams", "modelparameters", "modelsize", "nummodelparams"}
)
_NON_EMBEDDING = frozenset({"nonembeddingparams", "nonembeddingparameters", "nparamsnonembedding", "nnonembedding"})
_A_STEP = frozenset({"tokensperstep", "tokensperbatch", "batchtokens", "tokensperiteration", "globalbatchtokens"})
#: Batches over all processes and parts of a step; the others are of one part.
_WHOLE_BATCH = ("globalbatchsize", "totalbatchsize")
_BATCH = (*_WHOLE_BATCH, "trainbatchsize", "batchsize")
_SEQUENCE = ("seqlen", "seqlength", "sequencelength", "contextlength", "blocksize", "maxseqlen", "maxseqlength", "nctx")
#: DeepSpeed's batch is a whole one under a name that others give to a part.
_DEEPSPEED = re.compile(r"zero_optimization|train_micro_batch_size_per_gpu")
_MICRO = ("gradientaccumulationsteps", "gradaccumsteps", "gradaccum", "accumulategradbatches")
_PER_ITERATION = re.compile(r"(?i)tokens per (?:iteration|step|batch)[^\n\d]{0,20}(\d[\d,]*)")


@final
class RunFolder(NamedTuple):
    """Runs of a folder.

    Attributes:
        rows: a row a step of each run. ends: a row a run that ended, with its last held-out loss, or without one the
            mean over its last fiftieth.
    """

    rows: Table
    ends: Table


def read_runs(folder: Path, overrides: Mapping[str, str]) -> RunFolder:
    """Return the runs at and below a folder.

    Args:
        folder: with the logs of several runs. overrides: field -> column, as `--column` says.

    Raises:
        FitError: if there is no log of a run.
    """
    fields = {name: column for name, column in overrides.items() if name in ("step", "loss", "learning_rate", "tokens")}
    opened = open_logs([folder], columns=fields)
    if not opened.logs:
        raise FitError(opened.unreadable[0].reason if opened.unreadable else f"{folder}: there is no log of a run.")
    runs = [run for log in opened.logs if (run := _read(log, folder)) is not None]
    notes = [f"{folder}: {how_many(len(runs), 'run')}, read from their logs."]
    _sizes_by_name(runs, notes)
    told = list(dict.fromkeys(run["said"] for run in runs if run["said"]))
    notes += [f"Sizes are those of {', '.join(told[:4])}."] if told else []
    without = [run["run"] for run in runs if run["size"] is None]
    if without:
        notes.append(f"No size is known of {named(without)}: settings beside a log may say it, n_params, or its name.")
    if all(math.isnan(run["tokens"][-1]) for run in runs):
        notes.append("No tokens are known: neither the logs nor settings beside them say those of a step.")
    short = [run["run"] for run in runs if run["total"] and run["steps"][-1] < (1 - UNFINISHED) * run["total"]]
    if short:
        notes.append(f"Not ended, by the length that their settings say: {named(short)}.")
    ended = [run for run in runs if run["run"] not in short]
    source = str(folder)
    rows, last = _rows(runs), _ends(ended)
    return RunFolder(Table(source, folder.name, rows, tuple(notes)), Table(source, folder.name, last, tuple(notes)))


def _read(log: AbstractLog, folder: Path) -> dict[str, Any] | None:
    rows = [row for row in log.rows() if math.isfinite(row.loss) and row.step >= 1]
    if not rows:
        return None
    said = [(name, text) for name, text in settings_beside(log.path)]
    size, kind, by = _size(log, said)
    step = log.run.tokens_per_step or _tokens_a_step(said)
    planned = log.run.total_steps or (length_beside(log.path) or (None,))[0]
    nothing = math.nan
    tokens = [row.tokens if row.tokens is not None else (row.step * step if step else nothing) for row in rows]
    held_out = [row.validation_loss for row in rows if row.validation_loss is not None]
    return {
        "run": log.name,
        "path": log.path.relative_to(folder) if log.path.is_relative_to(folder) else log.path,
        "steps": [row.step for row in rows],
        "loss": [row.loss for row in rows],
        "rates": [nothing if row.learning_rate is None else row.learning_rate for row in rows],
        "tokens": tokens,
        "size": size,
        "kind": kind,
        "said": by,
        "total": planned,
        "held_out": held_out[-1] if held_out else None,
    }


def _settings(text: str) -> dict[str, str]:
    """The settings in a text; of a name that stands twice, what is said first."""
    made: dict[str, str] = {}
    for name, value in _SETTING.findall(text):
        made.setdefault("".join(c for c in name.lower().rpartition(".")[2] if c.isalnum()), value)
    return made


def _number(settings: Mapping[str, str], names: Sequence[str] | frozenset[str]) -> float | None:
    for name in names:
        value = number_in(settings[name]) if name in settings else None
        if value is not None and math.isfinite(value) and value >= 1:
            return value
    return None


def _size(log: AbstractLog, said: Sequence[tuple[str, str]]) -> tuple[float | None, str, str]:
    """The size of a run, which count it is, and what says so."""
    if log.run.parameters:
        return float(log.run.parameters), "parameters", ""
    if log.run.non_embedding_parameters:
        return float(log.run.non_embedding_parameters), "non_embedding_parameters", ""
    for name, text in said:
        settings = _settings(text)
        for names, kind in ((_SIZE, "parameters"), (_NON_EMBEDDING, "non_embedding_parameters")):
            size = _number(settings, names)
            if size is not None and size >= 1e3:
                return size, kind, name
        counts = [number_in(one.strip() or other.strip()) for one, other in _COUNTED.findall(text)]
        known = [count for count in counts if count is not None and count >= 1e3]
        if known:
            return max(known), "parameters", f"the first lines of {name}"
    for name, text in said:
        settings = _settings(text)
        words = _number(settings, VOCABULARY)
        shape = size_of_shape(_number(settings, LAYERS), _number(settings, WIDTH), words)
        if shape is not None:
            kind = "parameters" if shape[1] is SizeKind.TOTAL else "non_embedding_parameters"
            return shape[0], kind, f"the shape in {name} (12 n_layer d_model^2{' and a head' if words else ''})"
    return None, "parameters", ""


def _tokens_a_step(said: Sequence[tuple[str, str]]) -> float | None:
    for _, text in said:
        settings = _settings(text)
        step = _number(settings, _A_STEP)
        printed = _PER_ITERATION.search(text)
        if step is None and printed is not None:
            step = number_in(printed[1])
        batch, sequence = _number(settings, _BATCH), _number(settings, _SEQUENCE)
        if step is None and batch is not None and batch >= IN_TOKENS:
            step = batch
        if step is None and batch is not None and sequence is not None:
            whole = any(name in settings for name in _WHOLE_BATCH) or (
                "trainbatchsize" in settings and _DEEPSPEED.search(text) is not None
            )
            step = batch * sequence * (1.0 if whole else _number(settings, _MICRO) or 1.0)
        if step is not None:
            return step
    return None


def _sizes_by_name(runs: Sequence[dict[str, Any]], notes: list[str]) -> None:
    """Give runs of unknown size what their names, or their paths, say."""
    if any(run["size"] is not None for run in runs):
        return
    for names in ([run["run"] for run in runs], [str(run["path"]) for run in runs]):
        tokens = np.array([run["tokens"][-1] for run in runs])
        sizes = sizes_in_names([name.replace("/", " ").replace("_", " ") for name in names], tokens)
        if sizes is not None:
            for run, size in zip(runs, sizes.tolist(), strict=True):
                run["size"] = size
            notes.append("Sizes are those that the names of the runs say.")
            return


def _rows(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "run": [run["run"] for run in runs for _ in run["steps"]],
        "step": np.array([step for run in runs for step in run["steps"]], dtype=np.float64),
        "loss": np.array([loss for run in runs for loss in run["loss"]], dtype=np.float64),
        "learning_rate": np.array([rate for run in runs for rate in run["rates"]], dtype=np.float64),
        "tokens": np.array([count for run in runs for count in run["tokens"]], dtype=np.float64),
        "total_steps": np.array([run["total"] or math.nan for run in runs for _ in run["steps"]], dtype=np.float64),
        **_sizes(runs, [len(run["steps"]) for run in runs]),
    }
    return _known(made)


def _ends(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    losses = []
    for run in runs:
        steps, loss = np.array(run["steps"]), np.array(run["loss"])
        last = float(loss[steps > (1 - LAST_PART) * steps[-1]].mean())
        losses.append(last if run["held_out"] is None else run["held_out"])
    made = {
        "run": [run["run"] for run in runs],
        "loss": np.array(losses, dtype=np.float64),
        "tokens": np.array([run["tokens"][-1] for run in runs], dtype=np.float64),
        **_sizes(runs, [1] * len(runs)),
    }
    return _known(made)


def _sizes(runs: Sequence[Mapping[str, Any]], times: Sequence[int]) -> dict[str, Any]:
    made = {}
    for kind in ("parameters", "non_embedding_parameters"):
        sizes = [run["size"] if run["kind"] == kind and run["size"] else math.nan for run in runs]
        made[kind] = np.repeat(np.array(sizes, dtype=np.float64), times)
    return made


def _known(columns: dict[str, Any]) -> dict[str, Any]:
    """The columns in which something is known."""
    return {name: v for name, v in columns.items() if not isinstance(v, np.ndarray) or np.isfinite(v).any()}
