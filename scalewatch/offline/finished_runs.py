"""Finished runs out of tables: size, tokens and final loss of each, in nats per token, and what was left out.

A row is a run, or one of its checkpoints: then the run is its last row, because a loss in mid-schedule is higher
than the run would have ended at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, SizeKind
from scalewatch.logs.columns import ranked, scale_of
from scalewatch.objective import words_of
from scalewatch.offline.listed import few, how_many, left_out_sentence
from scalewatch.offline.odd_counts import check_counts
from scalewatch.offline.recipe_columns import check_one_recipe, unfinished
from scalewatch.offline.run_columns import (
    CHECKPOINTS,
    named_budgets,
    saved_at_intervals,
    sizes_in_names,
    tokens_from,
    tokens_in_names,
)
from scalewatch.offline.shape_sizes import sizes_of_shapes
from scalewatch.offline.tables import Table, named_columns, text_instead
from scalewatch.text import percent

__all__ = ["SIZE_ROLES", "Rows", "are_checkpoints", "ends", "from_tables", "late", "nats_per_token"]

#: A run that ends this far above its own best checkpoint has diverged.
DIVERGED_RATIO = 1.1
#: Factor between a column of FLOPs and 6 N D from which it is said that they differ.
FLOPS_DIFFER = 1.3
#: Part of each run that an envelope of training curves leaves out at the start.
FIRST_PART = 0.1
#: Names of a column of models, letters only, which may tell their sizes apart and no runs.
MODELS = frozenset({"model", "modelname", "modelid"})
#: Finished runs beyond which a fit with its bootstrap takes minutes; the largest public set has 2,000.
MOST_RUNS = 10_000

SIZE_ROLES = {
    "parameters": SizeKind.TOTAL,
    "non_embedding_parameters": SizeKind.NON_EMBEDDING,
    "active_parameters": SizeKind.ACTIVE,
}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of tables, all finite and positive.

    Attributes:
        size: parameters, shape (n,). tokens: count, shape (n,). loss: [nats/token], shape (n,).
        runs: label of each row's run. checkpoints: whether a run has several rows.
        notes: how the tables were read, a sentence each. left_out: what was not used and why.
        budgets: compute that each run was planned for, as a column names it, shape (n,) [FLOP]; None if none does.
    """

    size: Parameters
    tokens: Floats
    loss: Floats
    runs: list[str]
    checkpoints: bool
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    budgets: Floats | None = None

    @property
    def flops(self) -> Floats:
        """6 N D [FLOP]."""
        return np.asarray(FLOPS_PER_PARAMETER_TOKEN * self.size.count * self.tokens)

    def take(self, index: NDArray[np.int64], left_out: Sequence[str] = ()) -> Rows:
        """Return some of the rows, with more sentences on what was left out."""
        return Rows(
            Parameters(np.asarray(self.size.count)[index], self.size.kind),
            self.tokens[index],
            self.loss[index],
            [self.runs[i] for i in index.tolist()],
            self.checkpoints,
            self.notes,
            [*self.left_out, *left_out],
            None if self.budgets is None else self.budgets[index],
        )


def from_tables(tables: Sequence[Table], overrides: dict[str, str], *, bytes_per_token: float | None = None) -> Rows:
    """Return the rows of some tables; a row that is a copy of another counts once.

    Raises:
        FitError: if a column is missing, a loss is zero or negative, tables differ in unit or in what they count, or
            no row is left.
        ConfigError: if an override names what is not there.
    """
    seen: set[tuple[str, float, float, float]] = set()
    parts = [_one(table, overrides, bytes_per_token, seen, several=len(tables) > 1) for table in tables]
    kinds = {part.size.kind for part in parts}
    if len(kinds) > 1:
        raise FitError(f"The tables count parameters as {' and '.join(sorted(str(k) for k in kinds))}: choose one.")
    left_out = [sentence for p in parts for sentence in p.left_out]
    filled = [part for part in parts if len(part.loss)]
    if not filled:
        raise FitError("There is no finished run to fit a law to. " + " ".join(left_out))
    return Rows(
        Parameters(np.concatenate([p.size.count for p in filled]), filled[0].size.kind),
        np.concatenate([p.tokens for p in filled]),
        np.concatenate([p.loss for p in filled]),
        [name for p in filled for name in p.runs],
        any(p.checkpoints for p in filled),
        [sentence for p in parts for sentence in p.notes],
        left_out,
        None if any(p.budgets is None for p in filled) else np.concatenate([_given(p.budgets) for p in filled]),
    )


def _given(budgets: Floats | None) -> Floats:
    return np.zeros(0) if budgets is None else budgets


def _one(
    table: Table,
    overrides: dict[str, str],
    bytes_per_token: float | None,
    seen: set[tuple[str, float, float, float]],
    *,
    several: bool,
) -> Rows:
    roles = named_columns(table, overrides)
    if "loss" not in roles:
        text = text_instead(table, "loss")
        raise FitError(
            f"{table.source}: no column of numbers is named like a loss; say which: --column loss=NAME.{text}"
        )
    notes = [f"{table.source}: {how_many(len(table), 'row')}; {_columns(roles)}.", *table.notes]
    others = [] if "loss" in overrides else [name for name in _losses(table) if name != roles["loss"]]
    if others:
        notes.append(f"{table.source}: the loss is '{roles['loss']}'; also there: {few(others)} (--column loss=NAME).")
    kind, size, tokens = _size_and_tokens(table, roles, notes)
    loss = nats_per_token(table, roles["loss"], bytes_per_token, notes)
    saved = [] if "run" in roles else saved_at_intervals(size, tokens)
    if saved:
        notes.append(
            f"{table.source}: rows of one size stand at equal distances of tokens: taken for checkpoints of "
            f"{how_many(len(set(saved)), 'run')}, and for no finished runs; --column run=NAME if a column tells them."
        )
    given = table.words(roles["run"]) if "run" in roles else saved or [""] * len(table)
    before = f"{table.stem}: " if several else ""
    runs = [f"{before}{name or f'row {i}'}" for i, name in enumerate(given, 1)]
    left_out: list[str] = []
    known = np.isfinite(size) & np.isfinite(tokens) & (size > 0) & (tokens > 0)
    notes += check_counts(table.source, {"parameters": size, "tokens": tokens}, known)
    described = known & (size >= 1)
    if not described.all():
        left_out.append(left_out_sentence("without a size or tokens", runs, ~described))
    ended = np.isfinite(loss)
    if (described & ~ended).any():
        left_out.append(left_out_sentence("without a finite loss (diverged or unfinished)", runs, described & ~ended))
    state, broken = unfinished(table)
    if (described & ended & broken).any():
        left_out.append(left_out_sentence(f"that did not finish by column '{state}'", runs, described & ended & broken))
    keep = np.flatnonzero(described & ended & ~broken)
    _check_loss(table, roles["loss"], runs, loss, keep)
    copies = _copies([f"{kind} {name}" for name in given], size, tokens, loss, keep, seen)
    if copies.any():
        left_out.append(left_out_sentence("that are copies of others, same size, tokens and loss", runs, copies))
        keep = np.setdiff1d(keep, np.flatnonzero(copies))
    checkpoints = ("run" in roles or bool(saved)) and are_checkpoints(
        roles, [runs[i] for i in keep.tolist()], size[keep], tokens[keep]
    )
    if not checkpoints:
        # the label of a table of finished runs may be a family's name: each row is a run of its own
        times = Counter(runs)
        runs = [f"{name} (row {i})" if times[name] > 1 else name for i, name in enumerate(runs, 1)]
    notes += check_one_recipe(table, list(roles.values()), keep, size[keep], tokens[keep], loss[keep])
    # a table may have no row left, and parameters are at least one number
    count = Parameters(size[keep] if len(keep) else np.ones(1), kind)
    budgets = named_budgets(table, roles, size, tokens, keep, notes)
    names = [runs[i] for i in keep.tolist()]
    return Rows(count, tokens[keep], loss[keep], names, checkpoints, notes, left_out, budgets)


def _losses(table: Table) -> list[str]:
    """Columns of losses in the unit of one, such as those on several texts."""
    return [name for name in ranked(table.columns, "final_loss") if scale_of(name, "loss") == ("linear", 1.0)]


def _check_loss(table: Table, column: str, runs: Sequence[str], loss: Floats, keep: NDArray[np.int64]) -> None:
    wrong = keep[loss[keep] <= 0]
    if len(wrong):
        raise FitError(
            f"{table.source}: the loss of row {wrong[0] + 1} ('{runs[wrong[0]]:.40}') is {loss[wrong[0]]:g}; "
            f"{how_many(len(wrong), 'row')} of this kind. A cross entropy is above zero: is '{column}' the right "
            "column? Say --column loss=NAME, or take these rows out."
        )


def _copies(
    given: Sequence[str],
    size: Floats,
    tokens: Floats,
    loss: Floats,
    keep: NDArray[np.int64],
    seen: set[tuple[str, float, float, float]],
) -> NDArray[np.bool_]:
    """Return which rows were seen before; two labels are two runs, which may end at one rounded loss."""
    copies = np.zeros(len(loss), dtype=bool)
    columns = (column[keep].tolist() for column in (size, tokens, loss))
    for i, *numbers in zip(keep.tolist(), *columns, strict=True):
        key = (given[i], numbers[0], numbers[1], numbers[2])
        copies[i] = key in seen
        seen.add(key)
    return copies


def _columns(roles: dict[str, str]) -> str:
    return ", ".join(f"{role} = column '{roles[role]}'" for role in _used(roles))


def _used(roles: dict[str, str]) -> list[str]:
    sizes = [role for role in SIZE_ROLES if role in roles][:1]
    return [*sizes, *(role for role in ("tokens", "flops", "budget", "loss", "run") if role in roles)]


def _size_and_tokens(table: Table, roles: dict[str, str], notes: list[str]) -> tuple[SizeKind, Floats, Floats]:
    role = next((r for r in SIZE_ROLES if r in roles), None)
    kind = SizeKind.TOTAL if role is None else SIZE_ROLES[role]
    size = None if role is None else table.numbers(roles[role])
    tokens = table.numbers(roles["tokens"]) if "tokens" in roles else tokens_in_names(table, roles, notes)
    tokens = tokens_from(table, roles, size, notes) if tokens is None else tokens
    if size is None and "run" in roles and "flops" not in roles:
        size = sizes_in_names(table.words(roles["run"]), tokens)
        if size is not None:
            notes.append(f"{table.source}: parameters are those that the names in '{roles['run']}' say.")
    shapes = sizes_of_shapes(table) if size is None and "flops" not in roles else None
    if shapes is not None:
        size, kind, said = shapes
        notes.append(f"{table.source}: parameters are those of the shapes ({few(said)}).")
    compute = "flops" if "flops" in roles or (size is None) == (tokens is None) else "budget"
    flops = table.numbers(roles[compute]) if compute in roles else None
    known = {"parameters": size, "tokens": tokens, "flops": flops}
    if sum(column is not None for column in known.values()) < 2:
        missing = [name for name, column in known.items() if column is None]
        text = "".join(text_instead(table, name) for name in missing)
        raise FitError(
            f"{table.source}: two of parameters, tokens and flops are needed, and no column of numbers is "
            f"named like {' or '.join(missing)}; say which: --column {missing[0]}=NAME.{text}"
        )
    with np.errstate(all="ignore"):
        if size is not None and tokens is None:
            tokens = np.asarray(flops) / (FLOPS_PER_PARAMETER_TOKEN * size)
            notes.append(f"{table.source}: tokens are taken as flops / (6 parameters).")
        elif tokens is not None and size is None:
            size = np.asarray(flops) / (FLOPS_PER_PARAMETER_TOKEN * tokens)
            notes.append(f"{table.source}: parameters are taken as flops / (6 tokens).")
        elif flops is not None and (given := flops > 0).any():
            pairs = FLOPS_PER_PARAMETER_TOKEN * np.asarray(size) * np.asarray(tokens)
            factor = float(np.nanmedian((flops / pairs)[given]))
            if not 1 / FLOPS_DIFFER < factor < FLOPS_DIFFER:
                notes.append(
                    f"{table.source}: its flops are {factor:.3g} times 6 x parameters x tokens; the law counts the "
                    "latter. Check that parameters are total and tokens those seen."
                )
    if flops is not None and (flops <= 0).any():
        notes.append(
            f"{table.source}: {how_many(int(np.sum(flops <= 0)), 'cell')} of '{roles[compute]}' are zero or negative "
            "(integers that overflowed?)."
        )
    return kind, np.asarray(size, dtype=np.float64), np.asarray(tokens, dtype=np.float64)


def nats_per_token(table: Table, column: str, bytes_per_token: float | None, notes: list[str]) -> Floats:
    """Return the losses of a column in nats per token; `notes` gets how.

    Raises:
        FitError: if they are bits per byte and nobody says how many bytes a token has.
    """
    values, (how, factor) = table.numbers(column), scale_of(column, "loss")
    if factor != 1.0 and not {"bpt", "token"} & set(words_of(column)):
        if bytes_per_token is None:
            raise FitError(
                f"{table.source}: '{column}' is in bits per byte, and a law is in nats per token: say how many bytes a "
                "token has on average (--bytes-per-token 4.3), or name another column (--column loss=NAME)."
            )
        notes.append(f"{table.source}: nats/token = bits per byte x ln 2 x {bytes_per_token:g} bytes per token.")
        return np.asarray(values * factor * bytes_per_token)
    if how == "log":
        notes.append(f"{table.source}: nats/token = ln(perplexity).")
        with np.errstate(all="ignore"):
            return np.log(values)
    if bytes_per_token is not None:
        raise ConfigError(f"`--bytes-per-token` is for bits per byte, and '{column}' is not named so.")
    if factor != 1.0:
        notes.append(f"{table.source}: nats/token = bits per token x ln 2.")
    return np.asarray(values * factor)


def are_checkpoints(roles: Mapping[str, str], runs: Sequence[str], size: Floats, tokens: Floats) -> bool:
    """Return whether rows of one label are one run: one size, and another number of tokens in each row.

    Names of models that say no more than the size are those of finished runs, where no step is given and few rows
    share one: a grid of sizes and tokens.

    Args:
        roles: of the columns. runs: label of each row. size, tokens: of each, shape (n,).
    """
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(runs):
        rows.setdefault(name, []).append(i)
    several = [np.array(r) for r in rows.values() if len(r) > 1]
    of_models = "".join(words_of(roles.get("run", ""))) in MODELS and "step" not in roles
    if of_models and len(np.unique(size)) == len(rows) and max(map(len, rows.values())) < CHECKPOINTS:
        return False
    return bool(several) and all(
        np.ptp(size[r]) <= 1e-9 * size[r[0]] and len(np.unique(tokens[r])) == len(r) for r in several
    )


def ends(rows: Rows) -> Rows:
    """Return each run at its last row; runs that ended far above their best are left out, and named.

    Raises:
        FitError: if no run is left, or there are more than 10,000.
    """
    if not rows.checkpoints:
        if len(rows.loss) > MOST_RUNS:
            raise FitError(
                f"{len(rows.loss):,} rows are more finished runs than anybody has: if they are checkpoints, name the "
                "column that tells their runs apart (--column run=NAME); else take some of them (--where)."
            )
        return rows
    labels = np.unique(np.array(rows.runs), return_inverse=True)[1]
    kept, diverged = [], []
    for own in _groups(labels):
        last = int(own[np.argmax(rows.tokens[own])])
        later = own[rows.tokens[own] >= FIRST_PART * rows.tokens[last]]
        ratio = float(rows.loss[last] / rows.loss[later].min())
        if ratio > DIVERGED_RATIO:
            diverged.append(f"'{rows.runs[last]:.60}' is left out: it ends {percent(ratio - 1)} above its best loss.")
        else:
            kept.append(last)
    if not kept:
        raise FitError("There is no finished run to fit a law to. " + " ".join(diverged))
    before = len(rows.loss) - len(kept) - len(diverged)
    note = (
        f"Left out: {how_many(before, 'row')} before the end of their run, warm-up and early descent among them: a "
        "loss in mid-schedule is higher than the run would have ended at."
    )
    return rows.take(np.array(kept), [*([note] if before else []), *diverged])


def _groups(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each label, in order of their labels."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def late(rows: Rows) -> Rows:
    """Return the rows without the first tenth of each run's tokens: warm-up and early descent are of another law."""
    if not rows.checkpoints:
        return rows
    labels = np.unique(np.array(rows.runs), return_inverse=True)[1]
    last = np.zeros(int(labels.max()) + 1)
    np.maximum.at(last, labels, rows.tokens)
    keep = rows.tokens >= FIRST_PART * last[labels]
    note = f"{int(np.sum(~keep))} rows of the first {percent(FIRST_PART)} of each run are left out."
    return rows.take(np.flatnonzero(keep), [note] if not keep.all() else [])
