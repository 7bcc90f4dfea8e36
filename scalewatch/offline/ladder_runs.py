"""A table of finished runs as a ladder: what varies is size and tokens, and every run has one final loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Outcomes, role_of
from scalewatch.offline.finished_runs import ends, from_tables
from scalewatch.offline.listed import how_many
from scalewatch.offline.tables import Table, named_columns
from scalewatch.plan.quantities import count

__all__ = ["SIZE", "TOKENS", "check_on_ladder", "ladder_runs"]

#: Columns of the runs that come back.
SIZE: Final = "parameters"
TOKENS: Final = "tokens"
#: What else changes a loss so that no law of size and tokens is left, by the roles of columns.
_OTHERS = ("unique", "experts", "streams", "vocabulary")
#: Difference of ln(size) or ln(tokens) below which two are one, and of ln(tokens) about a ladder's line. By hand.
SAME, ON_LINE = 1e-3, 0.15


def ladder_runs(table: Table, overrides: Mapping[str, str]) -> tuple[Outcomes, str, list[str]]:
    """Return the finished runs of a table by size and tokens, the name of their loss, and how they were read.

    Of checkpoints the last counts, of several runs of one size and as many tokens the best.

    Raises:
        FitError: if the table lacks a column, varies in more than size and tokens, or holds no run.
        ConfigError: if an override is wrong.
    """
    roles = named_columns(table, dict(overrides))
    others = [name for name in table.columns if role_of(name) in _OTHERS and name not in roles.values()]
    varied = [name for name in others if len(set(table.words(name))) > 1]
    if varied:
        raise FitError(
            f"{table.source}: a ladder varies in size and tokens alone, this one in {', '.join(varied)} too: take rows "
            "that share the rest with --where, or `scalewatch fit --predict`, which takes any columns."
        )
    read = from_tables([table], dict(overrides))
    rows = ends(read)
    notes = [*read.notes[1:], *rows.left_out]
    size, tokens, loss = (np.asarray(column, dtype=np.float64) for column in (rows.size.count, rows.tokens, rows.loss))
    best: dict[tuple[int, int], int] = {}
    for i in np.argsort(loss, kind="stable").tolist():
        best.setdefault((round(float(np.log(size[i])) / SAME), round(float(np.log(tokens[i])) / SAME)), i)
    kept = sorted(best.values())
    if len(kept) < len(loss):
        notes.append(f"Of runs of one size and as many tokens the best counts: {how_many(len(kept), 'run')} remain.")
    return Outcomes({SIZE: size[kept], TOKENS: tokens[kept]}, loss[kept]), roles["loss"], notes


def check_on_ladder(runs: Outcomes, size: float, tokens: float) -> None:
    """Refuse a run of which these runs say nothing: of another size, or of other tokens a parameter, than all of them.

    Raises:
        FitError: says what the runs have in common.
    """
    log_size, log_tokens = np.log(runs.columns[SIZE]), np.log(runs.columns[TOKENS])
    at = f"{count(size)}:{count(tokens)}"
    if np.ptp(log_size) < SAME:
        own = float(np.exp(log_size[0]))
        if abs(np.log(size / own)) > ON_LINE:
            raise FitError(
                f"All runs have {count(own)} parameters, so they say nothing of another size ({at}): add runs of other "
                f"sizes, or ask at {count(own)}:{count(tokens)}."
            )
    elif np.ptp(log_tokens) < SAME:
        own = float(np.exp(log_tokens[0]))
        if abs(np.log(tokens / own)) > ON_LINE:
            raise FitError(
                f"All runs saw {count(own)} tokens, so they say nothing of other data ({at}): add longer or shorter "
                f"runs, or ask at {count(size)}:{count(own)}."
            )
    else:
        slope, middle = line_of(runs)
        off = log_tokens - middle - slope * log_size
        said = float(np.exp(middle + slope * np.log(size)))
        if np.abs(off).max() < SAME and abs(np.log(tokens / said)) > ON_LINE:
            raise FitError(
                "Size and tokens of the runs rise together, so they say nothing of a run off that line "
                f"({at}): add runs of other tokens per parameter, or ask at {count(size)}:{count(said)}."
            )


def line_of(runs: Outcomes) -> tuple[float, float]:
    """Return slope and intercept of ln(tokens) on ln(size)."""
    slope, middle = np.polyfit(np.log(runs.columns[SIZE]), np.log(runs.columns[TOKENS]), 1)
    return float(slope), float(middle)
