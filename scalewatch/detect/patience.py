"""How long an incident has lasted, in what the log is made of: steps, rows and the share of the run."""

from __future__ import annotations

__all__ = ["GIVE_UP", "GIVE_UP_CRITICAL", "waited"]

#: Steps, and least rows, after which it counts as lasting [steps, rows]: BLOOM came back in 30 steps by itself. By
#: hand.
STEPS, LEAST_ROWS = 300, 16
#: Part of all rows so far after which it does in any case [share]: a log of a hundred epochs has no 300 steps. By
#: hand.
SHARE = 0.1
#: So many times the patience, and where a loss stands is taken for its level: when critical, and when not. By hand.
GIVE_UP_CRITICAL, GIVE_UP = 8.0, 2.0


def waited(rows: int, steps: int, run_rows: int, times: float = 1.0) -> bool:
    """Whether an incident of so many rows and steps has lasted `times` the patience, in a log of `run_rows` rows.

    >>> waited(20, 40, 10_000), waited(20, 2_000, 10_000), waited(20, 20, 150)
    (False, True, True)
    """
    return rows >= times * LEAST_ROWS and (steps >= times * STEPS or rows >= times * SHARE * run_rows)
