"""What `fit --predict` takes for runs of a table of whatever columns."""

from __future__ import annotations

import numpy as np

from scalewatch.offline.finished_rows import finished_rows
from scalewatch.offline.outcome_tables import inputs_of
from scalewatch.offline.tables import Table


def test_of_checkpoints_the_last_counts_and_a_run_that_crashed_does_not() -> None:
    """Rows in the middle of a schedule are higher than the run would have ended at."""
    words = {
        "run": ["a", "a", "a", "b", "b", "c"],
        "state": ["finished"] * 5 + ["crashed"],
    }
    numbers = {
        "n_params": [1e7, 1e7, 1e7, 3e7, 3e7, 9e7],
        "tokens": [1e8, 2e8, 3e8, 3e8, 9e8, 1e8],
        "loss": [5.0, 4.5, 4.2, 4.4, 3.9, 7.0],
    }
    table, notes = finished_rows(Table("t.csv", "t", words | {n: np.array(c) for n, c in numbers.items()}))

    assert ["4.2", "3.9"] == table.words("loss")
    assert 2 == len(notes)


def test_compute_beside_size_and_tokens_is_no_third_cause() -> None:
    """Rounded as budgets are, it would else be an axis of its own."""
    columns = {"N (M)": [10, 20, 40], "D (B)": [1, 2, 3], "C (FLOPs)": [6e16, 2e17, 7e17], "val loss": [4, 3.5, 3]}
    inputs = inputs_of(Table("t.csv", "t", {n: np.array(c, dtype=float) for n, c in columns.items()}), ["val loss"])

    assert ["N (M)", "D (B)"] == list(inputs.columns)
