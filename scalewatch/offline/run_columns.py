"""What columns of a table of runs say beside each run's size, tokens and loss: its budget, and what is one run."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.offline.tables import Table

__all__ = [
    "named_budgets",
    "saved_at_intervals",
    "sizes_in_names",
    "tokens_from",
    "tokens_in_names",
    "tokens_of_epochs",
]

#: Factor between a named budget and 6 N D from which it is no budget of these runs. By hand.
BUDGET_DIFFERS = 3.0
#: Rows of one size from which they can be checkpoints of one run; how far [part] the tokens between two of them may
#: differ, and for what part of them that must hold. By hand.
CHECKPOINTS, INTERVAL, MOSTLY = 8, 0.05, 0.8
#: A size between the marks of a name, and what its letter multiplies it by.
_SIZE_IN_NAME = re.compile(r"(?<![\w.])[nN]?(\d+(?:\.\d+)?)([mMbB])(?![A-Za-z0-9.])")
_TIMES = {"m": 1e6, "b": 1e9, "t": 1e12}
#: Tokens in a name: `60b-tok`, `100BT`, `2b_tokens`.
_TOKENS_IN_NAME = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)([mMbBtT])[-_ ]?(?:T(?![A-Za-z0-9])|[tT]ok(?:en)?s?(?![A-Za-z0-9]))"
)
#: Roles of columns that tell the tokens of a run, and of those that tell the tokens of a step together.
_TELL_TOKENS = ("tokens", "flops", "unique_tokens", "tokens_per_parameter")
_OF_A_STEP = (("tokens_per_step",), ("batch_size", "sequence_length"))
#: How near [part] a size in a name is to the tokens of the run to be these. By hand.
SAME = 0.01


def named_budgets(
    table: Table, roles: dict[str, str], size: Floats, tokens: Floats, keep: NDArray[np.int64], notes: list[str]
) -> Floats | None:
    """Return the budgets that a column names, None if it names none, or what it holds is no compute of these runs."""
    if "budget" not in roles:
        return None
    budgets = table.numbers(roles["budget"])[keep]
    with np.errstate(all="ignore"):
        factors = budgets / (FLOPS_PER_PARAMETER_TOKEN * size[keep] * tokens[keep])
    factor = float(np.median(factors)) if len(factors) else np.nan
    if not np.all(budgets > 0) or not 1 / BUDGET_DIFFERS < factor < BUDGET_DIFFERS:
        notes.append(
            f"{table.source}: column '{roles['budget']}' is no compute of these runs (6 x parameters x tokens), and is "
            "left out."
        )
        return None
    return budgets


def saved_at_intervals(size: Floats, tokens: Floats) -> list[str]:
    """Return a label of each row by its size, if rows of each size are saved at equal distances; else nothing."""
    labels = [f"{each:.6g}" for each in size.tolist()]
    groups = [np.flatnonzero(np.array(labels) == label) for label in dict.fromkeys(labels)]
    for rows in groups:
        steps = np.diff(np.sort(tokens[rows]))
        if len(rows) < CHECKPOINTS or not np.all(np.isfinite(steps)):
            return []
        middle = float(np.median(steps))
        # many rows of as many tokens are a sweep
        if middle <= 0 or np.mean(np.abs(steps - middle) <= INTERVAL * middle) < MOSTLY:
            return []
    return labels


def sizes_in_names(names: Sequence[str], tokens: Floats | None, *, several: bool = True) -> Floats | None:
    """Return the parameters that names of runs say (`gpt-124m-2b` on 2e9 tokens), shape (n,); None unless each does.

    Args:
        names: of runs. tokens: of each, shape (n,), None if not known. several: whether one size of all is none.

    >>> sizes_in_names(["gpt-124m-2b", "gpt-350m"], np.array([2e9, 2e9]))
    array([1.24e+08, 3.50e+08])
    >>> sizes_in_names(["small-1b", "small-2b"], np.array([1e9, 2e9])) is None
    True
    """
    found, other = [], tokens is None
    for i, name in enumerate(names):
        said = {
            float(count) * _TIMES[unit.lower()] for count, unit in _SIZE_IN_NAME.findall(_TOKENS_IN_NAME.sub("-", name))
        }
        none = {size for size in said if tokens is not None and abs(size - tokens[i]) <= SAME * size}
        other = other or bool(said - none)
        said = said - none or none  # a run of as many tokens as parameters says both at once
        if len(said) != 1:
            return None
        found.append(said.pop())
    return np.array(found) if other and (not several or len(set(found)) > 1) else None


def tokens_in_names(table: Table, roles: dict[str, str], notes: list[str], *, several: bool = True) -> Floats | None:
    """Return the tokens that names of runs say (`gpt-124m-10BT`, `1b-20b-tokens`), shape (n,); None unless each does.

    Nor where columns tell them, and where all say as many: then it may be the data that they were drawn from.

    Args:
        table: of runs. roles: of its columns. notes: gets how. several: whether as many in all are none.
    """
    names = table.words(roles["run"]) if "run" in roles else []
    told = _of_steps(roles) or any(role in roles for role in _TELL_TOKENS)
    if told or ("step" in roles and len(set(names)) < len(names)):
        return None
    found = [_TOKENS_IN_NAME.findall(name) for name in names]
    if not found or any(len(said) != 1 for said in found) or (several and len({said[0] for said in found}) < 2):
        return None
    notes.append(f"{table.source}: tokens are those that the names in '{roles['run']}' say.")
    return np.array([float(count) * _TIMES[unit.lower()] for ((count, unit),) in found])


def tokens_from(table: Table, roles: dict[str, str], size: Floats | None, notes: list[str]) -> Floats | None:
    """Return the tokens that runs saw, from a ratio to the parameters, epochs, or steps and what is in one; else None.

    Args:
        table: of runs. roles: of its columns. size: parameters, shape (n,), None if not known. notes: gets how.
    """
    if "tokens_per_parameter" in roles and size is not None:
        notes.append(f"{table.source}: tokens are taken as '{roles['tokens_per_parameter']}' x parameters.")
        return np.asarray(table.numbers(roles["tokens_per_parameter"]) * size)
    seen = tokens_of_epochs(table, roles)
    if seen is not None and "flops" not in roles:
        notes.append(
            f"{table.source}: tokens are taken as '{roles['unique_tokens']}' x '{roles['epochs']}'; a law of size and "
            "tokens takes a repeated one for a new one: --family repeated-data does not."
        )
        return seen
    factors = _of_steps(roles)
    if not factors or "flops" in roles:
        return None
    named_ = " x ".join(f"'{roles[role]}'" for role in factors)
    notes.append(f"{table.source}: tokens are taken as {named_}.")
    return np.asarray(np.prod([table.numbers(roles[role]) for role in factors], axis=0))


def _of_steps(roles: dict[str, str]) -> tuple[str, ...]:
    """The roles whose columns multiplied are tokens: steps and what is in one."""
    steps = next((role for role in ("step", "total_steps") if role in roles), None)
    of_one = next((each for each in _OF_A_STEP if all(role in roles for role in each)), None)
    return () if steps is None or of_one is None else (steps, *of_one)


def tokens_of_epochs(table: Table, roles: dict[str, str]) -> Floats | None:
    """Return the tokens that runs saw, different ones times epochs, shape (n,); None without columns of both."""
    if "epochs" not in roles or "unique_tokens" not in roles:
        return None
    return np.asarray(table.numbers(roles["unique_tokens"]) * table.numbers(roles["epochs"]))
