"""What `fit --predict` takes for runs of a table of whatever columns."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.offline.finished_rows import finished_rows
from scalewatch.offline.finished_runs import ends, from_tables
from scalewatch.offline.foretelling import foretell
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


@pytest.mark.parametrize("rows", [3, 20])
def test_a_grid_by_the_names_of_its_models_is_finished_runs_and_many_rows_of_each_are_not(rows: int) -> None:
    """Three sizes, each on a few numbers of tokens: a name that says the size tells no runs apart."""
    sizes, tokens = np.repeat([1e7, 3e7, 9e7], rows), np.tile(1e9 * np.arange(1.0, rows + 1), 3)
    columns = {"params": sizes, "tokens": tokens, "loss": 2.0 + (sizes * tokens) ** -0.02}
    whole = Table("t.csv", "t", {"model": [f"gpt-{n / 1e6:.0f}m" for n in sizes], **columns})
    table, _ = finished_rows(whole)
    fitted = ends(from_tables([whole], {}))

    assert (len(table), len(fitted.loss)) == ((9, 9) if rows == 3 else (3, 3))


def test_tokens_that_all_runs_share_are_told_where_a_point_has_others() -> None:
    """No law of these runs knows what more data do, and the point looks as near as its size is."""
    sizes = np.array([1e7, 2e7, 4e7, 8e7, 1.6e8])
    runs = {"params": sizes, "tokens": np.full(5, 3e9), "loss": 2.0 + sizes**-0.1}
    for tokens, count in ((6e10, 1), (3e9, 0)):
        points = Table("p.csv", "p", {"params": np.array([3e8]), "tokens": np.array([tokens])})
        (told,) = foretell(Table("t.csv", "t", runs), points)

        assert count == sum("in column 'tokens', and points do not" in note for note in told.notes)


def test_compute_beside_size_and_tokens_is_no_third_cause() -> None:
    """Rounded as budgets are, it would else be an axis of its own."""
    columns = {"N (M)": [10, 20, 40], "D (B)": [1, 2, 3], "C (FLOPs)": [6e16, 2e17, 7e17], "val loss": [4, 3.5, 3]}
    inputs = inputs_of(Table("t.csv", "t", {n: np.array(c, dtype=float) for n, c in columns.items()}), ["val loss"])

    assert ["N (M)", "D (B)"] == list(inputs.columns)
